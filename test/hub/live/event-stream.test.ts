import { describe, expect, it } from 'vitest';
import { encodeBeat, encodeEvent, encodeRetry } from '#hub/live/event-stream.js';
import { parsePosition } from '#hub/live/position.js';
import type { LiveEvent } from '#hub/live/port.js';

describe('text/event-stream', () => {
  it('an event has its kind, its id when it has one, and its data on one line', () => {
    const hello: LiveEvent = { kind: 'hello', id: 'r-7', data: { nowMs: 5, resumed: true, alarms: [] } };
    expect(encodeEvent(hello).toString()).toBe(
      'event: hello\nid: r-7\ndata: {"nowMs":5,"resumed":true,"alarms":[]}\n\n',
    );
    const latest: LiveEvent = {
      kind: 'latest',
      id: null,
      data: [{ device: 'd', values: [{ metric: 'log', value: 'two\nlines\r\u2028é', timeUs: 1 }] }],
    };
    expect(encodeEvent(latest).toString()).toBe(
      'event: latest\ndata: [{"device":"d","values":[{"metric":"log","value":"two\\nlines\\r\u2028é","timeUs":1}]}]\n\n',
    );
  });

  it('is made once for all who get the event', () => {
    const event: LiveEvent = { kind: 'resync', id: 'r-1', data: { reason: 'too_slow' } };
    expect(encodeEvent(event)).toBe(encodeEvent(event));
    expect(encodeEvent({ ...event })).not.toBe(encodeEvent(event));
  });

  it('a beat is a comment and an id, which tells no event and is remembered', () => {
    expect(encodeBeat('r-9')).toBe(': beat\nid: r-9\n\n');
    expect(encodeRetry(2000)).toBe('retry: 2000\n\n');
  });
});

describe('a place in the feed', () => {
  it.each([
    ['r-0', { run: 'r', n: 0 }],
    ['0a1b2c-123456789012345', { run: '0a1b2c', n: 123_456_789_012_345 }],
  ])('%s is one', (text, position) => {
    expect(parsePosition(text)).toEqual(position);
  });

  it.each(['', 'r', 'r-', '-1', 'r--1', 'r-1 ', 'r-1.5', 'r-1234567890123456', `${'r'.repeat(33)}-1`, 'r-1\nx'])(
    '%j is none',
    (text) => {
      expect(parsePosition(text)).toBeNull();
    },
  );
});
