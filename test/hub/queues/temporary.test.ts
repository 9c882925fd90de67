import { beforeEach, describe, expect, it } from 'vitest';
import { ticks } from '#test/support/hub-parts.js';
import { message } from '../sessions/parts.ts';
import { QueueWorld, Taking, Told } from './parts.ts';

let world: QueueWorld;

beforeEach(async () => {
  world = await QueueWorld.started({ limits: { maxMessages: 3 } });
});

const TOPIC = '$reply/x';

function consume(taking = new Taking()): Taking {
  taking.dispatch = world.book.consumeTemporary(TOPIC, taking.consumer, { messages: 0, bytes: 0 }).dispatch;
  return taking;
}

function send(...texts: readonly string[]): void {
  for (const text of texts) expect(world.sendMessage(message(TOPIC, text))).toBeNull();
}

describe('a temporary queue', () => {
  it('gives what is sent there to its consumer, in order, and writes nothing', async () => {
    const commits = world.store.commits;
    const taking = consume();
    send('1', '2');
    await ticks();
    expect(taking.take()).toEqual(['1', '2']);
    const told = new Told();
    taking.answer(true, told);
    expect(told.outcome).toMatchObject({ kind: 'stored' });
    expect(world.store.commits).toBe(commits);
  });

  it('is full at its bounds: what comes is dropped and counted, and its sender is not to blame', async () => {
    const taking = consume(new Taking(1));
    send('1', '2', '3', '4');
    await ticks();
    expect(world.book.stats.tallies.dropped).toBe(1);
    for (let i = 0; i < 3; i++) {
      taking.answer(true);
      await ticks();
    }
    expect(taking.take()).toEqual(['1', '2', '3']);
    expect(world.sums).toMatchObject({ messages: 0, bytes: 0 });
  });

  it('gives what came back again, and lets go of it when it was refused too often', async () => {
    const taking = consume(new Taking(1));
    send('bad', 'good');
    await ticks();
    for (let i = 0; i < 3; i++) {
      taking.answer(false);
      await ticks();
    }
    expect(taking.take()).toEqual(['bad', 'bad*', 'bad*', 'good']);
    expect(world.book.stats.tallies).toMatchObject({ dead: 1, deadDropped: 1 });
  });

  it('keeps what waits from one consumer to the next, and is gone when it is empty and has none', async () => {
    const first = consume(new Taking(1));
    send('1', '2');
    await ticks();
    first.answer(true);
    await ticks();
    first.dispatch.remove(first.consumer);
    first.answer(false);
    const second = consume();
    await ticks();
    expect(second.take()).toEqual(['2*']);
    second.acknowledgeAll();
    second.leave();
    expect(world.book.hasTemporary(TOPIC)).toBe(false);
    send('3');
    expect(world.book.stats).toMatchObject({ temporary: 0, tallies: { nobody: 1 } });
  });

  it('ends with its connection, whatever waits', async () => {
    const taking = consume(new Taking(1));
    send('1', '2');
    await ticks();
    taking.leave();
    world.book.endTemporary(TOPIC);
    expect(world.sums).toMatchObject({ messages: 0, bytes: 0 });
    expect(world.book.stats.temporary).toBe(0);
  });
});
