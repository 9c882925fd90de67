import { describe, expect, it } from 'vitest';
import type { LiveEvent } from '#hub/live/port.js';
import { commandRow, liveParts, online, seriesOf } from './parts.ts';

const kinds = (events: readonly LiveEvent[]): string[] => events.map((event) => event.kind);
const latest = (events: readonly LiveEvent[]) => events.flatMap((event) => (event.kind === 'latest' ? event.data : []));

describe('a value with a unit', () => {
  it('is told with it, cut or whole', () => {
    const { clock, commit, watch } = liveParts();
    const me = watch();
    me.take();
    commit(
      { ...seriesOf('pump', 'temp', 21.5), unit: 'Cel' },
      { ...seriesOf('pump', 'log', 'x'.repeat(2000)), unit: 'u' },
    );
    clock.advance(0);
    expect(latest(me.take())).toMatchObject([
      {
        device: 'pump',
        values: [
          { metric: 'temp', value: 21.5, unit: 'Cel' },
          { metric: 'log', cut: true, unit: 'u' },
        ],
      },
    ]);
  });
});

describe('who watches', () => {
  it('is greeted with the time of the hub and what is wrong with it, before anything else', () => {
    const { clock, watch } = liveParts({}, [{ code: 'backlog_high', look: () => ({ detail: 'full' }) }]);
    const { events } = watch();
    const alarm = { code: 'backlog_high', raised: true, sinceMs: clock.now(), detail: 'full' };
    expect(events).toEqual([
      { kind: 'hello', id: 'r-1', data: { nowMs: clock.now(), resumed: false, alarms: [alarm] } },
    ]);
  });

  it('gets presence, latest values and commands, each as it is after the change', () => {
    const { clock, hub, commit, watch } = liveParts();
    const me = watch();
    me.take();
    hub.presenceChanged('pump', online(3));
    commit(seriesOf('pump', 'temp', 21.5), seriesOf('pump', 'ok', true), seriesOf('valve', 'open', 'no'));
    hub.commandChanged(commandRow({ state: 'succeeded', result: '{"a":[1]}', finishedUs: 9 }));
    clock.advance(0);
    expect(me.take()).toEqual([
      { kind: 'presence', id: null, data: [{ device: 'pump', presence: online(3) }] },
      {
        kind: 'latest',
        id: null,
        data: [
          {
            device: 'pump',
            values: [
              { metric: 'temp', value: 21.5, timeUs: 1 },
              { metric: 'ok', value: true, timeUs: 1 },
            ],
          },
          { device: 'valve', values: [{ metric: 'open', value: 'no', timeUs: 1 }] },
        ],
      },
      {
        kind: 'command',
        id: 'r-5',
        data: [
          {
            id: 'c-1',
            device: 'pump',
            name: 'reboot',
            state: 'succeeded',
            createdUs: 1,
            sentUs: null,
            receivedUs: null,
            finishedUs: 9,
            attempts: 0,
            result: { a: [1] },
            lateStatus: null,
          },
        ],
      },
    ]);
  });

  it('hears that a device was deleted', () => {
    const { clock, hub, watch } = liveParts();
    const me = watch();
    me.take();
    hub.presenceChanged('pump', null);
    clock.advance(0);
    expect(me.take()).toMatchObject([{ data: [{ device: 'pump', presence: null }] }]);
  });

  it('gets at most four flushes a second, and the newest state of each thing once', () => {
    const { clock, commit, watch } = liveParts();
    const me = watch();
    me.take();
    const temp = seriesOf('pump', 'temp');
    for (let ms = 0; ms < 1000; ms += 10) {
      temp.latestValue = ms;
      commit(temp);
      clock.advance(10);
    }
    const values = latest(me.take()).map((change) => change.values);
    expect(values.length).toBeLessThanOrEqual(5);
    expect(values.length).toBeGreaterThanOrEqual(4);
    clock.advance(250);
    values.push(...latest(me.take()).map((change) => change.values));
    expect(values.every((list) => list.length === 1)).toBe(true);
    expect(values.at(-1)).toMatchObject([{ value: 990 }]);
  });

  it('of 5,000 devices that change at once gets each at most four times a second, in events of bounded size', () => {
    const { clock, commit, watch, limits } = liveParts();
    const me = watch();
    me.take();
    const fleet = Array.from({ length: 5000 }, (_, i) => seriesOf(`device-${i}`, 'temp', 0));
    const times = new Map<string, number>();
    const newest = new Map<string, unknown>();
    const look = (): void => {
      for (const event of me.take()) {
        expect(JSON.stringify(event.data).length).toBeLessThan(2 * limits.eventCharacters);
        for (const { device, values } of latest([event])) {
          times.set(device, (times.get(device) ?? 0) + 1);
          newest.set(device, values[0]!.value);
        }
      }
    };
    let changes = 0;
    for (let ms = 0; ms < 2000; ms += 10) {
      // Every device moves on twenty times a second.
      for (let i = 0; i < 1000; i++) {
        const series = fleet[(ms * 100 + i) % fleet.length]!;
        series.latestValue = ++changes;
        commit(series);
      }
      clock.advance(10);
      look();
    }
    expect(changes).toBe(200_000);
    expect(Math.max(...times.values())).toBeLessThanOrEqual(9);
    clock.advance(250);
    look();
    expect(newest).toEqual(new Map(fleet.map(({ device, latestValue }) => [device, latestValue])));
  });

  it('gets the first change after a quiet while at once', () => {
    const { clock, commit, watch } = liveParts();
    const me = watch();
    clock.advance(10_000);
    me.take();
    commit(seriesOf('pump', 'temp'));
    clock.advance(0);
    expect(kinds(me.take())).toEqual(['latest']);
    commit(seriesOf('pump', 'other'));
    clock.advance(249);
    expect(me.take()).toEqual([]);
    clock.advance(1);
    expect(kinds(me.take())).toEqual(['latest']);
  });

  it('of some devices hears of no others, but of the hub itself', () => {
    let wrong: string | null = null;
    const alarms = [{ code: 'backlog_high' as const, look: () => (wrong === null ? null : { detail: wrong }) }];
    const { clock, hub, commit, watch } = liveParts({}, alarms);
    const me = watch(['pump']);
    me.take();
    commit(seriesOf('valve', 'open'), seriesOf('pump', 'temp'));
    hub.presenceChanged('valve', online(1));
    hub.commandChanged(commandRow({ device: 'valve' }));
    wrong = 'full';
    clock.advance(1000);
    const events = me.take();
    expect(kinds(events)).toEqual(['latest', 'alarm']);
    expect(latest(events)).toMatchObject([{ device: 'pump' }]);
  });

  it('of quiet devices moves on all the same, so that its place does not grow old', () => {
    const { clock, commit, watch } = liveParts({ journalEntries: 2 });
    const me = watch(['pump']);
    me.take();
    for (let i = 0; i < 10; i++) {
      commit(seriesOf('valve', `m${i}`));
      clock.advance(250);
    }
    expect(me.take()).toEqual([]);
    expect(me.viewer.position).toBe('r-10');
    expect(kinds(watch(['pump'], 'r-10').take())).toEqual(['hello']);
  });
});

describe('what watching costs', () => {
  it('nothing is noted while nobody watches, and for a while after the last one has gone', () => {
    const { clock, hub, commit, watch, watched } = liveParts({ keepMs: 60_000 });
    hub.presenceChanged('pump', online(1));
    expect(watched()).toBe(false);
    const me = watch();
    expect(me.events).toMatchObject([{ id: 'r-0' }]);
    expect(watched()).toBe(true);
    me.viewer.close();
    me.viewer.close();
    clock.advance(59_999);
    expect(watched()).toBe(true);
    const back = watch();
    clock.advance(100_000);
    expect(watched()).toBe(true);
    back.viewer.close();
    clock.advance(60_000);
    expect(watched()).toBe(false);
    commit(seriesOf('pump', 'temp'));
    expect(hub.viewers).toBe(0);
  });

  it('there are only so many viewers', () => {
    const { hub, watch } = liveParts({ maxViewers: 2 });
    const first = watch();
    watch();
    const refused = { send: () => true, close: () => undefined };
    expect(hub.open(refused, { devices: null }, null)).toBeNull();
    first.viewer.close();
    expect(watch().viewer).not.toBeNull();
  });

  it('viewers of all devices share the events of a flush', () => {
    const { clock, commit, watch } = liveParts();
    const [one, two, some] = [watch(), watch(), watch(['pump'])];
    commit(seriesOf('pump', 'temp'));
    clock.advance(250);
    expect(one.events.at(-1)).toBe(two.events.at(-1));
    expect(some.events.at(-1)).toEqual(one.events.at(-1));
  });

  it('and still do after many flushes: what was shared before is let go', () => {
    const { clock, commit, watch } = liveParts();
    const [one, two] = [watch(), watch()];
    for (let i = 0; i < 100; i++) {
      commit(seriesOf('pump', `m${i}`));
      clock.advance(250);
    }
    expect(latest(one.events)).toHaveLength(100);
    expect(one.events.at(-1)).toBe(two.events.at(-1));
  });

  it('a large flush comes in events of bounded size, each with its place', () => {
    const { clock, commit, watch, limits } = liveParts({ eventCharacters: 1000 });
    const me = watch();
    me.take();
    commit(...Array.from({ length: 100 }, (_, i) => seriesOf(`device-${i}`, 'temp', 'x'.repeat(50))));
    clock.advance(0);
    const events = me.take();
    expect(events.length).toBeGreaterThan(10);
    expect(latest(events)).toHaveLength(100);
    for (const event of events) expect(JSON.stringify(event.data).length).toBeLessThan(limits.eventCharacters);
    expect(events.map((event) => Number(event.id?.slice(2)))).toEqual(
      events.map((_, i) => Math.min(100, (i + 1) * latest([events[0]!]).length)),
    );
  });

  it('long texts and results are cut, and say so', () => {
    const { clock, commit, hub, watch } = liveParts({ textCharacters: 4, resultCharacters: 10 });
    const me = watch();
    me.take();
    // The fourth UTF-16 unit is half of a character.
    commit(seriesOf('pump', 'log', 'abc😀def'), seriesOf('pump', 'short', 'abcd'));
    hub.commandChanged(commandRow({ id: 'long', state: 'succeeded', result: '"0123456789"' }));
    hub.commandChanged(commandRow({ id: 'short', state: 'succeeded', result: '"01234567"' }));
    clock.advance(0);
    const [values, commands] = me.take();
    expect(values?.data).toEqual([
      {
        device: 'pump',
        values: [
          { metric: 'log', value: 'abc\ufffd', timeUs: 1, cut: true },
          { metric: 'short', value: 'abcd', timeUs: 1 },
        ],
      },
    ]);
    expect(commands?.data).toMatchObject([
      { id: 'long', result: null, resultCut: true },
      { id: 'short', result: '01234567' },
    ]);
  });

  it('tells nobody the parameters of a command', () => {
    const { clock, hub, watch } = liveParts();
    const me = watch();
    hub.commandChanged(commandRow());
    clock.advance(0);
    expect(JSON.stringify(me.events)).not.toContain('secret');
  });
});

describe('a slow viewer', () => {
  it('gets nothing while it has no room, then the newest state of what it missed', () => {
    const { clock, commit, watch } = liveParts();
    const me = watch(null, null, 2);
    const temp = seriesOf('pump', 'temp', 1);
    commit(temp);
    clock.advance(250);
    expect(kinds(me.take())).toEqual(['hello', 'latest']);
    for (let i = 2; i < 50; i++) {
      temp.latestValue = i;
      commit(temp);
      clock.advance(250);
    }
    expect(me.take()).toEqual([]);
    me.drain();
    clock.advance(250);
    expect(latest(me.take())).toEqual([{ device: 'pump', values: [{ metric: 'temp', value: 49, timeUs: 1 }] }]);
  });

  it('goes through a large flush at its own pace, in order, and misses nothing', () => {
    const { clock, commit, watch } = liveParts({ eventCharacters: 300 });
    const me = watch(null, null, 2);
    const fast = watch();
    const series = Array.from({ length: 40 }, (_, i) => seriesOf(`d${i}`, 'temp', i));
    commit(...series);
    clock.advance(250);
    let drains = 0;
    while (latest(me.events).length < 40 && drains++ < 100) me.drain(1);
    expect(drains).toBeGreaterThan(5);
    expect(latest(me.events).map((change) => change.device)).toEqual(series.map((s) => s.device));
    expect(latest(fast.events)).toHaveLength(40);
  });

  it('that goes on in the middle of a flush gets what is newer with the next one', () => {
    const { clock, commit, watch } = liveParts({ eventCharacters: 300 });
    const me = watch(null, null, 2);
    const first = Array.from({ length: 10 }, (_, i) => `d${i}`);
    commit(...first.map((device) => seriesOf(device, 'temp')));
    clock.advance(250);
    commit(seriesOf('newer', 'temp'), seriesOf('newest', 'temp'));
    me.drain();
    const devices = () => latest(me.events).map((change) => change.device);
    expect(devices()).toEqual(first);
    clock.advance(250);
    expect(devices().slice(10)).toEqual(['newer', 'newest']);
  });

  it('that missed too much is told to take the state anew, once, and goes on from there', () => {
    const { clock, commit, watch } = liveParts({ journalEntries: 5 });
    const me = watch(null, null, 2);
    commit(seriesOf('first', 'm'));
    clock.advance(250);
    me.take();
    commit(...Array.from({ length: 6 }, (_, i) => seriesOf(`d${i}`, 'm')));
    clock.advance(250);
    expect(me.take()).toEqual([]);
    me.drain();
    clock.advance(250);
    expect(me.take()).toEqual([{ kind: 'resync', id: 'r-7', data: { reason: 'too_slow' } }]);
    commit(seriesOf('d0', 'm'));
    clock.advance(250);
    expect(kinds(me.take())).toEqual(['latest']);
  });

  it('hinders nobody else', () => {
    const { clock, commit, watch } = liveParts();
    const slow = watch(null, null, 1);
    const me = watch();
    for (let i = 0; i < 4; i++) {
      commit(seriesOf('pump', `m${i}`));
      clock.advance(250);
    }
    expect(latest(me.events)).toHaveLength(4);
    expect(kinds(slow.events)).toEqual(['hello']);
  });

  it('that closed is sent nothing, even in the middle of a flush', () => {
    const { clock, commit, hub } = liveParts({ eventCharacters: 100 });
    const seen: string[] = [];
    const viewer = hub.open(
      {
        send: (event) => {
          seen.push(event.kind);
          if (event.kind === 'latest') viewer?.close();
          return true;
        },
        close: () => undefined,
      },
      { devices: null },
      null,
    );
    commit(...Array.from({ length: 20 }, (_, i) => seriesOf(`d${i}`, 'm')));
    clock.advance(250);
    viewer?.drained();
    expect(seen).toEqual(['hello', 'latest']);
  });
});

describe('coming back', () => {
  it('with the id of the last event goes on there', () => {
    const { clock, commit, hub, watch } = liveParts();
    const me = watch();
    commit(seriesOf('pump', 'a'));
    clock.advance(250);
    const lastId = me.take().at(-1)!.id;
    me.viewer.close();
    commit(seriesOf('pump', 'b'));
    hub.presenceChanged('pump', online(2));
    const again = watch(null, lastId);
    expect(again.take()).toMatchObject([{ kind: 'hello', id: lastId, data: { resumed: true } }]);
    clock.advance(250);
    expect(again.take()).toMatchObject([
      { kind: 'presence', id: null },
      { kind: 'latest', id: 'r-3', data: [{ values: [{ metric: 'b' }] }] },
    ]);
  });

  it('in the middle of events that belong together gets them again', () => {
    const { clock, commit, hub, watch } = liveParts();
    const me = watch();
    hub.presenceChanged('pump', online(2));
    commit(seriesOf('pump', 'b'));
    clock.advance(250);
    const [hello, presence] = me.take();
    expect([hello!.id, presence!.id]).toEqual(['r-0', null]);
    const again = watch(null, hello!.id);
    clock.advance(250);
    expect(kinds(again.take())).toEqual(['hello', 'presence', 'latest']);
  });

  it.each([
    ['of another run', 'q-0', 'other_run'],
    ['of the future', 'r-99', 'other_run'],
    ['that is none', 'nonsense', 'other_run'],
    ['that is empty', '', 'other_run'],
    ['that is huge', `r-${'9'.repeat(400)}`, 'other_run'],
    ['of what is forgotten', 'r-3', 'too_old'],
  ])('with an id %s takes the state anew', (_, id, reason) => {
    const { commit, watch } = liveParts({ journalEntries: 2 });
    watch();
    commit(...Array.from({ length: 6 }, (_, i) => seriesOf(`d${i}`, 'm')));
    const me = watch(null, id);
    expect(me.take()).toMatchObject([
      { kind: 'hello', id: 'r-6', data: { resumed: false } },
      { kind: 'resync', id: 'r-6', data: { reason } },
    ]);
    expect(kinds(watch(null, 'r-4').take())).toEqual(['hello']);
  });

  it('after nobody watched for long takes the state anew: changes were not noted', () => {
    const { clock, commit, watch, limits } = liveParts();
    const me = watch();
    commit(seriesOf('pump', 'a'));
    clock.advance(250);
    const lastId = me.take().at(-1)!.id;
    me.viewer.close();
    clock.advance(limits.keepMs);
    expect(kinds(watch(null, lastId).take())).toEqual(['hello', 'resync']);
  });
});

describe('the end of the hub', () => {
  it('is told to every viewer, and nobody is taken any more', () => {
    const { clock, hub, commit, watch, watched } = liveParts();
    const me = watch();
    hub.close();
    expect(me.closed).toBe(true);
    expect(watched()).toBe(false);
    commit(seriesOf('pump', 'a'));
    clock.advance(100_000);
    expect(kinds(me.events)).toEqual(['hello']);
    expect(hub.open(me, { devices: null }, null)).toBeNull();
  });
});
