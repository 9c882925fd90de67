import type { LiveEvent } from './port.ts';

/** Events are made once for all viewers, and so are their bytes. */
const encoded = new WeakMap<LiveEvent, Buffer>();

/** An event as text/event-stream (WHATWG HTML, 9.2.5). JSON text holds no line break, so `data` is one line. */
export function encodeEvent(event: LiveEvent): Buffer {
  let bytes = encoded.get(event);
  if (bytes === undefined) {
    const id = event.id === null ? '' : `id: ${event.id}\n`;
    bytes = Buffer.from(`event: ${event.kind}\n${id}data: ${JSON.stringify(event.data)}\n\n`);
    encoded.set(event, bytes);
  }
  return bytes;
}

/** How long a client waits before it comes back, and a first line that proxies pass on at once. */
export function encodeRetry(retryMs: number): string {
  return `retry: ${retryMs}\n\n`;
}

/** Says that the stream is alive, and how far the viewer is: an id without data tells no event and is remembered all the same. */
export function encodeBeat(position: string): string {
  return `: beat\nid: ${position}\n\n`;
}
