/* eslint-disable @typescript-eslint/no-unsafe-class-instance-assignment -- stompjs declares its option bags as classes and documents object literals for them */
import { Client, type IFrame, type IMessage } from '@stomp/stompjs';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { until } from '../support/hub.ts';
import { HubChild } from './faults/hub-child.ts';

let data: string;
let hub: HubChild;
let clients: Client[];
const FLAGS = { shutdownTimeoutMs: 2000 };

beforeEach(async () => {
  data = mkdtempSync(join(tmpdir(), 'muster-test-'));
  clients = [];
  hub = await HubChild.start({ data, flags: FLAGS });
});
afterEach(async () => {
  for (const client of clients) await client.deactivate({ force: true });
  await hub.kill('SIGKILL');
  rmSync(data, { recursive: true, force: true });
});

async function dieAndComeBack(): Promise<void> {
  await hub.kill('SIGKILL');
  hub = await HubChild.start({ data, flags: FLAGS, token: hub.token });
}

/** A client that finds the hub again wherever it is, and begins anew each time. */
function client(clientId: string, begin: (client: Client) => void, receipt: (frame: IFrame) => void): Client {
  const made: Client = new Client({
    webSocketFactory: () => new WebSocket(`${hub.wsUrl}/stomp`, ['v12.stomp']) as never,
    connectHeaders: { login: 'app', passcode: hub.token, 'client-id': clientId },
    reconnectDelay: 20,
    heartbeatIncoming: 0,
    heartbeatOutgoing: 0,
    onConnect: () => begin(made),
    onUnhandledReceipt: receipt,
    onWebSocketError: () => undefined,
  });
  clients.push(made);
  made.activate();
  return made;
}

/** Sends each of its messages until its RECEIPT has come, some under way at a time. */
function producer(name: string, destination: string, count: number): { readonly done: () => number } {
  let first = 0;
  let next = 0;
  const received = new Set<string>();
  const text = (n: number): string => `${name} ${String(n).padStart(4, '0')}`;
  const goOn = (made: Client): void => {
    while (received.has(text(first))) first++;
    for (; next < Math.min(count, first + 20); next++) {
      made.publish({ destination, body: text(next), headers: { receipt: text(next) } });
    }
  };
  const made = client(
    name,
    (connected) => {
      // What had no RECEIPT is sent again, in order.
      while (received.has(text(first))) first++;
      next = first;
      goOn(connected);
    },
    ({ headers }) => {
      received.add(headers['receipt-id']!);
      if (made.connected) goOn(made);
    },
  );
  return { done: () => received.size };
}

function consumer(
  clientId: string,
  destination: string,
  headers: Readonly<Record<string, string>>,
  take: (message: IMessage) => void,
): Client {
  return client(
    clientId,
    (made) => void made.subscribe(destination, take, { ...headers }),
    () => undefined,
  );
}

/** The first time that each came. */
function firsts(texts: readonly string[], name: string): string[] {
  return [...new Set(texts.filter((text) => text.startsWith(`${name} `)))];
}

test('a queue through kill -9: nothing with a RECEIPT is lost, each producer’s messages come in order', async () => {
  const COUNT = 500;
  const got: string[] = [];
  const headers = { ack: 'client-individual', 'prefetch-count': '16' };
  consumer('c', '/queue/jobs', headers, (message) => {
    got.push(message.body);
    message.ack();
  });
  const producers = ['one', 'two'].map((name) => producer(name, '/queue/jobs', COUNT));
  const done = (): number => producers.reduce((sum, { done: of }) => sum + of(), 0);
  for (let round = 1; round <= 4; round++) {
    await until('the next part is through', () => done() >= (round * 2 * COUNT) / 5, 30_000);
    await dieAndComeBack();
  }
  await until('all have their RECEIPT', () => done() === 2 * COUNT, 30_000);
  await until('everything came', () => new Set(got).size === 2 * COUNT, 30_000);
  for (const name of ['one', 'two']) {
    const all = Array.from({ length: COUNT }, (_, i) => `${name} ${String(i).padStart(4, '0')}`);
    expect(firsts(got, name)).toEqual(all);
  }
  await until('nothing is left', async () => {
    const { body } = await hub.api('GET', '/api/v1/queues');
    return body.items.every((queue: any) => queue.messages === 0 && queue.unacknowledged === 0);
  });
}, 120_000);

test('two consumers through kill -9: together they get everything', async () => {
  const COUNT = 400;
  const got: string[] = [];
  for (const clientId of ['c1', 'c2']) {
    consumer(clientId, '/queue/shared', { ack: 'client', 'prefetch-count': '8' }, (message) => {
      got.push(message.body);
      message.ack();
    });
  }
  const { done } = producer('p', '/queue/shared', COUNT);
  for (let round = 1; round <= 2; round++) {
    await until('the next part is through', () => done() >= (round * COUNT) / 3, 30_000);
    await dieAndComeBack();
  }
  await until('everything came', () => new Set(got).size === COUNT, 30_000);
}, 120_000);

test('a durable subscription through kill -9, with its client there and away', async () => {
  const COUNT = 400;
  const got: string[] = [];
  const headers = { id: 'd', durable: 'true', ack: 'client-individual' };
  const take = (message: IMessage): void => {
    got.push(message.body);
    message.ack();
  };
  const reader = consumer('reader', '/topic/run/#', headers, take);
  await until('it is subscribed', async () => (await hub.api('GET', '/api/v1/queues')).body.items.length === 1);
  const { done } = producer('p', '/topic/run/x', COUNT);
  await until('a part is through', () => done() >= COUNT / 4, 30_000);
  await dieAndComeBack();
  await until('the next part is through', () => done() >= COUNT / 2, 30_000);
  await reader.deactivate({ force: true });
  await dieAndComeBack();
  await until('all have their RECEIPT', () => done() === COUNT, 30_000);
  await dieAndComeBack();
  const { body } = await hub.api('GET', '/api/v1/queues');
  expect(body.items).toMatchObject([{ kind: 'subscription', name: 'd', consumers: 0, dropped: 0 }]);
  consumer('reader', '/topic/run/#', headers, take);
  await until('everything came', () => new Set(got).size === COUNT, 30_000);
  expect(firsts(got, 'p')).toEqual(Array.from({ length: COUNT }, (_, i) => `p ${String(i).padStart(4, '0')}`));
}, 120_000);

test('what a transaction moves from queue to queue is moved once, through kill -9', async () => {
  const COUNT = 400;
  const { done } = producer('p', '/queue/in', COUNT);
  await until('all is there', () => done() === COUNT, 30_000);
  await clients.pop()!.deactivate();
  let moved = 0;
  const headers = { ack: 'client-individual', 'prefetch-count': '10' };
  const mover = client(
    'mover',
    (made) =>
      void made.subscribe(
        '/queue/in',
        (message) => {
          const { id: transaction, commit } = made.begin();
          made.publish({ destination: '/queue/out', body: message.body, headers: { transaction } });
          message.ack({ transaction });
          commit();
          moved++;
        },
        headers,
      ),
    () => undefined,
  );
  for (let round = 1; round <= 4; round++) {
    await until('some are moved', () => moved >= (round * COUNT) / 6, 30_000);
    await dieAndComeBack();
  }
  const queueNamed = async (name: string): Promise<any> => {
    const { body } = await hub.api('GET', '/api/v1/queues');
    return body.items.find((queue: { name: string }) => queue.name === name);
  };
  await until('the rest is moved', async () => (await queueNamed('out'))?.messages === COUNT, 30_000);
  await until('nothing is left', async () => (await queueNamed('in'))?.unacknowledged === 0, 30_000);
  await mover.deactivate();
  const got: string[] = [];
  consumer('last', '/queue/out', { ack: 'auto' }, ({ body }) => got.push(body));
  await until('everything came', () => got.length >= COUNT, 30_000);
  expect(got.sort()).toEqual(Array.from({ length: COUNT }, (_, i) => `p ${String(i).padStart(4, '0')}`));
}, 120_000);
