import { describe, expect, test } from 'vitest';
import type { ChannelEvents } from '#devices-sim/device/channel.js';
import { httpChannels } from '#devices-sim/device/http.js';
import type { HttpAnswer, HttpRequest, HttpRequests } from '#devices-sim/device/http-requests.js';

const MESSAGE = { timeUs: 1_767_225_600_000_000, readings: [{ metric: 'a', value: 1 }] };
const OPENED = { resume: 3, time: 1_767_225_600_000, window: 64, max: 262_144, device: 'd1' };

interface Asked extends HttpRequest {
  stopped: boolean;
  answer(status: number, body?: unknown, retryAfter?: string): void;
  fail(text: string): void;
}

/** A channel, what it asks of the hub and what it tells its device. */
function bench(token: string | null = 'mst_aa_b') {
  const asked: Asked[] = [];
  const told: unknown[][] = [];
  let nowMs = 0;
  let later: { atMs: number; run: () => void }[] = [];
  let ended = false;
  const requests: HttpRequests = {
    send: (request, done) => {
      const one: Asked = {
        ...request,
        stopped: false,
        answer: (status, body = {}, retryAfter) => {
          const answer: HttpAnswer = {
            status,
            retryAfter,
            body: typeof body === 'string' ? body : JSON.stringify(body),
          };
          if (!one.stopped) done(answer);
        },
        fail: (text) => done(new Error(text)),
      };
      asked.push(one);
      return () => (one.stopped = true);
    },
    end: () => (ended = true),
  };
  const clock = {
    nowMs: () => nowMs,
    after: (ms: number, run: () => void) => {
      const entry = { atMs: nowMs + ms, run };
      later.push(entry);
      return () => (later = later.filter((one) => one !== entry));
    },
  };
  const events = new Proxy({} as ChannelEvents, {
    get:
      (_, name: string) =>
      (...args: unknown[]) => {
        if (name !== 'heard') told.push([name, ...args]);
      },
  });
  const open = httpChannels({ deviceId: 'd1', token }, () => requests, clock);
  const channel = open({ stream: 'q1', next: 3 }, events);
  return {
    channel,
    asked,
    told,
    isOver: () => ended,
    advance: (ms: number) => {
      nowMs += ms;
      const due = later.filter(({ atMs }) => atMs <= nowMs);
      later = later.filter(({ atMs }) => atMs > nowMs);
      for (const { run } of due) run();
    },
    /** The stream is open; the request for commands is the last one asked. */
    opened() {
      asked[0]!.answer(200, OPENED);
      return asked.splice(0).at(-1)!;
    },
  };
}

describe('a device over HTTP', () => {
  test('opens its stream as HELLO does, and asks for commands', () => {
    const b = bench();
    expect(b.asked).toMatchObject([
      {
        method: 'POST',
        path: '/device/v1/streams/q1',
        body: '{"next":3}',
        headers: { authorization: 'Bearer mst_aa_b', 'content-type': 'application/json' },
      },
    ]);
    const poll = b.opened();
    expect(b.told).toEqual([['ready', 3, OPENED.time]]);
    expect(poll).toMatchObject({ method: 'GET', path: '/device/v1/commands?wait=30', timeoutMs: 45_000 });
  });

  test('without a token it says its id', () => {
    expect(bench(null).asked[0]!.headers).toMatchObject({ 'muster-device': 'd1' });
    expect(bench(null).asked[0]!.headers).not.toHaveProperty('authorization');
  });

  test('sends one message after the other, each by stream and number', () => {
    const b = bench();
    b.opened();
    expect(b.channel.window).toBe(1);
    b.channel.send(3, MESSAGE, false);
    b.channel.send(4, { event: 'boot', value: { a: 1 } }, false);
    expect(b.asked).toMatchObject([
      {
        path: '/device/v1/telemetry',
        headers: { 'muster-stream': 'q1', 'muster-seq': '3', 'content-type': 'application/json' },
        body: '{"ts":1767225600000,"a":1}',
      },
    ]);
    b.asked[0]!.answer(200, { readings: 1, duplicate: false, ack: 3 });
    expect(b.asked[1]).toMatchObject({
      path: '/device/v1/events/boot',
      body: '{"a":1}',
      headers: { 'muster-seq': '4' },
    });
    b.asked[1]!.answer(200, { duplicate: true, ack: 4 });
    expect(b.told.slice(1)).toEqual([
      ['acknowledged', 3],
      ['acknowledged', 4],
    ]);
  });

  test.each<[string, number, unknown, unknown[]]>([
    [
      'recorded as rejected',
      422,
      { code: 'series_limit', detail: 'no more', recorded: true },
      ['refused', 3, 'HTTP 422 series_limit: no more'],
    ],
    [
      'too large to be read',
      413,
      { code: 'too_large', detail: '', recorded: false },
      ['refused', 3, 'HTTP 413 too_large: ', 'too_large'],
    ],
    ['behind a gap', 409, { code: 'gap', expected: 2 }, ['gap', 2]],
    [
      'not to be taken now',
      503,
      { code: 'store_unavailable', recorded: false },
      ['closed', { why: 'HTTP 503 (store_unavailable)', reconnect: true, retryAfterMs: 7000 }],
    ],
    [
      'of a revoked device',
      401,
      { code: 'bad_credentials' },
      ['closed', { why: 'HTTP 401 (bad_credentials)', reconnect: false, retryAfterMs: 7000 }],
    ],
    [
      'of a device that may not',
      403,
      { code: 'protocol_not_allowed' },
      ['closed', { why: 'HTTP 403 (protocol_not_allowed)', reconnect: false, retryAfterMs: 7000 }],
    ],
    ['answered by a proxy', 502, '<html>', ['closed', { why: 'HTTP 502', reconnect: true, retryAfterMs: 7000 }]],
  ])('a message that is %s', (_, status, body, expected) => {
    const b = bench();
    b.opened();
    b.channel.send(3, MESSAGE, false);
    b.asked[0]!.answer(status, body, '7');
    expect(b.told.at(-1)).toEqual(expected);
    expect(b.isOver()).toBe(expected[0] === 'closed');
  });

  test('what was handed over is called received by the next request, once the device has it', () => {
    const b = bench();
    const commands = [
      { id: 'c-1', name: 'blink', params: { times: 2 }, deadline: 99 },
      { id: 'c-2', name: 'blink', params: null, deadline: 99 },
    ];
    b.opened().answer(200, { commands, cursor: 'X 2', time: 1 });
    expect(b.told.slice(1)).toEqual(
      commands.map(({ deadline: deadlineMs, ...command }) => ['command', { ...command, deadlineMs }, command.id]),
    );
    b.channel.received('c-2');
    expect(b.asked).toEqual([]);
    b.channel.received('c-1');
    expect(b.asked[0]!.path).toBe('/device/v1/commands?wait=30&cursor=X%202');
  });

  test('a proxy that takes less than the hub says 413 in its own words: that message is refused, and the next one goes', () => {
    const b = bench();
    b.opened();
    b.channel.send(1, MESSAGE, false);
    b.asked[0]!.answer(413, '<html>Request Entity Too Large</html>');
    expect(b.told.slice(1)).toEqual([['refused', 1, 'HTTP 413 : ', 'too_large']]);
    b.channel.send(2, MESSAGE, false);
    expect(b.asked.at(-1)!.headers).toMatchObject({ 'muster-seq': '2' });
  });

  test('a result whose value the hub does not take is told, and ends nothing', () => {
    const b = bench();
    b.opened();
    for (const [i, status] of [413, 422].entries()) {
      b.channel.result({ commandId: 'c-1', status: 'succeeded', value: 1 });
      b.asked[i]!.answer(status, { code: 'too_deep', detail: 'too much' });
    }
    expect(b.told.slice(1)).toEqual([
      ['resultRefused', 'c-1', 'HTTP 413 too_deep: too much'],
      ['resultRefused', 'c-1', 'HTTP 422 too_deep: too much'],
    ]);
  });

  test('results are sent until the hub has them or knows no such command', () => {
    const b = bench();
    b.opened();
    b.channel.result({ commandId: 'c-1', status: 'succeeded', value: { a: 1 } });
    b.channel.result({ commandId: 'c-2', status: 'failed', value: undefined });
    expect(b.asked[0]).toMatchObject({
      path: '/device/v1/commands/c-1/result',
      body: '{"status":"succeeded","value":{"a":1}}',
    });
    b.asked[0]!.answer(200, { taken: true });
    expect(b.asked[1]!.body).toBe('{"status":"failed","value":null}');
    b.asked[1]!.answer(404, { code: 'unknown_command' });
    expect(b.told.slice(1)).toEqual([
      ['resultAcknowledged', 'c-1', true],
      ['resultAcknowledged', 'c-2', false],
    ]);
  });

  test('asks again when a wait ended, but not in a circle when it never began', () => {
    const b = bench();
    const poll = b.opened();
    b.advance(30_000);
    poll.answer(200, { commands: [], cursor: 'c', time: 1 });
    expect(b.asked).toHaveLength(1);
    b.asked[0]!.answer(200, { commands: [], cursor: 'c', time: 1 });
    expect(b.asked).toHaveLength(1);
    b.advance(1000);
    expect(b.asked).toHaveLength(2);
  });

  test('a newer connection of the device ends this one for good', () => {
    const b = bench();
    b.opened().answer(409, { code: 'taken_over' });
    expect(b.told.at(-1)).toEqual(['closed', { why: 'HTTP 409 (taken_over)', reconnect: false, retryAfterMs: 0 }]);
  });

  test('a request that fails ends the channel, once, and nothing is said afterwards', () => {
    const b = bench();
    const poll = b.opened();
    b.channel.send(3, MESSAGE, false);
    b.asked[0]!.fail('connect ECONNREFUSED');
    poll.answer(200, { commands: [{ id: 'c', name: 'x' }], cursor: 'c' });
    b.channel.terminate();
    expect(b.told.slice(1)).toEqual([['closed', { why: 'connect ECONNREFUSED', reconnect: true, retryAfterMs: 0 }]]);
    expect(poll.stopped).toBe(true);
  });

  test('says goodbye when it was taken in, and only ends when it was not', () => {
    const b = bench();
    const poll = b.opened();
    b.channel.close(true);
    expect(poll.stopped).toBe(true);
    expect(b.asked[0]).toMatchObject({ method: 'DELETE', path: '/device/v1/connection' });
    b.asked[0]!.answer(204, '');
    expect(b.told.at(-1)![0]).toBe('closed');
    const early = bench();
    early.channel.close(false);
    expect([early.asked.length, early.told.at(-1)![0]]).toEqual([1, 'closed']);
  });

  test.each<[string, (b: ReturnType<typeof bench>) => void]>([
    ['a stream without resume', (b) => b.asked[0]!.answer(200, { time: 1 })],
    ['a stream that is no JSON', (b) => b.asked[0]!.answer(200, '<html>')],
    ['no commands', (b) => b.opened().answer(200, { cursor: 'c' })],
    ['a command without a name', (b) => b.opened().answer(200, { commands: [{ id: 'c' }], cursor: 'c' })],
    ['a command that is none', (b) => b.opened().answer(200, { commands: [null], cursor: 'c' })],
  ])('an answer with %s is a fault of the hub', (_, run) => {
    const b = bench();
    run(b);
    expect(b.told.at(-1)![0]).toBe('broken');
  });
});
