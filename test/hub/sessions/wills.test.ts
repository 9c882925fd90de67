import { beforeEach, describe, expect, it } from 'vitest';
import type { Will } from '#protocols/subprotocol.js';
import { ticks } from '#test/support/hub-parts.js';
import { sub, World, type Client, type ConnectOptions } from './parts.ts';

let world: World;
let watcher: Client;
beforeEach(async () => {
  world = await World.started();
  watcher = await world.connect({ clientId: 'watcher', expiryS: 60 });
  watcher.subscribe(sub('w'));
});

function will(text: string, delayS = 0): Will {
  const request = {
    topic: 'w',
    payload: Buffer.from(text),
    qos: 1 as const,
    retain: false,
    contentType: null,
    headers: [],
  };
  return { request, delayS, expiryS: null };
}

const CLEAN: ConnectOptions = { cleanStart: true, expiryS: 0 };

async function seen(): Promise<string[]> {
  await ticks();
  const texts = watcher.take();
  watcher.acknowledge();
  await ticks();
  return texts;
}

async function restart(): Promise<void> {
  await world.crash();
  watcher = await world.connect({ clientId: 'watcher', expiryS: 60 });
}

const onDisk = async () => (await world.store.read.startState()).wills;

describe('a will', () => {
  it('is on disk from the beginning of the connection, and gone with what publishes it', async () => {
    const client = await world.connect({ ...CLEAN, will: will('last') });
    expect(await onDisk()).toMatchObject([
      { key: client.session.key, delayS: 0, dueUs: null, message: { topic: 'w' } },
    ]);
    expect(world.registry.stats.wills).toBe(1);
    const before = world.store.commits;
    client.leave();
    expect(await seen()).toEqual(['last']);
    expect(world.store.commits).toBeLessThanOrEqual(before + 2);
    expect(await onDisk()).toEqual([]);
    await restart();
    expect(await seen()).toEqual([]);
  });

  it('is not published after a goodbye [MQTT-3.1.2-10]', async () => {
    const client = await world.connect({ will: will('last') });
    world.wills.withdraw(client.session.key);
    client.leave();
    await ticks();
    expect(await onDisk()).toEqual([]);
    await restart();
    expect(await seen()).toEqual([]);
  });

  it('of a connection that was open when the hub died is published at the start', async () => {
    await world.connect({ ...CLEAN, will: will('clean') });
    await world.connect({ clientId: 'other', will: will('lasting') });
    await restart();
    expect((await seen()).sort()).toEqual(['clean', 'lasting']);
    expect(await onDisk()).toEqual([]);
  });

  it('that was published when the hub died is not published again, and one whose publication was lost is', async () => {
    const client = await world.connect({ ...CLEAN, will: will('last') });
    world.store.hold();
    client.leave();
    await ticks();
    await world.crash(true);
    watcher = await world.connect({ clientId: 'watcher', expiryS: 60 });
    expect(await seen()).toEqual(['last']);
    await restart();
    expect(await seen()).toEqual([]);
  });

  it('of a takeover that begins anew comes before the new connection, whose own will takes its place', async () => {
    const first = await world.connect({ will: will('first', 30) });
    first.leave();
    const second = await world.connect({ cleanStart: true, will: will('second') });
    expect(await seen()).toEqual(['first']);
    expect(await onDisk()).toHaveLength(1);
    second.leave();
    expect(await seen()).toEqual(['second']);
  });
});

describe('a will with a delay', () => {
  it('waits for it, to the millisecond', async () => {
    (await world.connect({ will: will('late', 10) })).leave();
    world.clock.advance(9999);
    expect(await seen()).toEqual([]);
    expect(await onDisk()).toMatchObject([{ dueUs: expect.any(Number) }]);
    world.clock.advance(1);
    expect(await seen()).toEqual(['late']);
  });

  it('is withdrawn by the next connection of its session [MQTT-3.1.3-9]', async () => {
    (await world.connect({ will: will('late', 10) })).leave();
    world.clock.advance(9000);
    const again = await world.connect();
    expect(again.resumed).toBe(true);
    world.clock.advance(9000);
    expect(await seen()).toEqual([]);
    expect(await onDisk()).toEqual([]);
  });

  it('does not outlast its session', async () => {
    (await world.connect({ clientId: 'a', expiryS: 5, will: will('short', 10) })).leave();
    (await world.connect({ ...CLEAN, clientId: 'b', will: will('none', 10) })).leave();
    expect(await seen()).toEqual(['none']);
    world.clock.advance(5000);
    expect(await seen()).toEqual(['short']);
  });

  it('goes on waiting through a restart', async () => {
    (await world.connect({ will: will('late', 10) })).leave();
    await ticks();
    world.clock.advance(4000);
    await restart();
    world.clock.advance(5999);
    expect(await seen()).toEqual([]);
    world.clock.advance(1);
    expect(await seen()).toEqual(['late']);
  });

  it('begins to wait at the start, when the hub died with its connection open', async () => {
    await world.connect({ will: will('late', 10) });
    world.clock.advance(60_000);
    await restart();
    world.clock.advance(9999);
    expect(await seen()).toEqual([]);
    world.clock.advance(1);
    expect(await seen()).toEqual(['late']);
  });

  it('is published at the start when its session has ended meanwhile', async () => {
    (await world.connect({ expiryS: 20, will: will('late', 30) })).leave();
    await ticks();
    world.clock.step(25_000);
    await restart();
    expect(await seen()).toEqual(['late']);
  });

  it('longer than a timer of Node is kept', async () => {
    world = await World.started({ expiryMs: 1e10 });
    watcher = await world.connect({ clientId: 'watcher', expiryS: 1e7 });
    watcher.subscribe(sub('w'));
    const delayS = 40 * 24 * 3600;
    (await world.connect({ expiryS: 1e7, will: will('late', delayS) })).leave();
    world.clock.advance(delayS * 1000 - 1);
    expect(await seen()).toEqual([]);
    world.clock.advance(1);
    expect(await seen()).toEqual(['late']);
  });
});
