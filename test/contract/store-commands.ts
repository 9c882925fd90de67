import { describe, expect, it } from 'vitest';
import type { CommandRow, ControlResult, ControlWrite, Store } from '#hub/store/port.js';
import { batch, command, createDevice } from './store-batches.ts';
import type { StoreUnderTest } from './store.ts';

export function storeCommands({ make }: StoreUnderTest): void {
  const started = async (): Promise<Store> => {
    const store = await make({ historyPerCommand: 4 });
    await write(store, createDevice('d1'), createDevice('d2'));
    return store;
  };
  const write = async (store: Store, ...control: ControlWrite[]): Promise<readonly ControlResult[]> =>
    (await store.commit(batch({ control }))).control;
  const create = (id: string, more: Partial<CommandRow> = {}): ControlWrite => ({
    op: 'command.create',
    command: command(id, more),
  });
  const update = (row: CommandRow, timeUs: number, detail: string | null = null): ControlWrite => ({
    op: 'command.update',
    command: row,
    event: { state: row.state, timeUs, detail },
  });

  describe('commands', () => {
    it('are stored with every column, and changed with a history', async () => {
      const store = await started();
      await write(store, create('c1', { params: '{"times":3}' }));
      const ended = command('c1', {
        params: '{"times":3}',
        state: 'succeeded',
        sentUs: 2000,
        receivedUs: 3000,
        finishedUs: 4000,
        attempts: 2,
        result: '"done"',
        lateStatus: 'failed',
        lateResult: 'null',
      });
      await write(store, update({ ...ended, state: 'sent' }, 2000, 'epoch 7'), update(ended, 4000));
      expect(await store.read.command('c1')).toEqual({
        command: ended,
        history: [
          { state: 'queued', timeUs: 1000, detail: null },
          { state: 'sent', timeUs: 2000, detail: 'epoch 7' },
          { state: 'succeeded', timeUs: 4000, detail: null },
        ],
      });
      expect(await store.read.command('none')).toBeNull();
    });

    it('need an id of their own and an existing device', async () => {
      const store = await started();
      const results = await write(
        store,
        create('c1'),
        create('c1'),
        create('c2', { device: 'none' }),
        update(command('c3'), 1),
      );
      expect(results.map((result) => (result.ok ? 'ok' : result.code))).toEqual([
        'ok',
        'exists',
        'not_found',
        'not_found',
      ]);
      expect((await store.read.command('c1'))?.history).toHaveLength(1);
    });

    it('keep the newest steps of a long history', async () => {
      const store = await started();
      await write(store, create('c1'));
      for (let step = 1; step <= 6; step++) await write(store, update(command('c1', { state: 'sent' }), step));
      expect((await store.read.command('c1'))?.history.map(({ timeUs }) => timeUs)).toEqual([3, 4, 5, 6]);
    });

    it('are listed newest first, by state, by pages', async () => {
      const store = await started();
      await write(store, ...['a', 'b', 'c', 'd', 'e'].map((id) => create(id)), create('x', { device: 'd2' }));
      await write(store, update(command('b', { state: 'expired' }), 1), update(command('d', { state: 'expired' }), 1));
      const list = async (state: CommandRow['state'] | null, limit: number, after: string | null = null) => {
        const page = await store.read.commands('d1', { state, limit, after });
        return { ids: page.items.map(({ id }) => id).join(''), next: page.next };
      };
      expect(await list(null, 10)).toEqual({ ids: 'edcba', next: null });
      expect(await list('expired', 10)).toEqual({ ids: 'db', next: null });
      const first = await list('queued', 2);
      expect(first.ids).toBe('ec');
      expect(await list('queued', 2, first.next)).toEqual({ ids: 'a', next: null });
      await expect(list(null, 2, 'nonsense')).rejects.toMatchObject({ code: 'invalid' });
    });

    it('that are not finished are there again at a start, in the order of creation', async () => {
      const store = await started();
      await write(store, ...['z', 'y', 'x', 'w'].map((id) => create(id)));
      await write(
        store,
        update(command('z', { state: 'received' }), 1),
        update(command('y', { state: 'cancelled' }), 1),
        update(command('w', { state: 'sent' }), 1),
      );
      const { unfinished } = await store.read.startState();
      expect(unfinished.map(({ id, state }) => [id, state])).toEqual([
        ['z', 'received'],
        ['x', 'queued'],
        ['w', 'sent'],
      ]);
    });
  });
}
