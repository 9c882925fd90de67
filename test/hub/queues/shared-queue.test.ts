import { beforeEach, describe, expect, it, vi } from 'vitest';
import { STORED } from '#protocols/outcome.js';
import { ticks } from '#test/support/hub-parts.js';
import { message } from '../sessions/parts.ts';
import { QueueWorld, Taking, text, Told } from './parts.ts';

let world: QueueWorld;

beforeEach(async () => {
  world = await QueueWorld.started();
});

async function waitingOnDisk(): Promise<number> {
  const { queues } = await world.store.read.startState();
  return queues.reduce((sum, { entries }) => sum + entries.count, 0);
}

describe('a queue', () => {
  it('gives each message to one consumer, in turn, in the order in which they were sent', async () => {
    const a = world.consume('q');
    const b = world.consume('q');
    await ticks();
    world.send('q', '1', '2', '3', '4', '5');
    await ticks();
    expect(a.take()).toEqual(['1', '3', '5']);
    expect(b.take()).toEqual(['2', '4']);
  });

  it('keeps what is sent while nobody consumes, and gives it to who comes, page by page', async () => {
    const texts = Array.from({ length: 30 }, (_, i) => String(i));
    world.send('q', ...texts);
    await ticks();
    expect(world.view('q')).toEqual({ messages: 30, unacknowledged: 0, consumers: 0, deadLetters: 0 });
    const taking = world.consume('q');
    await ticks(30);
    expect(taking.take()).toEqual(texts);
    expect(await waitingOnDisk()).toBe(30);
    taking.acknowledgeAll();
    await ticks();
    expect(await waitingOnDisk()).toBe(0);
  });

  it('offers a message after its commit, never before', async () => {
    const taking = world.consume('q');
    await ticks();
    world.store.hold();
    world.send('q', 'a');
    await ticks();
    expect(taking.take()).toEqual([]);
    world.store.release();
    await ticks();
    expect(taking.take()).toEqual(['a']);
  });

  it('gives no consumer more than its prefetch, and goes to others meanwhile', async () => {
    const slow = world.consume('q', new Taking(1));
    const fast = world.consume('q', new Taking(2));
    await ticks();
    world.send('q', '1', '2', '3', '4');
    await ticks();
    expect([slow.take(), fast.take()]).toEqual([['1'], ['2', '3']]);
    fast.answer(true);
    await ticks();
    expect([slow.take(), fast.take()]).toEqual([[], ['4']]);
  });

  it('gives no consumer more than a mebibyte, and one message of any size', async () => {
    const half = 'x'.repeat(512 * 1024);
    const wide = { maxBytes: 1e8, maxBytesInAll: 1e9, windowBytes: 1e8, windowBytesInAll: 1e9 };
    world = await QueueWorld.started({ queues: { queue: limited(9, wide) } });
    const taking = world.consume('q');
    await ticks();
    world.send('q', half, half, half);
    world.send('big', half + half + half, 'next');
    const big = world.consume('big');
    await ticks();
    expect(taking.taken).toHaveLength(2);
    expect(big.taken).toHaveLength(1);
    taking.answer(true);
    big.answer(true);
    await ticks();
    expect([taking.taken.length, big.taken.length]).toEqual([3, 2]);
  });

  it('passes a consumer that does not take what it is offered, until it does', async () => {
    const congested = world.consume('q');
    const other = world.consume('q', new Taking(1));
    congested.congested = true;
    await ticks();
    world.send('q', '1', '2');
    await ticks();
    expect([congested.take(), other.take()]).toEqual([[], ['1']]);
    congested.congested = false;
    congested.dispatch.unblock(congested.consumer);
    await ticks();
    expect(congested.take()).toEqual(['2']);
  });

  it('with auto is through a message as soon as it is taken', async () => {
    const taking = world.consume('q', new Taking(1, 0));
    world.send('q', '1', '2', '3');
    await ticks(12);
    expect(taking.take()).toEqual(['1', '2', '3']);
    expect(await waitingOnDisk()).toBe(0);
  });

  it('tells of an answer after the commit that takes the message off the disk', async () => {
    const taking = world.consume('q');
    world.send('q', 'a');
    await ticks();
    world.store.hold();
    const told = new Told();
    taking.answer(true, told);
    await ticks();
    expect(told.outcome).toBeNull();
    world.store.release();
    await ticks();
    expect(told.outcome).toMatchObject({ kind: 'stored' });
    expect(await waitingOnDisk()).toBe(0);
  });

  it('takes a message from the disk once, however answers and readers meet', async () => {
    world.send('q', '1', '2');
    await ticks();
    const first = world.consume('q', new Taking(1));
    await ticks();
    world.store.hold();
    first.answer(true);
    first.leave();
    const second = world.consume('q');
    await ticks();
    world.store.release();
    await ticks();
    expect(second.take()).toEqual(['2']);
  });
});

describe('what comes back', () => {
  it('of a consumer that left goes to another first, in order, marked as had before', async () => {
    const a = world.consume('q', new Taking(2));
    await ticks();
    world.send('q', '1', '2', '3');
    await ticks();
    a.leave();
    const b = world.consume('q');
    await ticks();
    expect(b.take()).toEqual(['1*', '2*', '3']);
  });

  it('out of order goes out in order', async () => {
    const [a, b] = [world.consume('q', new Taking(3)), world.consume('q', new Taking(1))];
    await ticks();
    world.send('q', '1', '2', '3', '4', '5');
    await ticks();
    expect([a.take(), b.take()]).toEqual([['1', '3', '4'], ['2']]);
    a.inHand.reverse();
    for (let i = 0; i < 3; i++) a.answer(false);
    await ticks();
    expect(a.take()).toEqual(['1*', '3*', '4*']);
  });

  it('of the last consumer waits on disk, and is known to have been had', async () => {
    const a = world.consume('q', new Taking(2));
    await ticks();
    world.send('q', '1', '2', '3');
    await ticks();
    a.leave();
    expect(world.view('q')).toEqual({ messages: 3, unacknowledged: 0, consumers: 0, deadLetters: 0 });
    await ticks();
    const b = world.consume('q');
    await ticks();
    expect(b.take()).toEqual(['1*', '2*', '3']);
  });

  it('refused comes again, and after so many times goes to the dead letters in the same commit', async () => {
    const taking = world.consume('q', new Taking(1));
    await ticks();
    world.send('q', 'bad', 'good');
    await ticks();
    for (let i = 0; i < 3; i++) {
      taking.answer(false);
      await ticks();
    }
    expect(taking.take()).toEqual(['bad', 'bad*', 'bad*', 'good']);
    expect(world.view('q')).toEqual({ messages: 0, unacknowledged: 1, consumers: 1, deadLetters: 1 });
    const dead = world.consume('dead-letters/q');
    await ticks();
    expect(dead.taken[0]!.message).toMatchObject({
      topic: '$queue/dead-letters/q',
      headers: [
        ['original-topic', '$queue/q'],
        ['dead-in', 'q'],
        ['refused', '3'],
      ],
    });
    expect(await waitingOnDisk()).toBe(2);
  });

  it('given back unread does not count towards that', async () => {
    const taking = world.consume('q', new Taking(1));
    await ticks();
    world.send('q', 'a');
    await ticks();
    for (let i = 0; i < 9; i++) {
      const handed = taking.inHand.shift()!;
      handed.queue.returned(handed, false);
      await ticks(1);
    }
    await ticks();
    expect(taking.taken).toHaveLength(10);
    expect(world.view('q')).toMatchObject({ deadLetters: 0, unacknowledged: 1 });
  });

  it('refused is counted on disk: a restart does not begin anew', async () => {
    let taking = world.consume('q', new Taking(1));
    await ticks();
    world.send('q', 'bad');
    await ticks();
    taking.answer(false);
    await ticks();
    taking.answer(false);
    await ticks();
    await world.crash();
    taking = world.consume('q', new Taking(1));
    await ticks();
    taking.answer(false);
    await ticks();
    expect(world.view('q')).toMatchObject({ deadLetters: 1, messages: 0 });
  });

  it('says as a dead letter what became of it this time, whatever its sender says in those headers', async () => {
    const sent = message('$queue/q', 'x', {
      headers: [
        ['dead-in', 'elsewhere'],
        ['refused', '99'],
        ['k', 'v'],
      ],
    });
    world.sendMessage(sent);
    const taking = world.consume('q');
    for (let i = 0; i < 3; i++) {
      await ticks();
      taking.answer(false);
    }
    const dead = world.consume('dead-letters/q');
    await ticks();
    expect(dead.taken[0]!.message.headers).toEqual([
      ['k', 'v'],
      ['original-topic', '$queue/q'],
      ['dead-in', 'q'],
      ['refused', '3'],
    ]);
  });

  it('of a dead letter stays a dead letter', async () => {
    world.send('dead-letters/q', 'a');
    const taking = world.consume('dead-letters/q', new Taking(1));
    await ticks();
    for (let i = 0; i < 6; i++) {
      taking.answer(false);
      await ticks();
    }
    expect(taking.inHand.map(text)).toEqual(['a']);
    expect(world.view('dead-letters/q')).toMatchObject({ unacknowledged: 1 });
  });

  it('stays its consumer’s own after that has ended, until it answers', async () => {
    const a = world.consume('q', new Taking(2));
    await ticks();
    world.send('q', '1', '2');
    await ticks();
    a.dispatch.remove(a.consumer);
    const b = world.consume('q');
    await ticks();
    expect(b.take()).toEqual([]);
    a.answer(true);
    a.answer(false);
    await ticks();
    expect(b.take()).toEqual(['2*']);
  });

  it('answered too late changes nothing', async () => {
    const a = world.consume('q');
    await ticks();
    world.send('q', 'a');
    await ticks();
    const handed = a.inHand[0]!;
    a.leave();
    const b = world.consume('q');
    const told = new Told();
    handed.queue.acknowledged(handed, told);
    handed.queue.returned(handed, true);
    await ticks();
    expect(told.outcome).toMatchObject({ kind: 'routed' });
    expect(b.take()).toEqual(['a*']);
  });
});

describe('a disk that is full', () => {
  it('confirms nothing and gives nothing out until it takes writes again, and then everything once', async () => {
    world.send('q', '1', '2');
    const taking = world.consume('q', new Taking(2));
    await ticks();
    expect(taking.take()).toEqual(['1', '2']);
    world.store.failNext('full');
    const [acknowledged, refused, kept] = [new Told(), new Told(), new Told()];
    taking.answer(true, acknowledged);
    taking.answer(false, refused);
    world.send('q', '3');
    world.journal.afterCommitSettle(kept, STORED);
    await ticks();
    const told = () => [acknowledged, refused, kept].map(({ outcome }) => outcome?.kind);
    expect(told()).toEqual([undefined, undefined, undefined]);
    // What came back was on the disk before.
    expect(taking.take()).toEqual(['2*']);
    taking.leave();
    const next = world.consume('q');
    await ticks();
    expect(next.take()).toEqual([]);
    world.clock.advance(100);
    await ticks();
    expect(told()).toEqual(['stored', 'stored', 'stored']);
    expect(next.take()).toEqual(['2*', '3']);
    next.acknowledgeAll();
    await ticks();
    expect(await waitingOnDisk()).toBe(0);
  });
});

describe('a message that expires', () => {
  it('goes to nobody once it has', async () => {
    world.sendMessage(message('$queue/q', 'old', { properties: { expiresMs: world.clock.now() + 10 } }));
    world.send('q', 'new');
    await ticks();
    world.clock.advance(10);
    const taking = world.consume('q');
    await ticks();
    expect(taking.take()).toEqual(['new']);
    expect(world.book.stats.tallies.expired).toBe(1);
  });

  it('makes room in a full queue without consumers', async () => {
    world = await QueueWorld.started({ queues: { queue: limited(2) } });
    const expiresMs = world.clock.now() + 10;
    for (const body of ['1', '2']) world.sendMessage(message('$queue/q', body, { properties: { expiresMs } }));
    await ticks();
    expect(world.send('q', '3')).toEqual(['maxQueueMessages']);
    world.clock.advance(10);
    world.send('q', '3');
    await ticks();
    expect(world.send('q', '4')).toEqual([null]);
    expect(world.view('q')).toMatchObject({ messages: 1 });
  });

  it('makes room once, also when it was answered just before', async () => {
    world = await QueueWorld.started({ queues: { queue: limited(2) } });
    world.sendMessage(message('$queue/q', '1', { properties: { expiresMs: world.clock.now() + 10 } }));
    world.send('q', '2');
    const taking = world.consume('q', new Taking(1));
    await ticks();
    world.store.hold();
    world.send('elsewhere', 'x');
    await ticks();
    taking.answer(true);
    taking.leave();
    world.clock.advance(10);
    // What was answered is on the disk still.
    expect(world.send('q', '3', '4')).toEqual([null, 'maxQueueMessages']);
    await ticks();
    world.store.release();
    await ticks();
    expect(world.view('q')).toMatchObject({ messages: 2 });
    const next = world.consume('q', new Taking(1));
    await ticks();
    next.answer(true);
    await ticks();
    next.answer(true);
    expect(next.take()).toEqual(['2', '3']);
  });

  it('is looked for on the disk when some may be there, not for each message that a full queue refuses', async () => {
    world = await QueueWorld.started({ queues: { queue: limited(2) } });
    const expiresMs = world.clock.now() + 1000;
    world.sendMessage(message('$queue/q', '1', { properties: { expiresMs } }));
    world.send('q', '2');
    await ticks();
    await world.crash();
    const { read } = world.store;
    const reads = vi.spyOn(read, 'sessionQueue');
    for (let i = 0; i < 20; i++) {
      expect(world.send('q', 'x')).toEqual(['maxQueueMessages']);
      await ticks();
    }
    // Once after the start, with the page behind the last.
    expect(reads.mock.calls.length).toBeLessThanOrEqual(2);
    world.clock.advance(1000);
    world.send('q', 'x');
    await ticks();
    expect(world.send('q', '3', '4')).toEqual([null, 'maxQueueMessages']);
  });
});

function limited(maxMessages: number, more: object = {}) {
  const bounds = { maxMessages, maxBytes: 1e6, maxBytesInAll: 1e9, full: 'refuse_newest' as const };
  return { ...bounds, windowMessages: 4, windowBytes: 10_000, windowBytesInAll: 1e6, ...more };
}

describe('the bounds', () => {
  it('in messages, those with consumers included: the one past it is refused, and there is room when one is answered', async () => {
    world = await QueueWorld.started({ queues: { queue: limited(2) } });
    const taking = world.consume('q', new Taking(1));
    await ticks();
    expect(world.send('q', '1', '2', '3')).toEqual([null, null, 'maxQueueMessages']);
    await ticks();
    taking.answer(true);
    expect(world.send('q', '4', '5')).toEqual([null, 'maxQueueMessages']);
    await ticks();
    expect(world.book.stats.tallies).toMatchObject({ sent: 3, refused: 2 });
  });

  it('in bytes, to the byte, of one queue and of all', async () => {
    const BYTES = 64 + 64 + '$queue/q'.length + 1;
    world = await QueueWorld.started({
      queues: { queue: limited(9, { maxBytes: 2 * BYTES, maxBytesInAll: 3 * BYTES }) },
    });
    expect(world.send('q', '1', '22')).toEqual([null, 'maxQueueBytes']);
    expect(world.send('q', '2', '3')).toEqual([null, 'maxQueueBytes']);
    expect(world.send('r', '1', '2')).toEqual([null, 'maxQueueBytesInAll']);
    expect(world.book.stats).toMatchObject({ messages: 3, bytes: 3 * BYTES });
  });

  it('in number: no queue more, until one is gone', async () => {
    const names = ['a', 'b', 'c', 'd', 'e'];
    for (const name of names) expect(world.send(name, 'x')).toEqual([null]);
    expect(world.send('f', 'x')).toEqual(['maxQueues']);
    expect(world.book.fault([message('$queue/f', 'x')])).toMatchObject({ limit: 'maxQueues' });
    expect(world.book.consume('f', new Taking().consumer)).toMatchObject({ limit: 'maxQueues' });
    const taking = world.consume('a', new Taking(9, 0));
    await ticks();
    taking.leave();
    expect(world.view('a')).toBeNull();
    expect(world.send('f', 'x')).toEqual([null]);
    await ticks();
    const { queues } = await world.store.read.startState();
    expect(queues.map(({ queue }) => queue.name).sort()).toEqual(['b', 'c', 'd', 'e', 'f']);
  });

  it('of a message that alone is too large leave no queue behind', async () => {
    world = await QueueWorld.started({ queues: { queue: limited(9, { maxBytes: 10 }) } });
    expect(world.send('q', 'x')).toEqual(['maxQueueBytes']);
    expect(world.view('q')).toBeNull();
    await ticks();
    expect((await world.store.read.startState()).queues).toEqual([]);
  });

  it('are asked for several messages together', async () => {
    world = await QueueWorld.started({
      queues: { maxQueues: 2, queue: limited(3, { maxBytes: 2_000, maxBytesInAll: 2_900 }) },
    });
    world.send('q', '1');
    const fault = (...names: readonly string[]): string | null | undefined =>
      world.book.fault(
        names.map((name) => message(`$queue/${name.replace('!', '')}`, 'x'.repeat(name.endsWith('!') ? 800 : 1))),
      )?.limit;
    expect(fault('q', 'q')).toBeUndefined();
    expect(fault('q', 'q', 'q')).toBe('maxQueueMessages');
    expect(fault('r', 'r', 'r', 'q')).toBeUndefined();
    expect(fault('r', 's')).toBe('maxQueues');
    expect(fault('r', 'q!')).toBeUndefined();
    expect(fault('q!', 'q!')).toBe('maxQueueBytes');
    expect(fault('q!', 'r!', 'r!')).toBe('maxQueueBytesInAll');
    expect(world.view('q')).toMatchObject({ messages: 1 });
    expect(world.view('r')).toBeNull();
  });

  it('of a name', () => {
    expect(world.send('', 'x')).toEqual(['a queue has a name']);
    expect(world.send('x'.repeat(93), 'x')).toEqual([null]);
    expect(world.send('x'.repeat(94), 'x')).toEqual(['maxTopicBytes']);
    expect(world.send('a/b/c/d', 'x')).toEqual([null]);
    expect(world.send('a/b/c/d/e', 'x')).toEqual(['maxTopicLevels']);
  });

  it('of the dead letters: where their queue cannot be, they stand in the common one, and past its bound are dropped and counted', async () => {
    world = await QueueWorld.started({ queues: { maxQueues: 1, maxDeliveries: 1, queue: limited(2) } });
    const taking = world.consume('q');
    await ticks();
    for (const body of ['1', '2', '3']) {
      world.send('q', body);
      await ticks();
      taking.answer(false);
    }
    expect(world.view('dead-letters/q')).toBeNull();
    expect(world.view('dead-letters')).toMatchObject({ messages: 2 });
    expect(world.book.stats.tallies).toMatchObject({ dead: 3, deadDropped: 1 });
  });
});

describe('a queue that nobody needs', () => {
  it('is gone with its last consumer, in memory and on disk', async () => {
    const taking = world.consume('q');
    await ticks();
    expect((await world.store.read.startState()).queues).toHaveLength(1);
    taking.leave();
    await ticks();
    expect(world.book.stats).toMatchObject({ queues: 0, messages: 0, bytes: 0 });
    expect((await world.store.read.startState()).queues).toEqual([]);
  });

  it('can be deleted with its messages, not while somebody consumes it', async () => {
    world.send('q', '1', '2');
    const taking = world.consume('q', new Taking(1));
    await ticks();
    expect(await world.book.delete('q')).toBe('consumed');
    taking.leave();
    expect(await world.book.delete('q')).toBe('deleted');
    expect(await world.book.delete('q')).toBe('not_found');
    await ticks();
    expect((await world.store.read.startState()).queues).toEqual([]);
    expect(world.book.stats).toMatchObject({ messages: 0, bytes: 0 });
  });
});

describe('a restart', () => {
  it('finds what was sent, in order; what a consumer may have had is marked', async () => {
    const taking = world.consume('q', new Taking(2));
    await ticks();
    world.send('q', '1', '2', '3');
    await ticks();
    taking.answer(true);
    await ticks();
    await world.crash();
    expect(world.view('q')).toMatchObject({ messages: 2, consumers: 0 });
    const again = world.consume('q');
    await ticks();
    // 3 was not given to anybody, but the hub died with a consumer there.
    expect(again.take()).toEqual(['2*', '3*']);
  });

  it('after a quiet end marks only what was given out', async () => {
    const taking = world.consume('q', new Taking(1));
    await ticks();
    world.send('q', '1', '2');
    await ticks();
    taking.leave();
    await ticks();
    await world.crash();
    const again = world.consume('q');
    await ticks();
    expect(again.take()).toEqual(['1*', '2']);
  });

  it('gives new messages places and ids behind the old ones', async () => {
    world.send('q', '1');
    await ticks();
    await world.crash();
    world.send('q', '2');
    world.send('r', '3');
    await ticks();
    await world.crash();
    const q = world.consume('q');
    const r = world.consume('r');
    await ticks();
    expect([q.take(), r.take()]).toEqual([['1', '2'], ['3']]);
  });
});

describe('the list', () => {
  it('shows queues and durable subscriptions page by page', async () => {
    world.send('a', '1');
    world.send('b', '1', '2');
    const page = world.book.list({ after: null, limit: 1 });
    expect(page.items.map(({ name, messages }) => [name, messages])).toEqual([['a', 1]]);
    const rest = world.book.list({ after: page.next, limit: 5 });
    expect(rest.items.map(({ name, messages }) => [name, messages])).toEqual([['b', 2]]);
    expect(rest.next).toBeNull();
    expect(() => world.book.list({ after: 'x', limit: 1 })).toThrow(RangeError);
    await ticks();
  });
});
