import { describe, expect, it } from 'vitest';
import { ApiError, type Device, type LatestValue, type Presence } from '../../../dashboard/api.ts';
import type { LiveKinds } from '../../../dashboard/live.ts';
import { DeviceModel } from '../../../dashboard/parts/device/model.ts';

const NOW_MS = 1_800_000_000_000;
const SCRIPT = '<img src=x onerror=alert(1)>';

function presence(change: Partial<Presence> = {}): Presence {
  return {
    online: true,
    epoch: 3,
    protocol: 'mqtt',
    connectedMs: NOW_MS,
    disconnectedMs: null,
    reason: null,
    initiator: null,
    ...change,
  };
}

const reading = (metric: string, value: LatestValue['value'], ageMs: number): LatestValue => ({
  metric,
  value,
  timeUs: (NOW_MS - ageMs) * 1000,
});

/** A hub whose answers the test sets, and a feed that the test speaks through. */
function setUp() {
  const answers: Record<string, unknown> = {
    '/api/v1/devices/pump': {
      id: 'pump',
      name: null,
      protocols: null,
      disabled: false,
      createdUs: 1,
      presence: presence(),
    },
    '/api/v1/devices/pump/latest': { items: [reading('temp', 20, 1000)], next: null },
    '/api/v1/devices/pump/commands': { items: [], next: null },
    '/api/v1/devices/pump/readings': { items: [], next: null, complete: true },
  };
  const listeners = new Map<string, (data: never) => void>();
  const asked: string[] = [];
  const model = new DeviceModel({
    id: 'pump',
    api: {
      get: async (path: string) => {
        asked.push(path);
        const answer = answers[path];
        if (answer instanceof Error) throw answer;
        return answer as never;
      },
    },
    live: {
      hubNowMs: () => NOW_MS,
      on: (kind, listener) => {
        listeners.set(kind, listener);
        return () => listeners.delete(kind);
      },
    },
  });
  const stop = model.start();
  const tell = <K extends keyof LiveKinds>(kind: K, data: LiveKinds[K]): void => listeners.get(kind)?.(data as never);
  const load = (): Promise<void> => model.load(new AbortController().signal);
  return { model, answers, asked, listeners, tell, load, stop };
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('one device', () => {
  it('is what the API says, then what the feed adds', async () => {
    const { model, load, tell } = setUp();
    await load();
    expect(model.device.value).toMatchObject({ id: 'pump', presence: { online: true, epoch: 3 } });
    tell('latest', [{ device: 'pump', values: [reading('temp', 21, 0), reading('mode', 'auto', 0)] }]);
    expect(model.latest.value).toEqual([reading('mode', 'auto', 0), reading('temp', 21, 0)]);
    expect(model.charted.value).toEqual(['temp']);
    expect(model.series('temp')!.values).toEqual([20, 21]);
  });

  it('is not mixed up with others', async () => {
    const { model, load, tell } = setUp();
    await load();
    tell('latest', [{ device: 'other', values: [reading('temp', 99, 0)] }]);
    tell('presence', [{ device: 'other', presence: null }]);
    expect(model.latest.value).toEqual([reading('temp', 20, 1000)]);
    expect(model.fault.value).toBeNull();
  });

  it('does not go back to what the API said when the feed knew more', async () => {
    const { model, answers, load, tell } = setUp();
    await load();
    const gone = presence({ online: false, disconnectedMs: NOW_MS, reason: 'ping_timeout', initiator: 'hub' });
    tell('presence', [{ device: 'pump', presence: gone }]);
    await settled();
    expect(model.device.value!.presence).toEqual(gone);
    answers['/api/v1/devices/pump/latest'] = { items: [reading('temp', 19, 5000)], next: null };
    await load();
    expect(model.device.value!.presence).toEqual(gone);
    expect(model.latest.value).toEqual([reading('temp', 20, 1000)]);
  });

  it('is asked for again when its connection changes, as the feed does not tell everything', async () => {
    const { model, answers, load, tell } = setUp();
    await load();
    const gone = presence({ online: false, reason: 'device_disabled', initiator: 'hub' });
    const device = answers['/api/v1/devices/pump'] as Device;
    answers['/api/v1/devices/pump'] = { ...device, disabled: true, presence: gone };
    tell('presence', [{ device: 'pump', presence: gone }]);
    await settled();
    expect(model.device.value!.disabled).toBe(true);
  });

  it('has the last hour from history, with the live values behind it', async () => {
    const { model, answers, load, tell } = setUp();
    answers['/api/v1/devices/pump/readings'] = {
      items: [
        reading('temp', 1, 5000),
        reading('door', true, 5000),
        reading('temp', 2, 3000),
        reading('mode', 'x', 1000),
      ],
      next: null,
      complete: true,
    };
    await load();
    tell('latest', [{ device: 'pump', values: [reading('temp', 30, 0)] }]);
    expect(model.series('temp')!.values).toEqual([1, 2, 20, 30]);
    expect(model.charted.value).toEqual(['door', 'temp']);
    expect(model.isBoolean('door')).toBe(true);
    expect(model.isBoolean('temp')).toBe(false);
    expect(model.history.value).toEqual({ state: 'here', fromMs: NOW_MS - 3_600_000 });
  });

  it('puts its metrics in the order in which people count', async () => {
    const { model, load, tell } = setUp();
    await load();
    tell('latest', [
      { device: 'pump', values: ['line-10', 'line-2', 'Line-1'].map((metric) => reading(metric, 1, 0)) },
    ]);
    expect(model.charted.value).toEqual(['Line-1', 'line-2', 'line-10', 'temp']);
    expect(model.oldestMs).toBe(NOW_MS - 1000);
  });

  it('fills in what the feed did not tell while it was away', async () => {
    const { model, answers, asked, load, tell } = setUp();
    await load();
    tell('latest', [{ device: 'pump', values: [reading('temp', 50, 0)] }]);
    expect(model.series('temp')!.values).toEqual([20, 50]);
    answers['/api/v1/devices/pump/readings'] = {
      items: [reading('temp', 20, 1000), reading('temp', 35, 500), reading('temp', 50, 0)],
      next: null,
      complete: true,
    };
    asked.length = 0;
    await model.loadHistory(new AbortController().signal);
    expect(asked).toEqual(['/api/v1/devices/pump/readings']);
    expect(model.series('temp')!.values).toEqual([20, 35, 50]);
  });

  it('says so when there is none of this name, when it was deleted, and when the hub fails', async () => {
    const missing = setUp();
    missing.answers['/api/v1/devices/pump'] = new ApiError(404, { code: 'not_found' });
    await missing.load();
    expect(missing.model.fault.value).toEqual({ kind: 'missing' });

    const deleted = setUp();
    await deleted.load();
    deleted.tell('presence', [{ device: 'pump', presence: null }]);
    expect(deleted.model.fault.value).toEqual({ kind: 'deleted' });

    const failing = setUp();
    failing.answers['/api/v1/devices/pump'] = new ApiError(503, { detail: 'not now' });
    await failing.load();
    expect(failing.model.fault.value).toEqual({ kind: 'failed', text: 'not now' });
    failing.answers['/api/v1/devices/pump'] = setUp().answers['/api/v1/devices/pump'];
    await failing.load();
    expect(failing.model.fault.value).toBeNull();
  });

  it('has nothing of a device of the same id that was deleted before, whether the feed told so or not', async () => {
    for (const isTold of [true, false]) {
      const { model, answers, load, tell } = setUp();
      await load();
      tell('latest', [{ device: 'pump', values: [reading('temp', 21, 0)] }]);
      const anew = presence({ online: false, epoch: 0, protocol: null, connectedMs: null });
      const device = answers['/api/v1/devices/pump'] as Device;
      answers['/api/v1/devices/pump'] = { ...device, createdUs: 2, presence: anew };
      answers['/api/v1/devices/pump/latest'] = { items: [], next: null };
      if (isTold) tell('presence', [{ device: 'pump', presence: null }]);
      await load();
      expect(model.fault.value).toBeNull();
      expect(model.device.value!.presence).toEqual(anew);
      expect(model.latest.value).toEqual([]);
      expect(model.charted.value).toEqual([]);
    }
  });

  it('is taken whole when a device of the same id connects after it was deleted', async () => {
    const { model, answers, load, tell } = setUp();
    await load();
    tell('presence', [{ device: 'pump', presence: null }]);
    const device = answers['/api/v1/devices/pump'] as Device;
    answers['/api/v1/devices/pump'] = { ...device, createdUs: 2, presence: presence({ epoch: 4 }) };
    answers['/api/v1/devices/pump/latest'] = { items: [reading('flow', 1, 0)], next: null };
    tell('presence', [{ device: 'pump', presence: presence({ epoch: 4 }) }]);
    await settled();
    expect(model.fault.value).toBeNull();
    expect(model.latest.value).toEqual([reading('flow', 1, 0)]);
    expect(model.charted.value).toEqual(['flow']);
  });

  it('is shown without history when that fails', async () => {
    const { model, answers, load } = setUp();
    answers['/api/v1/devices/pump/readings'] = new ApiError(503, { detail: 'disk' });
    await load();
    expect(model.history.value).toEqual({ state: 'failed', text: 'disk' });
    expect(model.latest.value).toHaveLength(1);
  });

  it('keeps text of devices as the text it is', async () => {
    const { model, load, tell } = setUp();
    await load();
    tell('latest', [{ device: 'pump', values: [reading(SCRIPT, SCRIPT, 0), reading('__proto__', 1, 0)] }]);
    expect(model.latest.value!.map(({ metric }) => metric)).toEqual([SCRIPT, '__proto__', 'temp']);
    expect(model.series('__proto__')!.values).toEqual([1]);
  });

  it('listens no more once it was left', () => {
    const { listeners, stop } = setUp();
    expect(listeners.size).toBe(3);
    stop();
    expect(listeners.size).toBe(0);
  });

  it('takes the answer to a command that was sent, and the feed’s news of it in any order', async () => {
    const { model, load, tell } = setUp();
    await load();
    const command = {
      id: 'c1',
      device: 'pump',
      name: 'reboot',
      state: 'succeeded' as const,
      createdUs: 1,
      sentUs: 2,
      receivedUs: 3,
      finishedUs: 4,
      attempts: 1,
      result: null,
      lateStatus: null,
    };
    tell('command', [command]);
    model.tellCommands([{ ...command, state: 'queued', attempts: 0, finishedUs: null, params: { a: 1 } }]);
    expect(model.commands.value).toMatchObject([{ id: 'c1', state: 'succeeded', params: { a: 1 } }]);
  });
});
