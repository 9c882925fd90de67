import { mqttSubprotocol } from '#protocols/mqtt/session.js';
import type { Clock } from '#hub/clock.js';
import type { Config } from '#hub/config.js';
import type { Port } from './server.ts';
import { StreamListener, type StreamGateway } from './stream-listener.ts';
import { TrustedProxies } from './trusted-proxies.ts';

/** The ports beside the one port, for clients that cannot speak WebSocket. */
export interface Streams {
  /** Where they listen: `mqtt://127.0.0.1:1883`. */
  readonly urls: readonly string[];
  close(): void;
}

type StreamOptions = Pick<
  Config,
  'host' | 'mqttPort' | 'mqttsPort' | 'trustedProxies' | 'proxyProtocol' | 'identifyTimeoutMs' | 'maxConnections'
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
  const open = async (scheme: 'mqtt' | 'mqtts', port: number | null, portFlag: string): Promise<void> => {
    if (port === null) return;
    const options = {
      scheme,
      host,
      port,
      portFlag,
      credentials: scheme === 'mqtts' ? credentials : null,
      proxyProtocol,
      proxies,
      beginTimeoutMs: identifyTimeoutMs,
      maxConnections,
    };
    const listener = new StreamListener(gateway, mqttSubprotocol, options, clock);
    urls.push(`${scheme}://${shown(host)}:${await listener.listen()}`);
    listeners.push(listener);
    if (listener.tls !== null) certificate?.serve(listener.tls);
  };
  try {
    await open('mqtt', config.mqttPort, '--mqtt-port');
    await open('mqtts', config.mqttsPort, '--mqtts-port');
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
