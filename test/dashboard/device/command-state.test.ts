import { describe, expect, it } from 'vitest';
import {
  isAsNew,
  STATE_LABELS,
  STATE_TEXTS,
  stepsOf,
  withNews,
  type Command,
} from '../../../dashboard/parts/device/command-state.ts';
import type { CommandState } from '../../../dashboard/api.ts';

const base: Command = {
  id: 'a',
  device: 'pump',
  name: 'reboot',
  state: 'queued',
  createdUs: 1_000_000,
  sentUs: null,
  receivedUs: null,
  finishedUs: null,
  attempts: 0,
  result: null,
  lateStatus: null,
};
const sent: Command = { ...base, state: 'sent', sentUs: 1_004_000, attempts: 1 };
const received: Command = { ...sent, state: 'received', receivedUs: 1_010_000 };
const done: Command = { ...received, state: 'succeeded', finishedUs: 2_500_000, result: { uptime: 1 } };

describe('the steps of a command', () => {
  it('say when each was reached and how long it took', () => {
    expect(stepsOf(done)).toEqual([
      { state: 'queued', timeUs: 1_000_000, tookMs: null, tone: 'good' },
      { state: 'sent', timeUs: 1_004_000, tookMs: 4, tone: 'good' },
      { state: 'received', timeUs: 1_010_000, tookMs: 6, tone: 'good' },
      { state: 'succeeded', timeUs: 2_500_000, tookMs: 1490, tone: 'good' },
    ]);
  });

  it('show where it stands while it goes on', () => {
    expect(stepsOf(sent).map((step) => step.tone)).toEqual(['good', 'wait', 'todo', 'todo']);
    expect(stepsOf(base).map((step) => step.tone)).toEqual(['wait', 'todo', 'todo', 'todo']);
  });

  it('claim no state that was skipped', () => {
    const expired = stepsOf({ ...base, state: 'expired', finishedUs: 9_000_000 });
    expect(expired.map((step) => step.tone)).toEqual(['good', 'skipped', 'skipped', 'off']);
    expect(expired[3]).toMatchObject({ state: 'expired', tookMs: 8000 });
    const fast = stepsOf({ ...sent, state: 'failed', finishedUs: 1_005_000 });
    expect(fast.map((step) => step.tone)).toEqual(['good', 'good', 'skipped', 'bad']);
    expect(fast[3]!.tookMs).toBe(1);
  });

  it('take no negative time when clocks were set back', () => {
    expect(stepsOf({ ...sent, sentUs: 900_000 })[1]!.tookMs).toBe(0);
  });

  it('have words for each state', () => {
    for (const state of Object.keys(STATE_LABELS) as CommandState[]) {
      expect(STATE_TEXTS[state]).toMatch(/^[A-Z].*\.$/);
      expect(STATE_LABELS[state]).not.toContain('_');
    }
    expect(STATE_TEXTS.sent).not.toMatch(/delivered/);
  });
});

describe('news of commands', () => {
  it('go into their places, new ones in front', () => {
    const newer: Command = { ...base, id: 'b', createdUs: 5_000_000 };
    expect(withNews([base], [sent, newer], 10).map(({ id, state }) => `${id} ${state}`)).toEqual([
      'b queued',
      'a sent',
    ]);
  });

  it('never go back: an answer that comes late tells what was before', () => {
    expect(withNews([done], [base], 10)[0]).toMatchObject({ state: 'succeeded', finishedUs: 2_500_000 });
    expect(withNews([received], [sent], 10)[0]!.state).toBe('received');
    expect(withNews([{ ...sent, attempts: 2 }], [sent], 10)[0]!.attempts).toBe(2);
  });

  it('keep what only the API tells, and fill it in when it comes after the feed', () => {
    expect(withNews([{ ...base, params: { in: 5 } }], [done], 10)[0]).toMatchObject({
      state: 'succeeded',
      params: { in: 5 },
    });
    expect(withNews([done], [{ ...base, params: { in: 5 } }], 10)[0]).toMatchObject({
      state: 'succeeded',
      params: { in: 5 },
    });
  });

  it('take a late result after the end', () => {
    const timedOut: Command = { ...received, state: 'timed_out', finishedUs: 9_000_000 };
    const late: Command = { ...timedOut, lateStatus: 'succeeded' };
    expect(isAsNew(late, timedOut)).toBe(true);
    expect(isAsNew(timedOut, late)).toBe(false);
    expect(withNews([late], [timedOut], 10)[0]!.lateStatus).toBe('succeeded');
  });

  it('are bounded: the oldest go', () => {
    const many = Array.from({ length: 30 }, (_, i) => ({ ...base, id: `c${i}`, createdUs: i }));
    const kept = withNews([], many, 20);
    expect(kept).toHaveLength(20);
    expect(kept[0]!.id).toBe('c29');
  });
});
