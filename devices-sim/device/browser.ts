import { openStandardSocket } from './browser-socket.ts';
import { CborWire } from './cbor.ts';
import { webSocketChannels } from './channel.ts';
import type { DeviceClient } from './client.ts';
import { identityOf, type CommonOptions } from './options.ts';
import { startClient } from './runtime.ts';
import { SUBPROTOCOLS, type OpenSocket } from './socket.ts';

export * from './common.ts';
export type { DeviceSocket, OpenSocket, SocketEnd, SocketEvents } from './socket.ts';

export interface ConnectOptions extends CommonOptions {
  /** `ws://` or `wss://`. */
  readonly url: string;
  /** The one that needs nothing of Node. */
  readonly protocol?: 'cbor';
  /** Another socket than the browser's own. */
  readonly openSocket?: OpenSocket;
}

/** As `connect` of Node's entry, with CBOR over the browser's WebSocket and a queue in memory. */
export function connect(options: ConnectOptions): DeviceClient {
  const { url, protocol = 'cbor', openSocket } = options;
  if ((protocol as string) !== 'cbor') throw new TypeError('in a browser only the protocol cbor is there');
  const { protocol: scheme = '', hash = '' } = URL.parse(url) ?? {};
  if (hash !== '') throw new TypeError(`url must have no fragment: "${hash}"`);
  if (scheme !== 'ws:' && scheme !== 'wss:') throw new TypeError(`url must begin with ws:// or wss://, not "${url}"`);
  const identity = identityOf(options);
  const open: OpenSocket = openSocket ?? ((events) => openStandardSocket(url, SUBPROTOCOLS.cbor, events));
  const channels = webSocketChannels(open, (start, link, events) => new CborWire(identity, start, link, events));
  return startClient(options, channels, false);
}
