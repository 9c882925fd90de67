/* eslint-disable @typescript-eslint/no-unsafe-class-instance-assignment -- stompjs declares its option bags as classes and documents object literals for them */
import mqtt, { type MqttClient } from 'mqtt';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestHub, until, type TestHub } from '../support/hub.ts';
import { newDevice } from './clients/hub-view.ts';
import { afterThisTest } from './clients/opened.ts';
import { stompApplication, stompConnect, stompDevice, type StompPeer } from './clients/stomp.ts';

let hub: TestHub;
beforeAll(async () => {
  hub = await startTestHub({ maxQueueMessages: 20, maxQueues: 40, maxDeliveries: 3 });
});
afterAll(() => hub.close());

async function mqttApplication(options: mqtt.IClientOptions = {}): Promise<MqttClient> {
  const client = await mqtt.connectAsync(`${hub.wsUrl}/mqtt`, {
    clientId: `m${Math.random()}`,
    username: 'app',
    password: hub.token,
    protocolVersion: 5,
    reconnectPeriod: 0,
    ...options,
  });
  client.on('error', () => undefined);
  afterThisTest(() => client.endAsync(true));
  return client;
}

const numbers = (from: number, to: number): string[] => Array.from({ length: to - from }, (_, i) => String(from + i));

async function queueNamed(name: string): Promise<any> {
  const { body } = await hub.api('GET', '/api/v1/queues?limit=100');
  return body.items.find((queue: { name: string }) => queue.name === name);
}

async function applicationToken(of: TestHub, name: string, subscribe: readonly string[]): Promise<string> {
  const topics = { publish: [], subscribe };
  const { body } = await of.api('POST', '/api/v1/tokens', { kind: 'application', label: name, topics });
  return body.token as string;
}

describe('/queue/…', () => {
  it('is shared: two consumers get half of it each, and nothing twice', async () => {
    const consumers = [await stompApplication(hub, 'half-1'), await stompApplication(hub, 'half-2')];
    for (const consumer of consumers) {
      await consumer.subscribe('/queue/share', 'client-individual', (message) => message.ack());
    }
    const sender = await stompApplication(hub, 'half-sender');
    for (const text of numbers(0, 100)) await sender.send('/queue/share', text);
    await until('all', () => consumers[0]!.bodies.length + consumers[1]!.bodies.length === 100);
    expect(consumers.map(({ bodies }) => bodies.length)).toEqual([50, 50]);
    for (const { bodies } of consumers) expect(bodies).toEqual([...bodies].sort((a, b) => Number(a) - Number(b)));
    expect([...consumers[0]!.bodies, ...consumers[1]!.bodies].sort()).toEqual(numbers(0, 100).sort());
  });

  it('keeps what comes while nobody consumes, and gives it again until it is acknowledged', async () => {
    const sender = await stompApplication(hub, 'keeper');
    for (const text of numbers(0, 5)) await sender.send('/queue/kept', text, { 'content-type': 'text/plain', k: 'v' });
    const first = await stompApplication(hub, 'first');
    const headers = { 'prefetch-count': '2' };
    await first.subscribe('/queue/kept', 'client-individual', () => undefined, headers);
    await until('two', () => first.bodies.length === 2);
    expect(first.received[0]!.headers).toMatchObject({
      destination: '/queue/kept',
      'content-type': 'text/plain',
      k: 'v',
    });
    expect(first.received[0]!.headers).not.toHaveProperty('redelivered');
    first.received[0]!.ack();
    await until('the next', () => first.bodies.length === 3);
    first.cut();
    const second = await stompApplication(hub, 'second');
    await second.subscribe('/queue/kept', 'client', () => undefined);
    await until('the rest', () => second.bodies.length === 4);
    expect(second.received.map(({ body, headers: { redelivered } }) => [body, redelivered])).toEqual([
      ['1', 'true'],
      ['2', 'true'],
      ['3', undefined],
      ['4', undefined],
    ]);
    await second.does((headers) => second.received[3]!.ack(headers));
    await until('it is gone', async () => (await queueNamed('kept'))?.messages === 0);
  });

  it('gives a refused message again, and buries it when it was refused too often', async () => {
    const consumer = await stompApplication(hub, 'refuser');
    let refused = 0;
    await consumer.subscribe('/queue/poison', 'client-individual', (message) => {
      if (message.body !== 'bad') {
        message.ack();
        return;
      }
      refused++;
      message.nack();
    });
    await consumer.send('/queue/poison', 'bad');
    await consumer.send('/queue/poison', 'good');
    await until('the good one', () => consumer.bodies.includes('good'));
    await until('it is dead', async () => (await queueNamed('poison'))?.deadLetters === 1);
    expect(refused).toBe(3);
    await consumer.subscribe('/queue/dead-letters/poison', 'auto');
    await until('the dead letter', () => consumer.bodies.filter((body) => body === 'bad').length === 4);
    expect(consumer.received.at(-1)!.headers).toMatchObject({
      destination: '/queue/dead-letters/poison',
      'original-topic': '$queue/poison',
      refused: '3',
    });
  });

  it('with a transaction takes ACK and SEND together, or neither', async () => {
    const worker = await stompApplication(hub, 'worker');
    const got: string[] = [];
    await worker.subscribe('/queue/in', 'client-individual', (message) => {
      got.push(message.body);
      const transaction = worker.client.begin();
      worker.sendOnly('/queue/out', `done ${message.body}`, { transaction: transaction.id });
      message.ack({ transaction: transaction.id });
      if (message.body === 'a') transaction.commit();
      else transaction.abort();
    });
    await worker.send('/queue/in', 'a');
    await worker.send('/queue/in', 'b');
    await until('both', () => got.length === 2);
    await until('a is through', async () => (await queueNamed('out'))?.messages === 1);
    expect(await queueNamed('in')).toMatchObject({ messages: 0, unacknowledged: 1 });
    worker.cut();
    const next = await stompApplication(hub, 'next-worker');
    await next.subscribe('/queue/in', 'auto');
    await until('b again', () => next.bodies.includes('b'));
    expect(next.received[0]!.headers['redelivered']).toBe('true');
  });

  it('that is full refuses what comes, by an ERROR that names the limit, and says nothing was kept', async () => {
    const sender = await stompApplication(hub, 'filler');
    for (const text of numbers(0, 20)) await sender.send('/queue/full', text);
    await expect(sender.send('/queue/full', 'one more')).rejects.toThrow('limit_exceeded');
    expect(sender.errors[0]!.headers).toMatchObject({ 'muster-limit': 'maxQueueMessages' });
    expect(sender.errors[0]!.body).toContain('"full"');
    const mqtt5 = await mqttApplication();
    const refused = mqtt5.publishAsync('$queue/full', 'x', { qos: 1 });
    await expect(refused).rejects.toMatchObject({ code: 0x97 });
    expect(await queueNamed('full')).toMatchObject({ messages: 20 });
    const late = await stompApplication(hub, 'late-filler');
    const transaction = late.client.begin();
    late.sendOnly('/queue/full', 'x', { transaction: transaction.id, receipt: 'now' });
    await until('it is told when it sends, not at COMMIT', () => late.errors.length === 1);
    expect(late.errors[0]!.headers).toMatchObject({ 'receipt-id': 'now', 'muster-limit': 'maxQueueMessages' });
  });

  it('that has filled up meanwhile refuses a COMMIT as a whole: what it acknowledged comes again', async () => {
    const worker = await stompApplication(hub, 'careful');
    const filler = await stompApplication(hub, 'crowd');
    for (const text of numbers(0, 18)) await filler.send('/queue/results', text);
    await worker.subscribe('/queue/tasks', 'client-individual');
    await filler.send('/queue/tasks', 'task');
    await until('the task', () => worker.received.length === 1);
    const transaction = worker.client.begin();
    worker.received[0]!.ack({ transaction: transaction.id });
    for (const text of ['a', 'b']) worker.sendOnly('/queue/results', text, { transaction: transaction.id });
    worker.client.publish({ destination: '/queue/noted', body: 'x', headers: { transaction: transaction.id } });
    await worker.send('/queue/noted', 'outside');
    await filler.send('/queue/results', 'quicker');
    transaction.commit();
    await until('it is told', () => worker.errors.length === 1);
    expect(worker.errors[0]!.headers).toMatchObject({
      message: 'limit_exceeded',
      'muster-limit': 'maxQueueMessages',
    });
    await until('the task waits again', async () => (await queueNamed('tasks')).messages === 1);
    expect(await queueNamed('results')).toMatchObject({ messages: 19 });
    expect(await queueNamed('noted')).toMatchObject({ messages: 1 });
  });

  it('takes what MQTT clients publish to $queue/…, and shows it to no topic subscription', async () => {
    const [three, five] = [await mqttApplication({ protocolVersion: 4 }), await mqttApplication()];
    const seen: string[] = [];
    five.on('message', (topic) => seen.push(topic));
    await five.subscribeAsync('#', { qos: 1 });
    const listener = await stompApplication(hub, 'topics');
    await listener.subscribe('/topic/>');
    await three.publishAsync('$queue/from-mqtt', 'one', { qos: 1 });
    await five.publishAsync('$queue/from-mqtt', 'two', { qos: 2, properties: { userProperties: { a: 'b' } } });
    await five.publishAsync('$queue/from-mqtt', 'three', { qos: 0 });
    await five.publishAsync('seen', 'x', { qos: 1 });
    await until('the ordinary message', () => seen.length > 0 && listener.received.length > 0);
    const consumer = await stompApplication(hub, 'of-mqtt');
    await consumer.subscribe('/queue/from-mqtt', 'client');
    await until('three', () => consumer.bodies.length === 3);
    expect(consumer.bodies).toEqual(['one', 'two', 'three']);
    expect(consumer.received[1]!.headers['a']).toBe('b');
    expect(seen).toEqual(['seen']);
    expect(listener.bodies).toEqual(['x']);
  });

  it('cannot be subscribed to in MQTT', async () => {
    const five = await mqttApplication();
    const refused = { reasonCode: 0x87, code: 0x87 };
    for (const filter of ['$queue/x', '$queue/#', '$share/g/$queue/x', '$reply/+']) {
      await expect(five.subscribeAsync(filter), filter).rejects.toSatisfy(
        (error: { code?: number; packet?: { granted: number[] } }) =>
          error.code === refused.code || error.packet?.granted[0] === 0x87,
      );
    }
  });

  it('is a device’s only where the policy opens it', async () => {
    const device = await stompDevice(hub, await newDevice(hub, 'curious'));
    const receipt = await device.send('/queue/jobs', 'x');
    expect(receipt.headers).toMatchObject({ 'muster-status': 'rejected', 'muster-reason': 'topic_not_allowed' });
    await expect(device.subscribe('/queue/jobs')).rejects.toThrow('not_authorized');
  });
});

describe('a temporary queue', () => {
  async function replying(responder: StompPeer): Promise<void> {
    await responder.subscribe('/queue/requests', 'client-individual', (message) => {
      responder.sendOnly(message.headers['reply-to']!, `answer to ${message.body}`, {
        'correlation-id': message.headers['correlation-id']!,
      });
      message.ack();
    });
  }

  it('takes the answer to a request, from one client to another', async () => {
    const requester = await stompApplication(hub, 'requester');
    const responder = await stompApplication(hub, 'responder');
    await replying(responder);
    const replies: [string, string][] = [];
    requester.client.onUnhandledMessage = ({ body, headers }) => {
      replies.push([body, headers['correlation-id']!]);
    };
    for (const n of ['1', '2']) {
      await requester.send('/queue/requests', n, { 'reply-to': '/temp-queue/replies', 'correlation-id': `c${n}` });
    }
    await until('both answers', () => replies.length === 2);
    expect(replies).toEqual([
      ['answer to 1', 'c1'],
      ['answer to 2', 'c2'],
    ]);
    expect(responder.received[0]!.headers['reply-to']).toMatch(/^\/reply-queue\/[\w-]{22}$/);
  });

  it('takes the answer of an MQTT 5.0 client, a device without rights of its own among them', async () => {
    const token = await newDevice(hub, 'answering');
    const device = await mqttApplication({ clientId: 'answering', username: 'answering', password: token });
    await device.subscribeAsync('devices/answering/ask', { qos: 1 });
    device.on('message', (_topic, payload, { properties }) => {
      device.publish(properties!.responseTopic!, `from MQTT: ${payload.toString()}`, {
        qos: 1,
        properties: { correlationData: properties!.correlationData! },
      });
    });
    const five = await mqttApplication();
    five.on('message', (_topic, payload, { properties }) => {
      five.publish(properties!.responseTopic!, `app: ${payload.toString()}`, { qos: 1 });
    });
    await five.subscribeAsync('ask', { qos: 1 });
    const requester = await stompApplication(hub, 'asks-mqtt');
    await requester.subscribe('/temp-queue/r', 'client');
    await requester.send('/topic/ask', 'a', { 'reply-to': '/temp-queue/r' });
    await until('the answer', () => requester.bodies.length === 1);
    expect(requester.bodies).toEqual(['app: a']);
    expect(requester.received[0]!.headers['destination']).toBe('/temp-queue/r');
  });

  it('takes the answer of a STOMP client to an MQTT 5.0 request on a queue', async () => {
    const responder = await stompApplication(hub, 'answers-mqtt');
    await replying(responder);
    const five = await mqttApplication();
    const answers: string[] = [];
    five.on('message', (_topic, payload, { properties }) =>
      answers.push(`${payload.toString()} ${properties!.correlationData!.toString()}`),
    );
    await five.subscribeAsync('answers/five', { qos: 1 });
    const properties = { responseTopic: 'answers/five', correlationData: Buffer.from('c') };
    await five.publishAsync('$queue/requests', 'mqtt', { qos: 1, properties });
    await until('the answer', () => answers.length === 1);
    expect(answers).toEqual(['answer to mqtt c']);
  });

  it('is gone with its connection, and an answer to it harms nobody', async () => {
    const requester = await stompApplication(hub, 'leaves');
    const responder = await stompApplication(hub, 'stays');
    await responder.subscribe('/queue/slow-requests', 'client-individual');
    await requester.send('/queue/slow-requests', 'x', { 'reply-to': '/temp-queue/r' });
    await until('the request', () => responder.received.length === 1);
    await requester.client.deactivate();
    await responder.send(responder.received[0]!.headers['reply-to']!, 'too late');
    await responder.send('/topic/still', 'here');
    expect(responder.closed).toBeNull();
  });
});

describe('a durable subscription', () => {
  const DURABLE = { id: 'news', durable: 'true' };

  it('keeps what comes while its client is away, and across a restart', async () => {
    const sender = await stompApplication(hub, 'news-sender');
    await sender.send('/topic/news/kept', 'retained', { retain: 'true' });
    const reader = await stompApplication(hub, 'reader');
    await reader.subscribe('/topic/news/#', 'client-individual', (message) => message.ack(), DURABLE);
    await until('the retained one', () => reader.bodies.length === 1);
    expect(reader.received[0]!.headers['retain']).toBe('true');
    await sender.send('/topic/news/a', '1');
    await until('the live one', () => reader.bodies.length === 2);
    await reader.client.deactivate();
    await sender.send('/topic/news/a', '2');
    sender.sendOnly('/topic/news/a', '3');
    await sender.send('/topic/other', 'x');
    expect(await queueNamed('news')).toMatchObject({
      kind: 'subscription',
      messages: 2,
      consumers: 0,
      subscription: { clientId: 'reader', filter: 'news/#' },
    });
    await hub.restart();
    const after = await stompApplication(hub, 'news-sender-2');
    await after.send('/topic/news/a', '4');
    const again = await stompApplication(hub, 'reader');
    await again.subscribe('/topic/news/#', 'client-individual', (message) => message.ack(), DURABLE);
    await until('what came', () => again.bodies.length === 3);
    expect(again.bodies).toEqual(['2', '3', '4']);
    expect(again.received.every(({ headers }) => headers['redelivered'] === undefined)).toBe(true);
  });

  it('ends with UNSUBSCRIBE and durable:true, also later; a second time there is none', async () => {
    const reader = await stompApplication(hub, 'ends');
    const subscription = await reader.subscribe('/topic/ends', 'auto', () => undefined, { ...DURABLE, id: 'e' });
    await reader.unsubscribe(subscription);
    expect(await queueNamed('e')).toMatchObject({ consumers: 0 });
    await reader.does((headers) => reader.client.unsubscribe('e', { durable: 'true', ...headers }));
    expect(await queueNamed('e')).toBeUndefined();
    reader.client.unsubscribe('e', { durable: 'true' });
    await until('it is told', () => reader.errors.length === 1);
    expect(reader.errors[0]!.body).toContain('no durable subscription');
  });

  it('with auto-delete ends with its connection', async () => {
    const reader = await stompApplication(hub, 'fleeting');
    await reader.subscribe('/topic/f', 'auto', () => undefined, { ...DURABLE, id: 'fl', 'auto-delete': 'true' });
    expect(await queueNamed('fl')).toMatchObject({ consumers: 1 });
    reader.cut();
    await until('it is gone', async () => (await queueNamed('fl')) === undefined);
  });

  it('to something else under the same id begins anew', async () => {
    const reader = await stompApplication(hub, 'changes');
    const subscription = await reader.subscribe('/topic/one', 'auto', () => undefined, { ...DURABLE, id: 'c' });
    await reader.unsubscribe(subscription);
    await reader.send('/topic/one', 'old');
    await reader.subscribe('/topic/two', 'auto', () => undefined, { ...DURABLE, id: 'c' });
    await reader.send('/topic/one', 'not any more');
    await reader.send('/topic/two', 'new');
    await until('the new one', () => reader.bodies.length > 0);
    expect(reader.bodies).toEqual(['new']);
  });

  it('gets readings in the transaction that stores them', async () => {
    const device = await stompDevice(hub, await newDevice(hub, 'measured'));
    const reader = await stompApplication(hub, 'of-readings');
    const subscription = await reader.subscribe('/devices/measured/telemetry', 'auto', () => undefined, {
      ...DURABLE,
      id: 't',
    });
    await reader.unsubscribe(subscription);
    await device.send('/devices/me/telemetry', { n: 1 });
    expect(await queueNamed('t')).toMatchObject({ messages: 1 });
  });

  it('of a device means its own tree, and goes with it', async () => {
    const passcode = await newDevice(hub, 'deleted');
    const headers = { login: 'deleted', passcode, 'client-id': 'deleted' };
    const device = await stompConnect(hub, { headers });
    await device.subscribe('/devices/me/events/+', 'auto', () => undefined, { ...DURABLE, id: 'own' });
    await device.send('/devices/me/events/door', { open: true });
    await until('its event', () => device.bodies.length === 1);
    expect(device.received[0]!.headers['destination']).toBe('/devices/me/events/door');
    await device.client.deactivate();
    expect(await queueNamed('own')).toMatchObject({
      consumers: 0,
      subscription: { principal: { kind: 'device', id: 'deleted' }, filter: 'devices/me/events/+' },
    });
    await hub.api('DELETE', '/api/v1/devices/deleted');
    expect(await queueNamed('own')).toBeUndefined();
  });

  it('that is not allowed any more is refused, and kept no longer', async () => {
    const rules = (subscribe: readonly string[]): Promise<string> => applicationToken(hub, 'narrow', subscribe);
    const as = (passcode: string): Promise<StompPeer> =>
      stompConnect(hub, { headers: { login: 'narrow', passcode, 'client-id': 'n' } });
    const wide = await as(await rules(['a/#', 'b/#']));
    await wide.subscribe('/topic/b/c', 'auto', () => undefined, { ...DURABLE, id: 'nar' });
    await wide.client.deactivate();
    expect(await queueNamed('nar')).toBeDefined();
    const narrow = await as(await rules(['a/#']));
    await expect(narrow.subscribe('/topic/b/c', 'auto', () => undefined, { ...DURABLE, id: 'nar' })).rejects.toThrow(
      'not_authorized',
    );
    expect(await queueNamed('nar')).toBeUndefined();
  });
});

describe('GET /api/v1/queues', () => {
  it('has one page after the other, and DELETE removes a queue that nobody consumes', async () => {
    const sender = await stompApplication(hub, 'lister');
    await sender.send('/queue/list/a', 'x');
    await sender.send('/queue/list/b', 'x');
    const names: string[] = [];
    for (let after: string | null = ''; after !== null;) {
      const page = await hub.api('GET', `/api/v1/queues?limit=1${after === '' ? '' : `&after=${after}`}`);
      names.push(...page.body.items.map(({ name }: { name: string }) => name));
      after = page.body.next;
    }
    expect(names).toEqual(expect.arrayContaining(['list/a', 'list/b']));
    expect(new Set(names).size).toBe(names.length);
    await sender.subscribe('/queue/list/b', 'client-individual');
    expect((await hub.api('DELETE', '/api/v1/queues/list%2Fa')).status).toBe(204);
    expect((await hub.api('DELETE', '/api/v1/queues/list%2Fa')).status).toBe(404);
    expect((await hub.api('DELETE', '/api/v1/queues/list%2Fb')).status).toBe(409);
    expect(await queueNamed('list/a')).toBeUndefined();
  });
});
