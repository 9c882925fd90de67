import { describe, expect, it } from 'vitest';
import type { ControlResult, ControlWrite, Store } from '#hub/store/port.js';
import {
  addEvent,
  addRejected,
  batch,
  command,
  createDevice,
  device,
  message,
  openConnection,
  openStream,
  series,
  wholeRange,
} from './store-batches.ts';
import type { StoreUnderTest } from './store.ts';

const NO_RULES = { label: null, scopes: null, topics: null, expiresUs: null, createdBy: null };
const PAGE = { limit: 100, after: null };

export function storeDevices({ make }: StoreUnderTest): void {
  const write = async (store: Store, ...control: ControlWrite[]): Promise<readonly ControlResult[]> =>
    (await store.commit(batch({ control }))).control;
  const token = (keyId: string, subject: string, kind: 'device' | 'application' | 'api' = 'device'): ControlWrite => ({
    op: 'token.create',
    token: { keyId, hash: new Uint8Array([1, 2, 255]), kind, subject, createdUs: 2000, ...NO_RULES },
  });
  const close = (epoch: number, timeUs = 6000): ControlWrite => ({
    op: 'connection.close',
    device: 'd1',
    epoch,
    reason: 'client_disconnect',
    initiator: 'device',
    detail: 'bye',
    timeUs,
  });

  describe('devices and tokens', () => {
    it('are created once, changed where something is given, and there again at a start', async () => {
      const store = await make();
      const made = device('d1', { name: 'Boiler', protocols: ['mqtt', 'cbor'] });
      const results = await write(store, { op: 'device.create', device: made }, createDevice('d1'), createDevice('d2'));
      expect(results).toMatchObject([{ ok: true }, { ok: false, code: 'exists' }, { ok: true }]);
      expect((await store.read.startState()).devices).toEqual([made, device('d2')]);

      await write(store, { op: 'device.update', id: 'd1', disabled: true });
      await write(store, { op: 'device.update', id: 'd2', name: 'Pump', protocols: [] });
      expect((await store.read.startState()).devices).toEqual([
        { ...made, disabled: true },
        device('d2', { name: 'Pump', protocols: [] }),
      ]);
      await write(store, { op: 'device.update', id: 'd1', name: null, protocols: null, disabled: false });
      expect((await store.read.startState()).devices[0]).toEqual(device('d1'));
      expect(await write(store, { op: 'device.update', id: 'none' })).toMatchObject([{ ok: false, code: 'not_found' }]);
      expect(await write(store, { op: 'device.delete', id: 'none' })).toMatchObject([{ ok: false, code: 'not_found' }]);
    });

    it('have tokens, which only an existing device can be given', async () => {
      const store = await make();
      const results = await write(
        store,
        createDevice('d1'),
        token('aa', 'd1'),
        token('bb', 'app', 'application'),
        token('aa', 'd1'),
        token('cc', 'none'),
        { op: 'token.delete', keyId: 'zz' },
      );
      expect(results.map((result) => (result.ok ? 'ok' : result.code))).toEqual([
        'ok',
        'ok',
        'ok',
        'exists',
        'not_found',
        'not_found',
      ]);
      const { tokens } = await store.read.startState();
      expect(tokens.map(({ keyId, kind, subject }) => [keyId, kind, subject])).toEqual([
        ['aa', 'device', 'd1'],
        ['bb', 'application', 'app'],
      ]);
      expect([...tokens[0]!.hash]).toEqual([1, 2, 255]);
      await write(store, { op: 'token.delete', keyId: 'aa' });
      expect((await store.read.startState()).tokens).toHaveLength(1);
    });

    it('a write that fails by itself does not hurt the rest of its batch', async () => {
      const store = await make();
      const { control } = await store.commit(
        batch({
          newSeries: [series(1)],
          readings: [[1, 10, 1]],
          control: [createDevice('d1'), createDevice('d1'), createDevice('d2')],
        }),
      );
      expect(control.map(({ ok }) => ok)).toEqual([true, false, true]);
      expect((await wholeRange(store)).rows).toHaveLength(1);
      expect((await store.read.startState()).devices).toHaveLength(2);
    });

    it('a deleted device takes its tokens, streams, lists and commands with it; its readings, epoch and connections stay', async () => {
      const store = await make();
      await store.commit(
        batch({
          newSeries: [series(1), series(2, 'd2', 'm')],
          readings: [
            [1, 10, 1],
            [2, 10, 1],
          ],
          sequenced: [message(1, 0, 0), message(1, 0, 0, { device: 'd2' })],
          control: ['d1', 'd2'].flatMap((id): ControlWrite[] => [
            createDevice(id),
            token(id, id),
            token(`app-${id}`, id, 'application'),
            openConnection(id),
            openStream(5, { device: id }),
            addRejected(id, 'x', 1),
            addRejected(id, 'x', 1),
            addEvent(id, 'door'),
            { op: 'command.create', command: command(`c-${id}`, { device: id }) },
          ]),
        }),
      );
      await write(store, { op: 'device.delete', id: 'd1' });

      const state = await store.read.startState();
      expect(state.devices.map(({ id }) => id)).toEqual(['d2']);
      expect(state.tokens.map(({ keyId }) => keyId).sort()).toEqual(['app-d1', 'app-d2', 'd2']);
      expect(state.unfinished.map(({ id }) => id)).toEqual(['c-d2']);
      expect(state.lastConnections).toHaveLength(2);
      expect((await wholeRange(store)).rows).toHaveLength(1);
      expect(await store.read.rejected('d1', PAGE)).toEqual({ items: [], next: null, evicted: 0 });
      expect((await store.read.events('d1', PAGE)).items).toEqual([]);
      expect(await store.read.gaps('d1')).toEqual([]);
      expect(await store.read.command('c-d1')).toBeNull();
      expect(await store.read.rejected('d2', PAGE)).toMatchObject({ evicted: 1, items: [{ device: 'd2' }] });
      expect(await store.read.gaps('d2')).toHaveLength(1);
      expect((await store.read.connections('d1', PAGE)).items).toHaveLength(1);

      const again = await write(store, createDevice('d1'), openConnection('d1'), openStream(1));
      expect(again).toEqual([{ ok: true }, { ok: true, epoch: 2 }, { ok: true, resumeSeq: 1 }]);
    });
  });

  describe('connections', () => {
    it('get rising epochs, and a newer one takes over an open one', async () => {
      const store = await make();
      expect(await write(store, openConnection('d1', 5000), openConnection('d2'), openConnection('d1', 7000))).toEqual([
        { ok: true, epoch: 1 },
        { ok: true, epoch: 1 },
        { ok: true, epoch: 2 },
      ]);
      const { items } = await store.read.connections('d1', PAGE);
      expect(items).toEqual([
        {
          device: 'd1',
          epoch: 2,
          protocol: 'mqtt',
          address: '127.0.0.1',
          clientId: 'c-d1',
          connectedUs: 7000,
          disconnectedUs: null,
          reason: null,
          initiator: null,
          detail: null,
        },
        expect.objectContaining({
          epoch: 1,
          connectedUs: 5000,
          disconnectedUs: 7000,
          reason: 'taken_over',
          initiator: 'hub',
        }),
      ]);
      expect((await store.read.connections('d2', PAGE)).items).toMatchObject([{ disconnectedUs: null }]);
    });

    it('are closed once: a late close changes nothing', async () => {
      const store = await make();
      await write(store, openConnection('d1', 5000), openConnection('d1', 7000));
      expect(await write(store, close(1, 8000), close(9, 8000))).toEqual([{ ok: true }, { ok: true }]);
      await write(store, close(2, 9000));
      await write(store, close(2, 9999));
      expect((await store.read.connections('d1', PAGE)).items).toMatchObject([
        { epoch: 2, disconnectedUs: 9000, reason: 'client_disconnect', initiator: 'device', detail: 'bye' },
        { epoch: 1, disconnectedUs: 7000, reason: 'taken_over' },
      ]);
    });

    it('left open by a crash end at the next start', async () => {
      const store = await make();
      await write(store, openConnection('d2'), openConnection('d1'), close(1), openConnection('d3'));
      const recover: ControlWrite = { op: 'connection.recover', reason: 'hub_crashed', timeUs: 9000 };
      expect(await write(store, recover)).toEqual([{ ok: true, closed: ['d2', 'd3'] }]);
      expect(await write(store, recover)).toEqual([{ ok: true, closed: [] }]);
      const { lastConnections } = await store.read.startState();
      expect(lastConnections.map(({ device: id, reason }) => [id, reason]).sort()).toEqual([
        ['d1', 'client_disconnect'],
        ['d2', 'hub_crashed'],
        ['d3', 'hub_crashed'],
      ]);
    });

    it('are remembered up to a limit, the newest, and no epoch comes twice', async () => {
      const store = await make({ connectionsPerDevice: 3 });
      for (let i = 0; i < 5; i++) await write(store, openConnection('d1', i));
      const first = await store.read.connections('d1', { limit: 2, after: null });
      expect(first.items.map(({ epoch }) => epoch)).toEqual([5, 4]);
      const second = await store.read.connections('d1', { limit: 2, after: first.next });
      expect(second.items.map(({ epoch }) => epoch)).toEqual([3]);
      expect(second.next).toBeNull();
      expect((await store.read.startState()).lastConnections.map(({ epoch }) => epoch)).toEqual([5]);
      expect(await write(store, openConnection('d1'))).toEqual([{ ok: true, epoch: 6 }]);
    });
  });
}
