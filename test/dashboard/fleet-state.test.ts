import { describe, expect, it } from 'vitest';
import { effect } from '@preact/signals';
import type { FleetPage, FleetRow, Presence } from '../../dashboard/api.ts';
import { FleetState } from '../../dashboard/fleet-state.ts';
import { FakeFeed } from './fake-feed.ts';

const NEVER: Presence = {
  online: false,
  epoch: 0,
  protocol: null,
  connectedMs: null,
  disconnectedMs: null,
  reason: null,
  initiator: null,
};
const online = (epoch: number, connectedMs = 1000): Presence => ({
  ...NEVER,
  online: true,
  epoch,
  protocol: 'mqtt',
  connectedMs,
});
const lost = (epoch: number, disconnectedMs = 2000): Presence => ({
  ...online(epoch),
  online: false,
  disconnectedMs,
  reason: 'connection_lost',
  initiator: 'network',
});
const row = (id: string, part: Partial<FleetRow> = {}): FleetRow => ({
  id,
  name: null,
  disabled: false,
  presence: online(1),
  latest: [],
  ...part,
});
const value = (metric: string, given: number, timeUs: number) => ({ metric, value: given, timeUs });

class Fixture {
  readonly feed = new FakeFeed();
  readonly asked: unknown[] = [];
  frames: (() => void)[] = [];
  rows: FleetRow[];
  /** Runs while an answer is on its way. */
  meanwhile: () => void = () => undefined;
  fails: Error | null = null;
  pageRows = 5000;
  readonly fleet: FleetState;

  constructor(rows: FleetRow[] = []) {
    this.rows = rows;
    this.fleet = new FleetState({
      api: { get: (_path: string, query: unknown) => Promise.resolve(this.#page(query)) as never },
      live: this.feed.live,
      onFrame: (run) => this.frames.push(run),
    });
    this.fleet.start();
    this.feed.live.watch(null);
    this.feed.hello();
  }

  #page(query: unknown): FleetPage {
    this.asked.push(query);
    if (this.fails !== null) throw this.fails;
    const from = Number((query as { after: string | null }).after ?? 0);
    const to = from + this.pageRows;
    const items = this.rows.slice(from, to);
    this.meanwhile();
    return {
      items,
      next: to < this.rows.length ? String(to) : null,
      counts: { online: 1, offline: 0, byProtocol: { mqtt: 1 } },
    };
  }

  load(): Promise<void> {
    return this.fleet.load(new AbortController().signal);
  }

  presence(device: string, presence: Presence | null): void {
    this.feed.source.says('presence', [{ device, presence }]);
  }

  latest(device: string, ...values: ReturnType<typeof value>[]): void {
    this.feed.source.says('latest', [{ device, values }]);
  }

  paint(): void {
    for (const run of this.frames.splice(0)) run();
  }
}

describe('the state of the fleet', () => {
  it('takes all pages of the hub', async () => {
    const fixture = new Fixture([row('a'), row('b'), row('c')]);
    fixture.pageRows = 2;
    await fixture.load();
    expect([...fixture.fleet.all()].map(({ id }) => id)).toEqual(['a', 'b', 'c']);
    expect(fixture.asked).toEqual([
      { limit: 5000, after: null },
      { limit: 5000, after: '2' },
    ]);
    expect(fixture.fleet.phase.value).toEqual({ phase: 'ready' });
  });

  it('says why when the state cannot be taken, and keeps what it has', async () => {
    const fixture = new Fixture([row('a')]);
    await fixture.load();
    fixture.fails = new Error('the hub cannot be reached');
    await fixture.load();
    expect(fixture.fleet.phase.value).toEqual({ phase: 'failed', text: 'the hub cannot be reached' });
    expect(fixture.fleet.size).toBe(1);
  });

  it('shows many changes of one device once, in the next frame', async () => {
    const fixture = new Fixture([row('a'), row('b')]);
    await fixture.load();
    fixture.paint();
    const shown: unknown[] = [];
    const a = fixture.fleet.get('a')!;
    const stop = effect(() => {
      a.version.valueOf();
      shown.push(a.latest.get('t')?.value);
    });
    for (let i = 1; i <= 100; i++) fixture.latest('a', value('t', i, i));
    expect(fixture.frames).toHaveLength(1);
    fixture.paint();
    stop();
    expect(shown).toEqual([undefined, 100]);
  });

  it('does not show a device anew when another one changes', async () => {
    const fixture = new Fixture([row('a'), row('b')]);
    await fixture.load();
    const before = fixture.fleet.get('b')!.version.value;
    fixture.latest('a', value('t', 1, 1));
    fixture.paint();
    expect(fixture.fleet.get('b')!.version.value).toBe(before);
  });

  it('keeps the value with the greater time', async () => {
    const fixture = new Fixture([row('a', { latest: [value('t', 5, 5)] })]);
    await fixture.load();
    fixture.latest('a', value('t', 4, 4));
    expect(fixture.fleet.get('a')!.latest.get('t')!.value).toBe(5);
    fixture.latest('a', value('t', 6, 5));
    expect(fixture.fleet.get('a')!.latest.get('t')!.value).toBe(6);
  });

  it('keeps at most eight metrics of a device', async () => {
    const fixture = new Fixture([row('a')]);
    await fixture.load();
    for (let i = 0; i < 20; i++) fixture.latest('a', value(`m${i}`, i, i));
    expect(fixture.fleet.get('a')!.latest.size).toBe(8);
  });

  it('the end of an older connection changes nothing', async () => {
    const fixture = new Fixture([row('a', { presence: online(2) })]);
    await fixture.load();
    fixture.presence('a', lost(1));
    expect(fixture.fleet.get('a')!.presence).toMatchObject({ online: true, epoch: 2 });
    fixture.presence('a', lost(2));
    expect(fixture.fleet.get('a')!.presence).toMatchObject({ online: false, epoch: 2 });
    fixture.presence('a', online(3));
    expect(fixture.fleet.get('a')!.presence).toMatchObject({ online: true, epoch: 3 });
  });

  it('what is told while the state is on its way is newer than the state', async () => {
    const fixture = new Fixture([row('a', { latest: [value('t', 1, 1)] }), row('gone'), row('b')]);
    await fixture.load();
    fixture.meanwhile = () => {
      fixture.presence('a', lost(1));
      fixture.latest('a', value('t', 2, 2));
      fixture.presence('gone', null);
      fixture.presence('new', online(1));
    };
    await fixture.load();
    expect([...fixture.fleet.all()].map(({ id }) => id)).toEqual(['a', 'b', 'new']);
    expect(fixture.fleet.get('a')!.presence.online).toBe(false);
    expect(fixture.fleet.get('a')!.latest.get('t')!.value).toBe(2);
  });

  it('the state of a hub that began anew counts, whatever the epochs were', async () => {
    const fixture = new Fixture([row('a', { presence: online(9) }), row('b')]);
    await fixture.load();
    fixture.rows = [row('a', { presence: online(1), name: 'Pump' })];
    await fixture.load();
    expect(fixture.fleet.get('a')!.presence.epoch).toBe(1);
    expect(fixture.fleet.get('a')!.searchText).toBe('a pump');
    expect(fixture.fleet.get('b')).toBeUndefined();
  });

  it('a device that was deleted leaves', async () => {
    const fixture = new Fixture([row('a')]);
    await fixture.load();
    fixture.presence('a', null);
    fixture.paint();
    expect(fixture.fleet.size).toBe(0);
  });

  it('looks for the names of devices that it does not know, but not all the time', async () => {
    const fixture = new Fixture([row('a')]);
    await fixture.load();
    fixture.feed.speaks(60);
    expect(fixture.fleet.needsReload()).toBe(false);
    fixture.presence('new', online(1));
    expect(fixture.fleet.needsReload()).toBe(true);
    await fixture.load();
    fixture.presence('newer', online(1));
    expect(fixture.fleet.needsReload()).toBe(false);
    fixture.feed.speaks(30);
    expect(fixture.fleet.needsReload()).toBe(true);
  });

  it('a load that was given up says nothing', async () => {
    const fixture = new Fixture([row('a')]);
    const abort = new AbortController();
    fixture.meanwhile = () => abort.abort();
    await fixture.fleet.load(abort.signal);
    expect(fixture.fleet.phase.value).toEqual({ phase: 'loading' });
    expect(fixture.fleet.size).toBe(0);
  });

  it('a load gives up when a newer one has begun: its rows may be older than what was told since', async () => {
    const fixture = new Fixture([row('a'), row('old')]);
    const older = fixture.load();
    fixture.rows = [row('a', { presence: online(2) })];
    const newer = fixture.load();
    await Promise.all([older, newer]);
    expect([...fixture.fleet.all()].map(({ id, presence }) => [id, presence.epoch])).toEqual([['a', 2]]);
    expect(fixture.fleet.loads.value).toBe(1);
  });

  it('is taken anew now and then for what the feed does not tell, and at once when changes are missing', async () => {
    const fixture = new Fixture([row('a')]);
    expect(fixture.fleet.isFresh()).toBe(false);
    await fixture.load();
    expect(fixture.fleet.isFresh()).toBe(true);
    fixture.feed.source.says('resync', { reason: 'too_slow' });
    expect(fixture.fleet.isFresh()).toBe(false);
    await fixture.load();
    fixture.feed.speaks(60);
    expect(fixture.fleet.isFresh()).toBe(false);
    expect(fixture.fleet.needsReload()).toBe(false);
    fixture.feed.speaks(240);
    expect(fixture.fleet.needsReload()).toBe(true);
  });

  it('is not whole, and is to be taken anew soon, as long as a state that is missing could not be taken', async () => {
    const fixture = new Fixture([row('a')]);
    await fixture.load();
    expect(fixture.fleet.isWhole.value).toBe(true);
    fixture.feed.hello();
    fixture.fails = new Error('not now');
    await fixture.load();
    expect(fixture.fleet.isWhole.value).toBe(false);
    expect(fixture.fleet.needsReload()).toBe(true);
    fixture.fails = null;
    const again = fixture.load();
    expect(fixture.fleet.needsReload()).toBe(false);
    await again;
    expect(fixture.fleet.isWhole.value).toBe(true);
    expect(fixture.fleet.needsReload()).toBe(false);
  });

  it('has counts of its own only until the feed tells newer ones, or changes were missed', async () => {
    const fixture = new Fixture([row('a')]);
    await fixture.load();
    expect(fixture.fleet.counts.value).toMatchObject({ online: 1 });
    fixture.feed.figures();
    expect(fixture.fleet.counts.value).toBeNull();
    await fixture.load();
    fixture.feed.source.says('resync', { reason: 'too_slow' });
    expect(fixture.fleet.counts.value).toBeNull();
  });

  it('was last seen when it last spoke, or when it was lost; never later than now', async () => {
    const fixture = new Fixture();
    const now = fixture.feed.nowMs;
    fixture.rows = [
      row('ahead', { latest: [value('t', 1, (now + 60_000) * 1000)] }),
      row('lost', { presence: lost(1, 2000), latest: [value('t', 1, 1_500_000)] }),
      row('never', { presence: NEVER }),
    ];
    await fixture.load();
    const seen = (id: string) => fixture.fleet.get(id)!.seenMs;
    expect([seen('ahead'), seen('lost'), seen('never')]).toEqual([now, 2000, null]);
    fixture.feed.speaks(5);
    fixture.latest('never', value('t', 1, 1));
    expect(seen('never')).toBe(now + 5000);
  });
});
