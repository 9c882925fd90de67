import fc from 'fast-check';
import { expect, it } from 'vitest';
import { MemoryStore } from '#hub/store/memory.js';
import type { CommandState, ControlWrite, Page, SequencedMessage, Store, WriteBatch } from '#hub/store/port.js';
import {
  addEvent,
  addRejected,
  batch,
  command,
  device,
  openConnection,
  openStream,
  series,
  wholeLog,
  wholeRange,
  type TestReading,
} from '../../contract/store-batches.ts';
import { operator } from '../../contract/store-operators.ts';
import { openStore, temporaryFolder } from './folders.ts';

const BATCHES = 250;
const DEVICES = ['d1', 'd2', 'd3'];
const LIMITS = { connectionsPerDevice: 4, gapsPerDevice: 3, historyPerCommand: 3 };
const SERIES = DEVICES.flatMap((id, index) => [series(2 * index + 1, id, 'a'), series(2 * index + 2, id, 'b')]);

const NO_RULES = { label: null, scopes: null, topics: null, expiresUs: null, createdBy: null };
const id = fc.constantFrom(...DEVICES);
const key = fc.constantFrom('k1', 'k2', 'k3', 'k4');
const stream = fc.constantFrom('s1', 's2', 's3');
const small = fc.integer({ min: 1, max: 6 });
const text = fc.string({ maxLength: 4 });

const control: fc.Arbitrary<ControlWrite> = fc.oneof(
  fc.record({ id, name: fc.option(text) }).map((d): ControlWrite => ({ op: 'device.create', device: device(d.id, d) })),
  fc
    .record({ id, name: fc.option(text), disabled: fc.boolean() })
    .map((change): ControlWrite => ({ op: 'device.update', ...change })),
  { weight: 1, arbitrary: id.map((d): ControlWrite => ({ op: 'device.delete', id: d })) },
  fc
    .record({ keyId: key, subject: id, kind: fc.constantFrom('device' as const, 'application' as const) })
    .map((t): ControlWrite => ({
      op: 'token.create',
      token: { ...t, hash: new Uint8Array(2), createdUs: 1, ...NO_RULES },
    })),
  key.map((keyId): ControlWrite => ({ op: 'token.delete', keyId })),
  { weight: 3, arbitrary: fc.tuple(id, small).map(([d, timeUs]) => openConnection(d, timeUs)) },
  fc
    .record({ device: id, epoch: small, timeUs: small, detail: text })
    .map((c): ControlWrite => ({ op: 'connection.close', reason: 'ping_timeout', initiator: 'hub', ...c })),
  small.map((timeUs): ControlWrite => ({ op: 'connection.recover', reason: 'hub_crashed', timeUs })),
  {
    weight: 3,
    arbitrary: fc
      .tuple(fc.integer({ min: 1, max: 30 }), fc.record({ device: id, stream, maxStreams: fc.constantFrom(2, 3) }))
      .map(([nextSeq, more]) => openStream(nextSeq, more)),
  },
  fc.tuple(key, id).map(([c, d]): ControlWrite => ({ op: 'command.create', command: command(c, { device: d }) })),
  fc
    .tuple(key, fc.constantFrom<CommandState>('sent', 'received', 'failed'), small)
    .map(([c, state, timeUs]): ControlWrite => ({
      op: 'command.update',
      command: command(c, { state, attempts: timeUs, finishedUs: state === 'failed' ? timeUs : null }),
      event: { state, timeUs, detail: null },
    })),
  fc.tuple(id, text, small, small).map(([d, payload, keep, all]) => addRejected(d, payload, keep, all + 3)),
  fc.tuple(id, text, small).map(([d, name, keep]) => addEvent(d, name, keep)),
  fc
    .record({ name: id, disabled: fc.boolean(), op: fc.constantFrom('operator.create', 'operator.update') })
    .map(({ name, disabled, op }): ControlWrite => ({ op, operator: operator(name, { disabled }) })),
  id.map((name): ControlWrite => ({ op: 'operator.delete', name })),
  fc.record({ hash: small, operator: id, expiresUs: small }).map(({ hash, ...row }): ControlWrite => {
    const signIn = { ...row, hash: new Uint8Array([hash]), createdUs: 1 };
    return { op: 'signIn.create', signIn };
  }),
  small.map((hash): ControlWrite => ({ op: 'signIn.delete', hash: new Uint8Array([hash]) })),
  id.map((name): ControlWrite => ({ op: 'signIn.deleteOf', operator: name })),
  fc
    .record({
      op: fc.constantFrom('retain.connections', 'retain.rejected', 'retain.commands', 'retain.events'),
      beforeUs: fc.constantFrom(3, 5, 7500, 8500),
    })
    .map((old): ControlWrite => ({ ...old, limit: 100 })),
);

const reading: fc.Arbitrary<TestReading> = fc.tuple(
  fc.integer({ min: 1, max: SERIES.length }),
  fc.integer({ min: 0, max: 12 }),
  fc.oneof(fc.constantFrom(0, 1, 2.5, '', '1', 'é', true, false), fc.double({ noNaN: true, noDefaultInfinity: true })),
);

const parts = fc.record({
  readings: fc.array(reading, { maxLength: 20 }),
  messages: fc.array(
    fc.record({
      device: id,
      stream,
      seq: fc.integer({ min: 0, max: 30 }),
      before: fc.nat(2),
      rows: fc.nat(3),
      records: fc.boolean(),
    }),
    { maxLength: 6 },
  ),
  control: fc.array(control, { maxLength: 4 }),
});

/** Made twice, since a commit takes the columns away. */
function write({
  readings,
  messages,
  control: writes,
}: typeof parts extends fc.Arbitrary<infer Parts> ? Parts : never): WriteBatch {
  let row = 0;
  const sequenced = messages.map(({ before, rows, records, ...message }): SequencedMessage => {
    const firstRow = Math.min(row + before, readings.length);
    const endRow = Math.min(firstRow + rows, readings.length);
    row = endRow;
    return { ...message, firstRow, endRow, control: records ? addEvent(message.device, 'recorded', 5) : null };
  });
  return batch({ readings, sequenced, control: writes });
}

/** Everything that a store answers, in a form in which two stores can be compared. */
async function everything(store: Store, limit: number): Promise<unknown> {
  const state = await store.read.startState();
  const plain = (value: unknown): unknown =>
    JSON.parse(
      JSON.stringify(value, (_, part: unknown) =>
        part instanceof Uint8Array ? Buffer.from(part).toString('hex') : part,
      ),
    );
  const ofDevices = DEVICES.map(async (name) => {
    const page = { limit, after: null };
    const connections = await store.read.connections(name, page);
    return [
      await wholeRange(store, { device: name, limit }),
      await wholeRange(store, { device: name, metric: 'b', fromUs: 3, toUs: 9 }),
      await store.read.rejected(name, page),
      await store.read.events(name, page),
      connections,
      await store.read.connections(name, { limit, after: connections.next }),
      opaque(await store.read.commands(name, { ...page, state: null })),
      opaque(await store.read.commands(name, { ...page, state: 'sent' })),
      await store.read.gaps(name),
    ];
  });
  const byText = (list: readonly unknown[]): unknown[] => list.map(plain).sort(compareText);
  return plain({
    ...state,
    devices: byText(state.devices),
    tokens: byText(state.tokens),
    latest: byText(state.latest),
    lastConnections: byText(state.lastConnections),
    log: await wholeLog(store),
    lists: await Promise.all(ofDevices),
    commands: await Promise.all(['k1', 'k2', 'k3', 'k4'].map((name) => store.read.command(name))),
  });
}

/** A page whose cursor is another text in every store. */
function opaque<T>({ items, next }: Page<T>): unknown {
  return { items, more: next !== null };
}

function compareText(a: unknown, b: unknown): number {
  return JSON.stringify(a) < JSON.stringify(b) ? -1 : 1;
}

it('SQLite and memory answer alike after the same random writes', { timeout: 60_000 }, async () => {
  const seed = Math.floor(Math.random() * 1e9);
  // Small chunks, so that a scan goes over many of them.
  const sqlite = await openStore(temporaryFolder(), { ...LIMITS, rangeChunkRows: 97 });
  const memory = new MemoryStore(LIMITS);
  await memory.open();
  for (const store of [sqlite, memory]) await store.commit(batch({ newSeries: SERIES }));
  for (const [index, sample] of fc.sample(parts, { numRuns: BATCHES, seed }).entries()) {
    const where = `seed ${seed}, batch ${index}`;
    const result = await memory.commit(write(sample));
    const words = (list: typeof result.control): unknown => list.map((r) => (r.ok ? r : r.code));
    const other = await sqlite.commit(write(sample));
    expect(other.sequenced, where).toEqual(result.sequenced);
    expect(words(other.control), where).toEqual(words(result.control));
    if (index % 25 === 0 || index === BATCHES - 1) {
      expect(await everything(sqlite, 1 + (index % 7)), where).toEqual(await everything(memory, 1 + (index % 7)));
    }
  }
});
