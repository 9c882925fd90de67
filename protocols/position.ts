import { STREAM_NAME } from './names.ts';
import type { StreamPosition } from './reading.ts';
import { topicMeaning } from './topics.ts';

const SEQ = /^[1-9][0-9]{0,15}$/;

/**
 * The headers `stream` and `seq` (MQTT 5.0: user properties) of a reading or an event: its place in the device's numbered queue, so that
 * the hub stores it exactly once. Null: it has none (one of them alone is the device's own affair, as are both on other topics);
 * `malformed`: it has both, and they name no place.
 */
export function positionOf(
  topic: string,
  headers: readonly (readonly [string, string])[],
): StreamPosition | 'malformed' | null {
  let stream: string | null = null;
  let seq: string | null = null;
  for (const [name, value] of headers) {
    if (name === 'stream') stream ??= value;
    else if (name === 'seq') seq ??= value;
  }
  if (stream === null || seq === null) return null;
  const { kind } = topicMeaning(topic);
  if (kind !== 'telemetry' && kind !== 'event') return null;
  if (!STREAM_NAME.test(stream) || !SEQ.test(seq) || Number(seq) > Number.MAX_SAFE_INTEGER) return 'malformed';
  return { stream, seq: Number(seq) };
}
