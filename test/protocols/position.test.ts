import { describe, expect, it } from 'vitest';
import { positionOf } from '#protocols/position.js';

const TELEMETRY = 'devices/me/telemetry';
const at = (seq: string, stream = 's'): readonly (readonly [string, string])[] => [
  ['stream', stream],
  ['seq', seq],
];

describe('the place of a message in a numbered stream', () => {
  it('is what the headers stream and seq of a reading or an event say', () => {
    for (const topic of [TELEMETRY, 'devices/d1/telemetry/senml', 'devices/d1/events/door']) {
      expect(positionOf(topic, at('1', 'A.b_c-9'))).toEqual({ stream: 'A.b_c-9', seq: 1 });
    }
    expect(positionOf(TELEMETRY, at('9007199254740991'))).toEqual({ stream: 's', seq: Number.MAX_SAFE_INTEGER });
  });

  it('is none where one of them is missing, and on other topics', () => {
    expect(positionOf(TELEMETRY, [])).toBeNull();
    expect(positionOf(TELEMETRY, [['seq', '1']])).toBeNull();
    expect(positionOf(TELEMETRY, [['stream', 's']])).toBeNull();
    for (const topic of ['a/b', 'devices/me/commands/c/result', 'devices/me/presence']) {
      expect(positionOf(topic, at('1'))).toBeNull();
    }
  });

  it('is malformed where they name none', () => {
    for (const seq of ['0', '-1', '1.5', '01', '', ' 1', '1e3', '9007199254740992', '99999999999999999']) {
      expect(positionOf(TELEMETRY, at(seq))).toBe('malformed');
    }
    for (const stream of ['', 'a b', 'ä', 'x'.repeat(65)])
      expect(positionOf(TELEMETRY, at('1', stream))).toBe('malformed');
  });

  it('is that of the first of repeated headers', () => {
    expect(positionOf(TELEMETRY, [...at('2', 'first'), ...at('3', 'second')])).toEqual({ stream: 'first', seq: 2 });
  });
});
