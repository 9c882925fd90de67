import { describe, expect, it } from 'vitest';
import { PagedList } from '../../dashboard/parts/paged-list.ts';

interface Item {
  readonly id: number;
  readonly text?: string;
}

/** A list of the hub with two items a page, newest first. */
function hubList() {
  const hub = { items: [] as Item[], fails: false };
  const list = new PagedList<Item>({
    keyOf: ({ id }) => String(id),
    ask: async (after) => {
      if (hub.fails) throw new Error('the hub cannot be reached');
      const from = after === null ? 0 : hub.items.findIndex(({ id }) => String(id) === after) + 1;
      const items = hub.items.slice(from, from + 2);
      return { items, next: from + 2 < hub.items.length ? String(items.at(-1)!.id) : null };
    },
  });
  const ids = (): number[] | undefined => list.state.value?.items.map(({ id }) => id);
  return { hub, list, ids };
}

describe('a list that is looked at again and again', () => {
  it('loads more behind, and new things in front, each once', async () => {
    const { hub, list, ids } = hubList();
    hub.items = [5, 4, 3, 2, 1].map((id) => ({ id }));
    await list.refresh();
    expect(ids()).toEqual([5, 4]);
    await list.more();
    expect(ids()).toEqual([5, 4, 3, 2]);
    hub.items.unshift({ id: 6 });
    await list.refresh();
    expect(ids()).toEqual([6, 5, 4, 3, 2]);
    await list.more();
    expect(ids()).toEqual([6, 5, 4, 3, 2, 1]);
    expect(list.state.value!.next).toBeNull();
    await list.more();
    expect(ids()).toHaveLength(6);
  });

  it('shows what has changed of what it knows', async () => {
    const { hub, list } = hubList();
    hub.items = [{ id: 2, text: 'open' }, { id: 1 }, { id: 0 }];
    await list.refresh();
    hub.items[0] = { id: 2, text: 'ended' };
    await list.refresh();
    expect(list.state.value!.items[0]!.text).toBe('ended');
  });

  it('begins again when so much is new that there would be a hole', async () => {
    const { hub, list, ids } = hubList();
    hub.items = [4, 3, 2, 1].map((id) => ({ id }));
    await list.refresh();
    await list.more();
    hub.items = [9, 8, 7, ...hub.items.map(({ id }) => id)].map((id) => ({ id }));
    await list.refresh();
    expect(ids()).toEqual([9, 8]);
    await list.more();
    expect(ids()).toEqual([9, 8, 7, 4]);
  });

  it('keeps what it has when the hub fails, says so, and recovers', async () => {
    const { hub, list, ids } = hubList();
    hub.items = [{ id: 1 }];
    await list.refresh();
    hub.fails = true;
    await list.refresh();
    expect(list.fault.value).toBe('the hub cannot be reached');
    expect(ids()).toEqual([1]);
    hub.fails = false;
    await list.refresh();
    expect(list.fault.value).toBeNull();
  });

  it('takes nothing after it was stopped', async () => {
    const { hub, list, ids } = hubList();
    hub.items = [{ id: 1 }];
    const late = list.refresh();
    list.stop();
    await late;
    expect(ids()).toBeUndefined();
  });
});
