import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import express, { type Response } from 'express';
import { afterEach, describe, expect, it } from 'vitest';
import type { PollAnswer } from '#hub/gateway/http/port.js';
import { EventStream, OneAnswer } from '#hub/http/device/poll-answers.js';
import { API_LIMITS } from '#hub/http/limits.js';
import { FakeClock } from '#test/support/fake-clock.js';

let server: Server | null = null;
let sockets = 0;
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

/** What a client hears of an answer; rejects when its socket is cut. */
async function heard(
  make: (res: Response) => PollAnswer,
  say: (answer: PollAnswer) => void,
): Promise<globalThis.Response> {
  sockets = 0;
  server = createServer(express().use((_req, res) => say(make(res)))).on('connection', () => sockets++);
  await new Promise<void>((resolve) => server!.listen(0, '127.0.0.1', resolve));
  return again();
}

function again(): Promise<globalThis.Response> {
  return fetch(`http://127.0.0.1:${(server!.address() as AddressInfo).port}/`);
}

const KINDS: [string, (res: Response) => PollAnswer][] = [
  ['one answer', (res) => new OneAnswer(res, new FakeClock(), API_LIMITS)],
  ['an event stream', (res) => new EventStream(res, API_LIMITS)],
];

describe.each(KINDS)('%s', (_kind, make) => {
  it('that was given to its end is not cut: the next request of the device may be on the socket already', async () => {
    const answer = await heard(make, (one) => {
      one.refuse('taken_over', 'a newer one');
      one.destroy();
    });
    expect(answer.status).toBe(409);
    expect(await answer.json()).toMatchObject({ code: 'taken_over', detail: 'a newer one' });
    // The client takes its socket back when it has read the answer.
    await new Promise(setImmediate);
    await (await again()).text();
    expect(sockets).toBe(1);
  });

  it('that was not given is cut', async () => {
    await expect(heard(make, (one) => one.destroy())).rejects.toThrow('fetch failed');
  });
});

it('an event stream that is replaced before its first words is one all the same', async () => {
  const answer = await heard(
    (res) => new EventStream(res, API_LIMITS),
    (one) => one.done(''),
  );
  expect(answer.headers.get('content-type')).toMatch('text/event-stream');
  expect(await answer.text()).toBe('retry: 1000\n\n');
});
