import { describe, expect, test } from 'vitest';
import { decodeHubMessage, encodeHello, encodeReceived, encodeResult } from '#protocols/cbor/codec.js';
import { cborSubprotocol } from '#protocols/cbor/session.js';
import type { ProtocolLimits } from '#protocols/limits.js';
import type { Command } from '#protocols/message.js';
import { STORED } from '#protocols/outcome.js';
import { Bench, FakeHost } from '#test/support/fake-host.js';

function command(id: string, params: unknown = { n: 1 }, deadlineMs = Date.UTC(2026, 0, 2)): Command {
  return { id, device: 'd1', name: 'blink', params, payload: Buffer.from('{}'), deadlineMs, attempts: 0 };
}

async function welcomed(limits: Partial<ProtocolLimits> = {}): Promise<Bench> {
  const bench = new Bench(cborSubprotocol, limits);
  bench.receive(encodeHello({ stream: 'q1', next: 1 }));
  await bench.settle();
  bench.link.take();
  bench.host.calls.length = 0;
  return bench;
}

const sentIds = (bench: Bench): string[] =>
  bench.link.take().map((unit) => {
    const message = decodeHubMessage(unit as Buffer);
    return message.type === 'command' ? message.id : message.type;
  });

/** Sixteen commands on their way. */
async function full(): Promise<Bench> {
  const bench = await welcomed();
  for (let i = 1; i <= 16; i++) expect(bench.session.deliver(command(`c-${i}`))).toBe(true);
  bench.link.take();
  return bench;
}

describe('commands', () => {
  test('a command is sent with its parameters and deadline', async () => {
    const bench = await welcomed();
    expect(bench.session.deliver(command('c-1', { times: 3, at: [1.5, null] }))).toBe(true);
    expect(bench.link.take().map((unit) => decodeHubMessage(unit as Buffer))).toEqual([
      {
        type: 'command',
        id: 'c-1',
        name: 'blink',
        params: { times: 3, at: [1.5, null] },
        deadlineMs: Date.UTC(2026, 0, 2),
      },
    ]);
  });

  test('none before WELCOME, none after the end', async () => {
    const bench = new Bench(cborSubprotocol);
    expect(bench.session.deliver(command('c-1'))).toBe(false);
    bench.receive(encodeHello({ stream: 'q1', next: 1 }));
    expect(bench.session.deliver(command('c-1'))).toBe(false);
    await bench.settle();
    bench.session.end('taken_over', '', {});
    bench.link.take();
    expect(bench.session.deliver(command('c-1'))).toBe(false);
    bench.session.writable();
    expect(bench.link.take()).toEqual([]);
    expect(bench.host.calls).toEqual(['ready']);
  });

  test('sixteen may be under way; one makes room for the next when its RECEIVED or RESULT is on disk', async () => {
    const bench = await full();
    expect(bench.session.deliver(command('c-17'))).toBe(false);
    bench.receive(encodeReceived('c-3'));
    expect(bench.session.deliver(command('c-17'))).toBe(false);
    expect(bench.host.calls).toEqual([]);
    FakeHost.settle(bench.host.progressed, STORED);
    expect(bench.host.calls).toEqual(['readyForCommands']);
    expect(bench.session.deliver(command('c-17'))).toBe(true);
    expect(bench.session.deliver(command('c-18'))).toBe(false);
    bench.receive(encodeResult('c-5', 'succeeded', null));
    FakeHost.settle(bench.host.progressed, STORED);
    expect(bench.host.calls).toEqual(['readyForCommands', 'readyForCommands']);
    expect(sentIds(bench)).toEqual(['c-17', 'done']);
  });

  test('with the smallest window and a slow disk, a device that answers every command at once is not closed', async () => {
    const bench = await welcomed({ windowMessages: 1 });
    const waiting = Array.from({ length: 200 }, (_, i) => command(`c-${i}`));
    for (let round = 0; waiting.length > 0 && round < 100; round++) {
      while (waiting.length > 0 && bench.session.deliver(waiting[0]!)) waiting.shift();
      for (const id of sentIds(bench).filter((sent) => sent.startsWith('c-'))) {
        bench.receive(encodeReceived(id));
        bench.receive(encodeResult(id, 'succeeded', null));
      }
      expect(bench.error).toBeNull();
      if (round % 2 === 1) FakeHost.settle(bench.host.progressed, STORED);
    }
    expect(waiting).toEqual([]);
  });

  test('the hub is called back only when it had been turned away', async () => {
    const bench = await welcomed();
    bench.session.deliver(command('c-1'));
    bench.receive(encodeReceived('c-1'));
    bench.session.writable();
    expect(bench.host.calls).toEqual([]);
  });

  test('a repeated RECEIVED, or one about another command, makes no room', async () => {
    const bench = await full();
    bench.receive(encodeReceived('c-1'));
    bench.session.deliver(command('c-17'));
    expect(bench.session.deliver(command('c-18'))).toBe(false);
    bench.receive(encodeReceived('c-1'));
    bench.receive(encodeReceived('unheard-of'));
    expect(bench.host.calls).toEqual([]);
    expect(bench.session.deliver(command('c-18'))).toBe(false);
  });

  test('a congested link takes none until it is writable', async () => {
    const bench = await welcomed();
    bench.link.congested = true;
    expect(bench.session.deliver(command('c-1'))).toBe(false);
    bench.link.congested = false;
    bench.session.writable();
    expect(bench.host.calls).toEqual(['readyForCommands']);
    expect(bench.session.deliver(command('c-1'))).toBe(true);
  });

  test('no command is sent twice in a connection, neither under way nor while its RECEIVED is being written', async () => {
    const bench = await welcomed();
    bench.session.deliver(command('c-1'));
    expect(bench.session.deliver(command('c-1'))).toBe(true);
    bench.receive(encodeReceived('c-1'));
    expect(bench.session.deliver(command('c-1'))).toBe(true);
    bench.receive(encodeResult('c-1', 'succeeded', null));
    FakeHost.settle(bench.host.progressed, STORED, 1);
    expect(bench.session.deliver(command('c-1'))).toBe(true);
    expect(sentIds(bench)).toEqual(['c-1']);
  });

  test('a command that expired unheard takes no room', async () => {
    const bench = await welcomed();
    const now = bench.host.clock;
    for (let i = 1; i <= 16; i++) bench.session.deliver(command(`c-${i}`, {}, now + i * 1000));
    bench.host.clock = now + 1000;
    expect(bench.session.deliver(command('c-17'))).toBe(false);
    bench.host.clock = now + 1001;
    expect(bench.session.deliver(command('c-17'))).toBe(true);
    expect(bench.session.deliver(command('c-18'))).toBe(false);
  });

  test('parameters that no message can hold end the command in words, once, and hold up nothing', async () => {
    const bench = await welcomed();
    const deep: unknown = JSON.parse('['.repeat(8) + ']'.repeat(8));
    expect(bench.session.deliver(command('deep', deep))).toBe(false);
    expect(bench.host.progressed).toEqual([]); // not within deliver
    await bench.settle();
    expect(bench.session.deliver(command('deep', deep))).toBe(false);
    await bench.settle();
    expect(bench.host.progressed.map((p) => p.request)).toMatchObject([
      { commandId: 'deep', progress: { kind: 'result', status: 'rejected', value: { by: 'hub', code: 'too_deep' } } },
    ]);
    FakeHost.settle(bench.host.progressed, STORED);
    expect(bench.host.calls).toEqual(['readyForCommands']);
    expect(bench.session.deliver(command('c-2'))).toBe(true);
    expect(sentIds(bench)).toEqual(['c-2']);
  });

  test('a text with a byte order mark is such a parameter', async () => {
    const bench = await welcomed();
    expect(bench.session.deliver(command('bom', { text: '\ufeffa' }))).toBe(false);
    await bench.settle();
    expect(bench.host.progressed).toMatchObject([{ request: { progress: { value: { code: 'value_not_allowed' } } } }]);
  });
});
