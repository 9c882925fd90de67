import { describe, expect, it } from 'vitest';
import type { ControlResult, ControlWrite, Store } from '#hub/store/port.js';
import { addEvent, addRejected, batch, command, createDevice, openConnection } from './store-batches.ts';
import type { StoreUnderTest } from './store.ts';

const PAGE = { limit: 100, after: null };
type List = 'connections' | 'rejected' | 'commands' | 'events';

function retain(list: List, beforeUs: number, limit = 100): ControlWrite {
  return { op: `retain.${list}`, beforeUs, limit };
}

function close(device: string, epoch: number, timeUs: number): ControlWrite {
  return {
    ...{ op: 'connection.close', device, epoch, timeUs },
    ...{ reason: 'client_disconnect', initiator: 'device', detail: '' },
  };
}

function rejectedAt(device: string, text: string, timeUs: number, keep = 100): ControlWrite {
  const add = addRejected(device, text, keep);
  if (add.op !== 'rejected.add') throw new Error('wrong write');
  return { ...add, rejected: { ...add.rejected, timeUs } };
}

function eventAt(device: string, name: string, timeUs: number): ControlWrite {
  const add = addEvent(device, name);
  if (add.op !== 'event.add') throw new Error('wrong write');
  return { ...add, event: { ...add.event, timeUs } };
}

export function storeRetention({ make }: StoreUnderTest): void {
  const write = async (store: Store, ...control: ControlWrite[]): Promise<readonly ControlResult[]> =>
    (await store.commit(batch({ control }))).control;
  const removed = async (store: Store, ...control: ControlWrite[]): Promise<unknown[]> =>
    (await write(store, ...control)).map((result) => (result.ok ? result.removed : result.code));
  const epochs = async (store: Store, device: string): Promise<number[]> =>
    (await store.read.connections(device, PAGE)).items.map(({ epoch }) => epoch);

  describe('what goes by age', () => {
    it('nothing, where there is nothing', async () => {
      const store = await make();
      const lists: List[] = ['connections', 'rejected', 'commands', 'events'];
      expect(await removed(store, ...lists.map((list) => retain(list, 1e15)))).toEqual([0, 0, 0, 0]);
    });

    it('connections that ended before, never the last one of a device nor an open one', async () => {
      const store = await make();
      await write(
        store,
        ...[1, 2, 3].flatMap((epoch) => [openConnection('d1', epoch * 10), close('d1', epoch, epoch * 10 + 5)]),
        ...[openConnection('d2', 10), close('d2', 1, 15)],
        ...[openConnection('d3', 10), openConnection('d3', 20)],
      );
      // d1: ended at 15, 25 and 35; d2 once at 15; d3 taken over at 20 and open.
      expect(await removed(store, retain('connections', 25))).toEqual([2]);
      expect(await epochs(store, 'd1')).toEqual([3, 2]);
      expect(await epochs(store, 'd2')).toEqual([1]);
      expect(await epochs(store, 'd3')).toEqual([2]);
      expect(await removed(store, retain('connections', 26))).toEqual([1]);
      expect(await removed(store, retain('connections', 1e15))).toEqual([0]);
      expect((await store.read.startState()).lastConnections).toHaveLength(3);
      expect(await write(store, openConnection('d1', 50))).toEqual([{ ok: true, epoch: 4 }]);
    });

    it('commands that ended before, with their histories; never one that is under way', async () => {
      const store = await make();
      const made = (id: string, more: object): ControlWrite => ({ op: 'command.create', command: command(id, more) });
      const ended = (id: string, finishedUs: number): ControlWrite => ({
        op: 'command.update',
        command: command(id, { state: 'failed', finishedUs }),
        event: { state: 'failed', timeUs: finishedUs, detail: null },
      });
      await write(store, createDevice('d1'), ...['c1', 'c2', 'c3', 'c4'].map((id) => made(id, { createdUs: 1 })));
      await write(store, ended('c2', 20), ended('c1', 30), ended('c3', 40));
      expect(await removed(store, retain('commands', 40))).toEqual([2]);
      expect(await store.read.command('c1')).toBeNull();
      expect(await store.read.command('c2')).toBeNull();
      expect((await store.read.command('c3'))!.history).toHaveLength(2);
      expect(await removed(store, retain('commands', 1e15))).toEqual([1]);
      expect((await store.read.startState()).unfinished.map(({ id }) => id)).toEqual(['c4']);
      // Its history went with it: one of the same id begins anew.
      await write(store, made('c1', {}));
      expect((await store.read.command('c1'))!.history).toHaveLength(1);
    });

    it('rejected payloads and events, which are not counted as evicted and make room in their lists', async () => {
      const store = await make();
      await write(
        store,
        ...[10, 20, 30].map((timeUs) => rejectedAt('d1', `r${timeUs}`, timeUs, 3)),
        rejectedAt('d2', 'x', 15),
        ...[10, 20, 30].map((timeUs) => eventAt('d1', `e${timeUs}`, timeUs)),
      );
      expect(await removed(store, retain('rejected', 30), retain('events', 30))).toEqual([3, 2]);
      const { items, evicted } = await store.read.rejected('d1', PAGE);
      expect(items.map(({ timeUs }) => timeUs)).toEqual([30]);
      expect(evicted).toBe(0);
      expect((await store.read.rejected('d2', PAGE)).items).toEqual([]);
      expect((await store.read.events('d1', PAGE)).items.map(({ name }) => name)).toEqual(['e30']);
      const more = await write(store, rejectedAt('d1', 'a', 40, 3), rejectedAt('d1', 'b', 50, 3));
      expect(more).toMatchObject([{ evicted: 0 }, { evicted: 0 }]);
      expect(await write(store, rejectedAt('d1', 'c', 60, 3))).toMatchObject([{ evicted: 1 }]);
    });

    it.each<List>(['connections', 'rejected', 'commands', 'events'])(
      'the oldest %s first, and no more in one write than was asked for',
      async (list) => {
        const store = await make();
        // Times that fall while ids rise: the clock was set back.
        const times = [50, 40, 30, 20, 10];
        await write(store, createDevice('d1'));
        for (const timeUs of times) await write(store, ...LISTED[list](timeUs));
        expect(await removed(store, retain(list, 35, 2))).toEqual([2]);
        expect(await removed(store, retain(list, 35, 2), retain(list, 35, 2))).toEqual([1, 0]);
        expect(await removed(store, retain(list, 1e15, 2), retain(list, 1e15, 2))).toEqual([2, 0]);
      },
    );
  });

  const LISTED: Record<List, (timeUs: number) => ControlWrite[]> = {
    rejected: (timeUs) => [rejectedAt('d1', 'x', timeUs)],
    events: (timeUs) => [eventAt('d1', 'x', timeUs)],
    // Each but the last is ended by the next; one that stays open keeps them from being the last.
    connections: (timeUs) => [
      openConnection(`d${timeUs}`, 1),
      close(`d${timeUs}`, 1, timeUs),
      openConnection(`d${timeUs}`, 60),
    ],
    commands: (timeUs) => [
      { op: 'command.create', command: command(`c${timeUs}`, { state: 'cancelled', finishedUs: timeUs }) },
    ],
  };

  describe('a checkpoint', () => {
    it('tells how much of the log file is left, and loses nothing', async () => {
      const store = await make();
      await write(store, createDevice('d1'));
      expect((await store.checkpoint()).walBytes).toBe(0);
      await write(store, createDevice('d2'));
      expect((await store.read.startState()).devices).toHaveLength(2);
    });

    it('waits its turn beside commits, and is refused by a closed store', async () => {
      const store = await make();
      const [, left] = await Promise.all([store.commit(batch({ control: [createDevice('d1')] })), store.checkpoint()]);
      expect(left.walBytes).toBeGreaterThanOrEqual(0);
      await store.close();
      await expect(store.checkpoint()).rejects.toMatchObject({ code: 'closed' });
    });
  });
}
