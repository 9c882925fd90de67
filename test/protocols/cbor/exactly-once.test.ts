import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeHubMessage, encodeData, encodeHello, senmlRecords } from '#protocols/cbor/codec.js';
import { cborSubprotocol } from '#protocols/cbor/session.js';
import { DUPLICATE, STORED, type Outcome } from '#protocols/outcome.js';
import { Bench, type Submitted } from '#test/support/fake-host.js';

/** The hub's disk: decides by the mark, as the writer does. Values that end in 7 are refused by it and recorded. */
class Disk {
  mark = 0;
  readonly stored: number[] = [];
  readonly refused: number[] = [];

  decide({ request, position }: Submitted<readonly { value: unknown }[]>): Outcome {
    const seq = position!.seq;
    if (seq <= this.mark) return DUPLICATE;
    if (seq !== this.mark + 1) return { kind: 'gap', expected: this.mark + 1 };
    this.mark = seq;
    const value = request[0]!.value as number;
    if (value % 10 !== 7) {
      this.stored.push(value);
      return STORED;
    }
    this.refused.push(value);
    return { kind: 'rejected', code: 'series_limit', message: 'no', recorded: true };
  }
}

/** A device by the rules of SPEC.md, section 7. Message n holds the value n. */
class Device {
  /** Everything below is decided. */
  done = 0;
  next = 1;
  readonly nacked = new Set<number>();
  #wentBackTo: number | null = null;

  hear(bench: Bench): void {
    for (const unit of bench.link.take()) {
      const message = decodeHubMessage(unit as Buffer);
      if (message.type === 'welcome') {
        this.done = Math.max(this.done, message.resumeSeq - 1);
        this.next = message.resumeSeq;
        this.#wentBackTo = null;
      } else if (message.type === 'ack') {
        expect(message.seq).toBeGreaterThanOrEqual(this.done);
        this.done = message.seq;
        this.#wentBackTo = null;
      } else if (message.type === 'nack' && message.expected !== null) {
        if (this.#wentBackTo === message.expected) continue;
        this.#wentBackTo = message.expected;
        this.next = message.expected;
      } else if (message.type === 'nack') {
        this.nacked.add(message.seq);
      }
    }
  }
}

type Step =
  | { readonly do: 'send'; readonly count: number }
  /** Forgets where it is, as a faulty device does: leaves messages out, or repeats them. */
  | { readonly do: 'jump'; readonly by: number }
  | { readonly do: 'commit'; readonly count: number }
  | { readonly do: 'hear' }
  /** The link breaks: what is on its way to the device is lost, what the hub has taken is still committed. */
  | { readonly do: 'break'; readonly committed: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constant('send' as const), count: fc.integer({ min: 1, max: 8 }) }),
  fc.record({ do: fc.constant('jump' as const), by: fc.integer({ min: -5, max: 5 }) }),
  fc.record({ do: fc.constant('commit' as const), count: fc.integer({ min: 1, max: 10 }) }),
  fc.record({ do: fc.constant('hear' as const) }),
  fc.record({ do: fc.constant('break' as const), committed: fc.nat(10) }),
);

test('whatever breaks, every message is decided exactly once, in order, and an ACK is never ahead of the disk', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), fc.integer({ min: 1, max: 40 }), async (steps, total) => {
      const disk = new Disk();
      const device = new Device();

      const connect = async (): Promise<Bench> => {
        const bench = new Bench(cborSubprotocol);
        bench.host.resumeSeq = disk.mark + 1;
        bench.receive(encodeHello({ stream: 'q', next: device.done + 1 }));
        await bench.settle();
        device.hear(bench);
        return bench;
      };
      const send = (bench: Bench, count: number): void => {
        for (let i = 0; i < count && device.next <= total; i++, device.next++) {
          bench.receive(encodeData(device.next, senmlRecords([{ metric: 'm', timeUs: null, value: device.next }])));
        }
      };
      const commit = async (bench: Bench, count: number): Promise<void> => {
        for (const submitted of bench.host.ingested.splice(0, count)) submitted.pending.settle(disk.decide(submitted));
        await bench.settle();
      };

      let bench = await connect();
      for (const action of steps) {
        if (action.do === 'send') send(bench, action.count);
        else if (action.do === 'jump') device.next = Math.max(1, device.next + action.by);
        else if (action.do === 'commit') await commit(bench, action.count);
        else if (action.do === 'hear') device.hear(bench);
        else {
          await commit(bench, action.committed);
          bench.session.closed('connection_lost');
          await commit(bench, Number.POSITIVE_INFINITY);
          bench = await connect();
        }
        if (action.do === 'hear') expect(device.done).toBeLessThanOrEqual(disk.mark);
        if (bench.link.closedWith !== null) bench = await connect();
      }
      // The network is well again: the device sends what is left.
      bench.session.closed('connection_lost');
      await commit(bench, Number.POSITIVE_INFINITY);
      bench = await connect();
      for (let rounds = 0; device.done < total; rounds++) {
        expect(rounds, 'the device gets on').toBeLessThan(50);
        send(bench, 8);
        await commit(bench, 8);
        device.hear(bench);
      }

      const all = Array.from({ length: total }, (_, i) => i + 1);
      expect(disk.stored).toEqual(all.filter((n) => n % 10 !== 7));
      expect(disk.refused).toEqual(all.filter((n) => n % 10 === 7));
      for (const seq of device.nacked) expect(disk.refused).toContain(seq);
    }),
    { numRuns: 500 },
  );
});
