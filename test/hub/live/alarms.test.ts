import { describe, expect, it } from 'vitest';
import type { RefusedHandshake } from '#hub/gateway/port.js';
import { AlarmBoard, hubAlarms } from '#hub/live/alarms.js';
import type { StoreHealth, TelemetryBacklog } from '#hub/telemetry/port.js';
import { FakeClock } from '#test/support/fake-clock.js';
import { liveParts } from './parts.ts';

function board() {
  const clock = new FakeClock();
  const telemetry = {
    health: { writable: true, sinceMs: null, error: null } as StoreHealth,
    backlog: { rows: 0, bytes: 0, high: false, low: true } as TelemetryBacklog,
  };
  const refused: RefusedHandshake[] = [];
  const gateway = { refused: (limit: number) => ({ items: refused.slice(-limit).reverse(), counts: {} }) };
  const refuse = (): void => {
    refused.push({
      timeMs: clock.now(),
      address: '10.0.0.1',
      path: '/',
      offered: null,
      userAgent: null,
      code: 'no_subprotocol',
      status: 400,
      detail: '',
    });
  };
  const alarms = new AlarmBoard(hubAlarms(telemetry, gateway, clock, { refusedPerMinute: 4 }), clock);
  return { clock, telemetry, refuse, alarms };
}

describe('alarms of the hub', () => {
  it('a store that cannot write is raised with its reason and since when, and cleared once', () => {
    const { clock, telemetry, alarms } = board();
    expect(alarms.look()).toEqual([]);
    telemetry.health = { writable: false, sinceMs: 77, error: 'disk full' };
    const raised = {
      code: 'store_not_writable',
      raised: true,
      sinceMs: 77,
      detail: 'the store cannot write: disk full',
    };
    expect(alarms.look()).toEqual([raised]);
    expect(alarms.look()).toEqual([]);
    expect(alarms.raised).toEqual([raised]);
    telemetry.health = { writable: true, sinceMs: null, error: null };
    expect(alarms.look()).toEqual([{ ...raised, raised: false, sinceMs: clock.now() }]);
    expect(alarms.raised).toEqual([]);
  });

  it('a backlog is raised above its high-water mark and cleared below the low one', () => {
    const { telemetry, alarms } = board();
    telemetry.backlog = { rows: 9, bytes: 90, high: true, low: false };
    expect(alarms.look()).toMatchObject([{ code: 'backlog_high', raised: true }]);
    telemetry.backlog = { rows: 5, bytes: 50, high: false, low: false };
    expect(alarms.look()).toEqual([]);
    telemetry.backlog = { rows: 1, bytes: 10, high: false, low: true };
    expect(alarms.look()).toMatchObject([{ code: 'backlog_high', raised: false }]);
    telemetry.backlog = { rows: 5, bytes: 50, high: false, low: false };
    expect(alarms.look()).toEqual([]);
  });

  it('refused handshakes are raised when there are too many within a minute, and cleared below half of that', () => {
    const { clock, refuse, alarms } = board();
    for (let i = 0; i < 3; i++) refuse();
    expect(alarms.look()).toEqual([]);
    clock.advance(59_000);
    refuse();
    expect(alarms.look()).toMatchObject([
      { code: 'many_refused', raised: true, detail: expect.stringContaining('no_subprotocol') as string },
    ]);
    clock.advance(1000);
    refuse();
    expect(alarms.look()).toEqual([]);
    clock.advance(59_000);
    expect(alarms.look()).toMatchObject([{ code: 'many_refused', raised: false }]);
  });
});

describe('alarms in the live feed', () => {
  it('are looked at only while somebody watches; raising and clearing come as they happen', () => {
    let looks = 0;
    let wrong = false;
    const look = () => {
      looks++;
      return wrong ? { detail: 'full' } : null;
    };
    const { clock, watch } = liveParts({ alarmMs: 1000 }, [{ code: 'backlog_high', look }]);
    clock.advance(10_000);
    expect(looks).toBe(0);
    const me = watch();
    wrong = true;
    clock.advance(1000);
    wrong = false;
    clock.advance(1000);
    expect(me.take().slice(1)).toMatchObject([
      { kind: 'alarm', data: [{ raised: true }] },
      { kind: 'alarm', data: [{ raised: false }] },
    ]);
    me.viewer.close();
    const before = looks;
    clock.advance(10_000);
    expect(looks).toBe(before);
  });
});
