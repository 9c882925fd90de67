import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import { Flusher } from '#hub/gateway/flusher.js';
import { Outbox, type OutboxLimits, type OutboxSink } from '#hub/gateway/outbox.js';

class FakeSink implements OutboxSink {
  readonly writes: (Uint8Array | string)[][] = [];
  bufferedBytes = 0;
  /** False: the kernel takes nothing. */
  takes = true;

  write(frames: (Uint8Array | string)[]): void {
    this.writes.push(frames);
    if (!this.takes) for (const frame of frames) this.bufferedBytes += Buffer.byteLength(frame);
  }

  /** What was written, frame by frame, as text. */
  get texts(): string[][] {
    return this.writes.map((frames) => frames.map((frame) => Buffer.from(frame).toString()));
  }
}

describe('outbox', () => {
  const LIMITS: OutboxLimits = { highWaterBytes: 100, lowWaterBytes: 40, maxBytes: 200, gatherBytes: 16 };
  let ticks: (() => void)[];
  let errors: unknown[];
  let flusher: Flusher;
  let sink: FakeSink;
  let events: string[];

  beforeEach(() => {
    ticks = [];
    errors = [];
    flusher = new Flusher(
      (run) => ticks.push(run),
      (error) => errors.push(error),
    );
    sink = new FakeSink();
    events = [];
  });

  function make(framing: 'stream' | 'message', limits: Partial<OutboxLimits> = {}, to: OutboxSink = sink): Outbox {
    const owner = { onWritable: () => void events.push('writable'), onOverflow: () => void events.push('overflow') };
    return new Outbox(to, framing, { ...LIMITS, ...limits }, flusher, owner);
  }

  function endTick(): void {
    for (const run of ticks.splice(0)) run();
  }

  const bytes = (text: string): Buffer => Buffer.from(text);

  describe('gathering', () => {
    test('20 PUBACKs of one tick become one WebSocket message', () => {
      const outbox = make('stream', { gatherBytes: 16 * 1024 });
      const acks = Array.from({ length: 20 }, (_, i) => Buffer.from([0x40, 2, 0, i + 1]));
      for (const ack of acks) outbox.send(ack);
      expect(sink.writes).toEqual([]);
      endTick();
      expect(sink.writes).toEqual([[Buffer.concat(acks)]]);
    });

    test('with framing `message` each unit is its own frame, handed over together', () => {
      const outbox = make('message');
      for (const unit of ['a', bytes('b'), 'c']) outbox.send(unit);
      endTick();
      expect(sink.writes).toEqual([['a', bytes('b'), 'c']]);
    });

    test('units gather up to gatherBytes, to the byte', () => {
      const outbox = make('stream');
      for (const length of [8, 8, 8, 9, 15, 1, 1]) outbox.send(bytes('x'.repeat(length)));
      endTick();
      expect(sink.writes[0]!.map((frame) => frame.length)).toEqual([16, 8, 9, 16, 1]);
    });

    test('a unit larger than gatherBytes is a frame by itself and is not copied', () => {
      const outbox = make('stream');
      const large = bytes('x'.repeat(17));
      outbox.send(bytes('a'));
      outbox.send(large);
      outbox.send(bytes('b'));
      endTick();
      expect(sink.texts).toEqual([['a', 'x'.repeat(17), 'b']]);
      expect(sink.writes[0]![1]).toBe(large);
    });

    test('a single unit is handed over as it is', () => {
      const outbox = make('stream');
      const unit = bytes('a');
      outbox.send(unit);
      endTick();
      expect(sink.writes[0]![0]).toBe(unit);
    });

    test('a string is a text frame by itself, in its place', () => {
      const outbox = make('stream');
      for (const unit of [bytes('a'), bytes('b'), 'text', bytes('c'), bytes('d')]) outbox.send(unit);
      endTick();
      expect(sink.writes).toEqual([[bytes('ab'), 'text', bytes('cd')]]);
    });

    test('whatever is sent in whatever ticks arrives whole and in order, in frames within the bound', () => {
      const unit = fc.oneof(fc.uint8Array({ minLength: 1, maxLength: 40 }), fc.constant('tick'));
      fc.assert(
        fc.property(fc.array(unit, { maxLength: 60 }), fc.constantFrom('stream', 'message'), (units, framing) => {
          const to = new FakeSink();
          const outbox = make(framing, { highWaterBytes: 10_000, maxBytes: 10_000 }, to);
          const sent: Uint8Array[] = [];
          for (const u of units) {
            if (typeof u === 'string') endTick();
            else {
              sent.push(u);
              outbox.send(u);
            }
          }
          endTick();
          const frames = to.writes.flat().map((frame) => Buffer.from(frame));
          expect(Buffer.concat(frames)).toEqual(Buffer.concat(sent));
          if (framing === 'message') expect(frames.length).toBe(sent.length);
          const largest = Math.max(16, ...sent.map((s) => s.length));
          for (const frame of frames) expect(frame.length).toBeLessThanOrEqual(largest);
        }),
      );
    });

    test('a tick asks the scheduler once for all connections, and an idle one not at all', () => {
      const sinks = Array.from({ length: 100 }, () => new FakeSink());
      const outboxes = sinks.map((to) => make('stream', {}, to));
      expect(ticks).toHaveLength(0);
      for (const outbox of outboxes) for (let i = 0; i < 3; i++) outbox.send(bytes('a'));
      expect(ticks).toHaveLength(1);
      endTick();
      expect(sinks.map((to) => to.texts)).toEqual(sinks.map(() => [['aaa']]));
      expect(ticks).toHaveLength(0);
      outboxes[7]!.send(bytes('b'));
      endTick();
      expect(sinks.reduce((sum, to) => sum + to.writes.length, 0)).toBe(101);
    });

    test('a sink that throws is reported and keeps nobody else waiting', () => {
      const broken = make(
        'stream',
        {},
        {
          bufferedBytes: 0,
          write: () => {
            throw new Error('broken sink');
          },
        },
      );
      const outbox = make('stream');
      broken.send(bytes('a'));
      outbox.send(bytes('b'));
      endTick();
      expect(sink.texts).toEqual([['b']]);
      expect(errors.map(String)).toEqual(['Error: broken sink']);
      outbox.send(bytes('c'));
      endTick();
      expect(sink.texts).toEqual([['b'], ['c']]);
    });

    test('what is sent while a tick is flushed leaves in the next', () => {
      const second = make('stream');
      const first = make('stream', {}, { bufferedBytes: 0, write: () => second.send(bytes('answer')) });
      first.send(bytes('a'));
      endTick();
      expect(sink.writes).toEqual([]);
      endTick();
      expect(sink.texts).toEqual([['answer']]);
    });

    test('flush hands over at once what the end of the tick would', () => {
      const outbox = make('stream');
      outbox.send(bytes('goodbye'));
      outbox.flush();
      expect(sink.texts).toEqual([['goodbye']]);
      expect(outbox.queuedBytes).toBe(0);
      endTick();
      expect(sink.texts).toEqual([['goodbye']]);
    });

    test('after close nothing is sent, not even what waited', () => {
      const outbox = make('stream');
      outbox.send(bytes('a'));
      outbox.close();
      outbox.send(bytes('b'));
      outbox.flush();
      outbox.drained();
      endTick();
      expect(sink.writes).toEqual([]);
      expect(outbox.queuedBytes).toBe(0);
      expect(events).toEqual([]);
    });
  });

  describe('bounds', () => {
    test('queuedBytes is what was gathered and what the sink holds; strings count in UTF-8', () => {
      const outbox = make('message');
      sink.bufferedBytes = 7;
      outbox.send('é€');
      outbox.send(bytes('abc'));
      expect(outbox.queuedBytes).toBe(7 + 5 + 3);
      endTick();
      expect(outbox.queuedBytes).toBe(7);
    });

    test('congested above the high-water mark, not at it', () => {
      const outbox = make('stream');
      sink.takes = false;
      outbox.send(bytes('x'.repeat(100)));
      expect(outbox.congested).toBe(false);
      outbox.send(bytes('x'));
      expect(outbox.congested).toBe(true);
    });

    test('a burst that the sink takes at once is no congestion, however much it is in one tick', () => {
      const outbox = make('stream', { gatherBytes: 100 });
      for (let i = 0; i < 10; i++) outbox.send(bytes('x'.repeat(60)));
      expect(outbox.congested).toBe(false);
      endTick();
      expect(sink.texts).toEqual(Array.from({ length: 10 }, () => ['x'.repeat(60)]));
      expect(events).toEqual([]);
    });

    test('writable once, when the sink has drained to below the low-water mark', () => {
      const outbox = make('stream');
      sink.takes = false;
      outbox.send(bytes('x'.repeat(101)));
      endTick();
      expect(events).toEqual([]);
      for (const [buffered, congested] of [
        [100, true],
        [40, true],
        [39, false],
        [0, false],
      ] as const) {
        sink.bufferedBytes = buffered;
        outbox.drained();
        expect(outbox.congested).toBe(congested);
      }
      expect(events).toEqual(['writable']);
      outbox.send(bytes('x'.repeat(101)));
      endTick();
      sink.bufferedBytes = 0;
      outbox.drained();
      expect(events).toEqual(['writable', 'writable']);
    });

    test('what is gathered counts when the sink has drained', () => {
      const outbox = make('stream');
      outbox.send(bytes('x'.repeat(101)));
      endTick();
      outbox.send(bytes('x'.repeat(40)));
      outbox.drained();
      expect(outbox.congested).toBe(true);
      endTick();
      outbox.drained();
      expect(events).toEqual(['writable']);
    });

    test('writable is not told to who was never congested', () => {
      const outbox = make('stream');
      outbox.send(bytes('a'));
      endTick();
      outbox.drained();
      expect(events).toEqual([]);
    });

    test('the owner may send within onWritable', () => {
      const outbox: Outbox = new Outbox(sink, 'stream', LIMITS, flusher, {
        onWritable: () => outbox.send(bytes('more')),
        onOverflow: () => undefined,
      });
      outbox.send(bytes('x'.repeat(101)));
      endTick();
      outbox.drained();
      endTick();
      expect(sink.texts).toEqual([['x'.repeat(101)], ['more']]);
    });

    test('maxBytes are taken, one byte more is the end: told once, after the tick, and nothing more is taken', () => {
      const outbox = make('stream');
      sink.takes = false;
      outbox.send(bytes('x'.repeat(150)));
      endTick();
      outbox.send(bytes('x'.repeat(50)));
      expect(outbox.queuedBytes).toBe(200);
      outbox.send(bytes('x'));
      expect(events).toEqual([]);
      expect(outbox.queuedBytes).toBe(150);
      expect(outbox.congested).toBe(true);
      outbox.send(bytes('x'));
      endTick();
      expect(events).toEqual(['overflow']);
      expect(sink.writes).toHaveLength(1);
      sink.bufferedBytes = 0;
      outbox.send(bytes('x'));
      outbox.drained();
      endTick();
      expect(events).toEqual(['overflow']);
      expect(sink.writes).toHaveLength(1);
    });

    test('one unit alone may be too large', () => {
      const outbox = make('message');
      outbox.send('x'.repeat(201));
      endTick();
      expect(events).toEqual(['overflow']);
      expect(sink.writes).toEqual([]);
    });

    test('an outbox that was closed meanwhile tells nobody of its overflow', () => {
      const outbox = make('stream');
      outbox.send(bytes('x'.repeat(201)));
      outbox.close();
      endTick();
      expect(events).toEqual([]);
    });

    test('limits that contradict each other are refused', () => {
      for (const limits of [{ lowWaterBytes: 0 }, { lowWaterBytes: 101 }, { maxBytes: 99 }, { highWaterBytes: NaN }]) {
        expect(() => make('stream', limits)).toThrow(RangeError);
      }
      make('stream', { lowWaterBytes: 100, highWaterBytes: 100, maxBytes: 100 });
    });
  });
});
