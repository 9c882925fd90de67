import { mqttSubprotocol } from '#protocols/mqtt/session.js';
import { stompStreamSubprotocol } from '#protocols/stomp/session.js';
import type { Subprotocol } from '#protocols/subprotocol.js';
import type { Clock } from '#hub/clock.js';
import type { Config } from '#hub/config.js';
import type { Port } from './server.ts';
import { StreamListener, type StreamGateway } from './stream-listener.ts';
import { TrustedProxies } from './trusted-proxies.ts';

type Scheme = 'mqtt' | 'mqtts' | 'stomp' | 'stomps';

const SUBPROTOCOLS: Readonly<Record<Scheme, Subprotocol>> = {
  mqtt: mqttSubprotocol,
  mqtts: mqttSubprotocol,
  stomp: stompStreamSubprotocol,
  stomps: stompStreamSubprotocol,
};

/** The ports beside the one port, for clients that cannot speak WebSocket. */
export interface Streams {
  /** Where they listen: `mqtt://127.0.0.1:1883`. */
  readonly urls: readonly string[];
  close(): void;
}

type StreamOptions = Pick<
  Config,
  | 'host'
  | 'mqttPort'
  | 'mqttsPort'
  | 'stompPort'
  | 'stompsPort'
  | 'trustedProxies'
  | 'proxyProtocol'
  | 'identifyTimeoutMs'
  | 'maxConnections'
>;

/** Opens those that are configured. Rejects with words when a port cannot be had; none is open then. */
export async function openStreams(
  config: StreamOptions,
  gateway: StreamGateway,
  { credentials, certificate }: Pick<Port, 'credentials' | 'certificate'>,
  clock: Clock,
): Promise<Streams> {
  const { host, proxyProtocol, identifyTimeoutMs, maxConnections } = config;
  const proxies = new TrustedProxies(config.trustedProxies);
  const listeners: StreamListener[] = [];
  const urls: string[] = [];
  const close = (): void => listeners.forEach((listener) => listener.close());
  const open = async (scheme: Scheme, port: number | null): Promise<void> => {
    if (port === null) return;
    const secure = scheme.endsWith('s');
    const options = {
      scheme,
      host,
      port,
      portFlag: `--${scheme}-port`,
      credentials: secure ? credentials : null,
      proxyProtocol,
      proxies,
      beginTimeoutMs: identifyTimeoutMs,
      maxConnections,
    };
    const listener = new StreamListener(gateway, SUBPROTOCOLS[scheme], options, clock);
    urls.push(`${scheme}://${shown(host)}:${await listener.listen()}`);
    listeners.push(listener);
    if (listener.tls !== null) certificate?.serve(listener.tls);
  };
  try {
    await open('mqtt', config.mqttPort);
    await open('mqtts', config.mqttsPort);
    await open('stomp', config.stompPort);
    await open('stomps', config.stompsPort);
  } catch (error) {
    close();
    throw error;
  }
  return { urls, close };
}

function shown(host: string): string {
  if (host === '0.0.0.0' || host === '::') return 'localhost';
  return host.includes(':') ? `[${host}]` : host;
}
