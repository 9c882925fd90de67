import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FakeClock } from '#test/support/fake-clock.js';
import { IdempotentReplies } from '#hub/http/idempotency.js';
import { tokenOfScope } from './fake-access.ts';
import { FakeHub, serveApi, type Answer } from './fakes.ts';

describe('a command with an Idempotency-Key', () => {
  let hub: FakeHub;
  let api: Awaited<ReturnType<typeof serveApi>>;
  beforeEach(async () => {
    hub = new FakeHub();
    hub.stored.set('fan', { ...hub.stored.get('pump')!, id: 'fan' });
    api = await serveApi(hub);
  });
  afterEach(() => api.close());

  const send = (key: string | null, body: unknown = { name: 'a' }, device = 'pump', token?: string): Promise<Answer> =>
    api.call('POST', `/api/v1/devices/${device}/commands?wait=1`, {
      body,
      ...(token === undefined ? {} : { token }),
      headers: key === null ? {} : { 'idempotency-key': key },
    });
  const commands = (): number => hub.calls.filter(([what]) => what === 'command').length;

  it('that comes again is sent once and answered alike', async () => {
    const first = await send('k1');
    const again = await send('k1');
    expect(again.status).toBe(201);
    expect(again.text).toBe(first.text);
    expect(again.headers.get('location')).toBe(first.headers.get('location'));
    expect(first.headers.get('idempotency-replayed')).toBeNull();
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    expect(commands()).toBe(1);
  });

  it('that comes again while the first is under way waits for its answer', async () => {
    const answers = await Promise.all([send('k1'), send('k1'), send('k1')]);
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
    expect(commands()).toBe(1);
  });

  it('stands for one body and one device', async () => {
    await send('k1');
    for (const [body, device] of [
      [{ name: 'b' }, 'pump'],
      [{ name: 'a', params: {} }, 'pump'],
      [{ name: 'a' }, 'fan'],
    ] as const) {
      expect(await send('k1', body, device)).toMatchObject({ status: 422, body: { code: 'key_reused' } });
    }
    expect(commands()).toBe(1);
  });

  it('is one caller’s own', async () => {
    await send('k1');
    expect((await send('k1', { name: 'b' }, 'pump', tokenOfScope('commands'))).status).toBe(201);
    expect(commands()).toBe(2);
  });

  it('may be tried again after a failure', async () => {
    const { create } = hub.commands;
    hub.commands.create = () => Promise.reject(new Error('not now'));
    expect((await send('k1')).status).toBe(500);
    hub.commands.create = create;
    expect((await send('k1')).status).toBe(201);
  });

  it('is answered even when the wait for its end fails: it was sent', async () => {
    hub.commands.wait = () => Promise.reject(new Error('gone'));
    expect(await send('k1')).toMatchObject({ status: 201, body: { command: { state: 'queued' } } });
    expect((await send('k1')).headers.get('idempotency-replayed')).toBe('true');
    expect(commands()).toBe(1);
  });

  it('needs a key that can be one', async () => {
    for (const key of ['a b', 'x'.repeat(256), 'ü']) expect((await send(key)).status, key).toBe(400);
    expect((await send('x'.repeat(255))).status).toBe(201);
  });

  it('without a key is sent each time', async () => {
    await send(null);
    await send(null);
    expect(commands()).toBe(2);
  });
});

describe('remembered answers', () => {
  const DAY_MS = 24 * 3600 * 1000;
  const limits = { idempotencyMs: DAY_MS, idempotencyKeysPerCaller: 3, idempotencyBytes: 10_000 };
  let clock: FakeClock;
  let replies: IdempotentReplies;
  let runs: number;
  beforeEach(() => {
    clock = new FakeClock();
    replies = new IdempotentReplies(clock, limits);
    runs = 0;
  });

  const ask = (caller: string, key: string, body: object = {}) =>
    replies.once(caller, key, 'request', async () => ({ status: 201, body: { run: ++runs, ...body } }));

  it('are kept for a day', async () => {
    await ask('a', 'k');
    clock.advance(DAY_MS - 1);
    await ask('a', 'k');
    expect(runs).toBe(1);
    clock.advance(1);
    await ask('a', 'k');
    expect(runs).toBe(2);
    expect(replies.size).toBe(1);
  });

  it('of one caller are so many, and the oldest goes first', async () => {
    for (const key of ['1', '2', '3']) await ask('a', key);
    await ask('b', '1');
    expect(replies.size).toBe(4);
    await ask('a', '4');
    expect(replies.size).toBe(4);
    await ask('a', '2');
    await ask('b', '1');
    expect(runs).toBe(5);
    await ask('a', '1');
    expect(runs).toBe(6);
  });

  it('take so many bytes in all, and the oldest go first', async () => {
    const large = { text: 'x'.repeat(3000) };
    for (const caller of ['a', 'b', 'c', 'd']) await ask(caller, 'k', large);
    expect(replies.size).toBe(2);
    await ask('d', 'k');
    expect(runs).toBe(4);
    await ask('e', 'k', { text: 'x'.repeat(20_000) });
    expect(replies.size).toBe(0);
  });
});
