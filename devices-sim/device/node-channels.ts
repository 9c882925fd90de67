import { CborWire } from './cbor.ts';
import { webSocketChannels, type OpenChannel, type OpenWire } from './channel.ts';
import { httpChannels, type ChannelClock } from './http.ts';
import { httpRequests } from './http-requests.ts';
import { MqttWire } from './mqtt.ts';
import { openSocket, type TlsOptions } from './node-socket.ts';
import { SUBPROTOCOLS } from './socket.ts';
import { StompWire } from './stomp.ts';
import type { WireIdentity } from './wire.ts';

export type DeviceProtocol = 'cbor' | 'mqtt' | 'stomp' | 'http';

export interface ChannelOptions {
  /** ws, wss, http or https; HTTP takes the host and port of a WebSocket address. */
  readonly url: string;
  readonly protocol: DeviceProtocol;
  readonly identity: WireIdentity;
  /**
   * MQTT and STOMP: number the messages, so that the hub stores each once (MQTT 5.0); false: MQTT 3.1.1 and plain STOMP, at least once.
   * CBOR and HTTP always do.
   */
  readonly numbered: boolean;
  /** Source address; null: the system chooses. */
  readonly localAddress: string | null;
  readonly tls?: TlsOptions;
}

/** The way to a hub in any of the protocols, on Node's sockets. */
export function nodeChannels(options: ChannelOptions): OpenChannel {
  const { protocol, identity, localAddress, tls } = options;
  const socket = { localAddress, ...(tls === undefined ? {} : { tls }) };
  if (protocol === 'http') {
    return httpChannels(identity, () => httpRequests({ url: httpUrl(options.url), ...socket }), NODE_CLOCK);
  }
  const socketOptions = { ...socket, url: options.url, subprotocol: SUBPROTOCOLS[protocol] };
  return webSocketChannels((events) => openSocket(socketOptions, events), openWire(options));
}

function openWire({ protocol, identity, numbered }: ChannelOptions): OpenWire {
  if (protocol === 'cbor') return (start, link, events) => new CborWire(identity, start, link, events);
  const Wire = protocol === 'mqtt' ? MqttWire : StompWire;
  return ({ stream }, link, events) => new Wire(identity, numbered ? stream : null, link, events);
}

const NODE_CLOCK: ChannelClock = {
  nowMs: () => performance.now(),
  after: (ms, run) => {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
};

function httpUrl(url: string): string {
  return url.replace(/^ws/, 'http');
}
