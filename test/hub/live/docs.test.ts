import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { EventStreamReader } from '#cli/event-stream.js';
import { hubAlarms } from '#hub/live/alarms.js';
import { OPTIONS } from '#hub/config/options.js';
import { LIVE_LIMITS } from '#hub/live/limits.js';
import { FakeClock } from '#test/support/fake-clock.js';
import { commandRow, liveParts, online, seriesOf } from './parts.ts';

const text = readFileSync(join(import.meta.dirname, '../../../docs/live.md'), 'utf8');

describe('docs/live.md', () => {
  it('shows events as the hub makes them: the same kinds, the same fields', () => {
    const examples = [...text.matchAll(/```(?:console)?\n([\s\S]*?)```/g)].flatMap(([, block]) =>
      new EventStreamReader(1e6).read(`${block!.replace(/^\$.*\n/, '')}\n`),
    );
    const { clock, hub, commit, watch, counters } = liveParts({ journalEntries: 4 }, [
      { code: 'store_not_writable', look: () => (clock.monotonic() > 0 ? { detail: 'full' } : null) },
    ]);
    const me = watch(null, 'nothing-0');
    hub.presenceChanged('pump-1', online(3));
    commit(seriesOf('pump-1', 'temp', 21.5));
    hub.commandChanged(commandRow({ state: 'succeeded', result: '{}' }));
    counters.commitSeconds.observe(0.002);
    counters.ackLatencySeconds.observe(0.003);
    clock.advance(1500);
    const made = new Map<string, unknown>(me.events.map(({ kind, data }) => [kind, data]));
    made.set('figures', me.figures[0]);
    expect(new Set(examples.map(({ event }) => event))).toEqual(new Set(made.keys()));
    for (const { event, data } of examples) {
      expect(shape(JSON.parse(data)), event).toEqual(shape(made.get(event)));
      expect(text).toContain(`| \`${event}\` |`);
    }
  });

  it('lists the alarms and the limits as they are', () => {
    const none = { refused: () => ({ items: [], counts: {} }) };
    const telemetry = {
      health: { writable: true, sinceMs: null, error: null },
      backlog: { rows: 0, bytes: 0, high: false, low: true },
    };
    for (const { code } of hubAlarms(telemetry, none, new FakeClock(), LIVE_LIMITS)) {
      expect(text).toContain(`| \`${code}\` |`);
    }
    const { maxSelectedDevices, journalEntries, textCharacters, resultCharacters, refusedPerMinute } = LIVE_LIMITS;
    for (const words of [
      `One hub takes ${OPTIONS.liveViewers.default} viewers`,
      `at most ${maxSelectedDevices} in all`,
      `last change of ${journalEntries.toLocaleString('en')} things`,
      `longer than ${textCharacters.toLocaleString('en')} characters is cut`,
      `longer than ${resultCharacters.toLocaleString('en')} characters of JSON`,
      `${refusedPerMinute} handshakes were refused within a minute`,
    ]) {
      expect(text).toContain(words);
    }
    expect(LIVE_LIMITS).toMatchObject({ flushMs: 250, keepMs: 60_000, figuresMs: 1000 });
  });
});

/** Fields that hold something else in each event. */
const OPEN = new Set(['alarms', 'result', 'byProtocol']);

/** Names of all fields, in lists of the first item. */
function shape(value: unknown): unknown {
  if (Array.isArray(value)) return value.length === 0 ? [] : [shape(value[0])];
  if (typeof value !== 'object' || value === null) return null;
  const entries = Object.entries(value).filter(([name]) => !OPEN.has(name));
  return Object.fromEntries(entries.map(([name, inner]) => [name, shape(inner)]));
}
