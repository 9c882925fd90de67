import type { DeviceClient } from './client.ts';
import { nodeChannels, type DeviceProtocol } from './node-channels.ts';
import type { TlsOptions } from './node-socket.ts';
import { identityOf, type CommonOptions } from './options.ts';
import { startClient } from './runtime.ts';

export * from './common.ts';
export { fileQueue, QueueError, type FileQueue, type FileQueueOptions } from './file-queue.ts';
export type { DeviceProtocol } from './node-channels.ts';
export type { TlsOptions } from './node-socket.ts';

export interface ConnectOptions extends CommonOptions {
  /** `ws://` or `wss://` for CBOR, MQTT and STOMP; for HTTP `http://` or `https://`, or the same WebSocket address. */
  readonly url: string;
  readonly protocol: DeviceProtocol;
  /** Certificates, for `wss://` and `https://`. */
  readonly tls?: TlsOptions;
}

/**
 * A device's client, which connects at once and stays connected until `close`. Throws TypeError for options that cannot be; what goes
 * wrong later comes as events.
 */
export function connect(options: ConnectOptions): DeviceClient {
  const { url, protocol, tls } = options;
  checkUrl(url, protocol);
  const identity = identityOf(options);
  if ((protocol === 'mqtt' || protocol === 'stomp') && options.deviceId === undefined) {
    throw new TypeError(`${protocol} needs a deviceId: its introduction names the device`);
  }
  const channels = nodeChannels({
    url,
    protocol,
    identity,
    numbered: true,
    localAddress: null,
    ...(tls === undefined ? {} : { tls }),
  });
  return startClient(options, channels, true);
}

function checkUrl(url: string, protocol: DeviceProtocol): void {
  const { protocol: scheme = '', hash = '' } = URL.parse(url) ?? {};
  if (hash !== '') throw new TypeError(`url must have no fragment: "${hash}"`);
  const isWebSocket = scheme === 'ws:' || scheme === 'wss:';
  if (isWebSocket || (protocol === 'http' && (scheme === 'http:' || scheme === 'https:'))) return;
  const wanted = protocol === 'http' ? 'http://, https://, ws:// or wss://' : 'ws:// or wss://';
  throw new TypeError(`url must be an address with ${wanted}, not "${url}"`);
}
