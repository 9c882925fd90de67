/* eslint-disable @typescript-eslint/no-unsafe-class-instance-assignment -- stompjs declares its header bags as classes and documents object literals for them */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestHub, until, type TestHub } from '../support/hub.ts';
import { command, exported, isOnline, latest, newDevice, rejected } from './clients/hub-view.ts';
import { afterThisTest } from './clients/opened.ts';
import { stompApplication, stompDevice, type StompPeer } from './clients/stomp.ts';

let hub: TestHub;
beforeAll(async () => {
  hub = await startTestHub({ limitsMinHeartBeatMs: '100' });
});
afterAll(() => hub.close());

const NUMBERS = Array.from({ length: 12 }, (_, n) => String(n));

describe.each(['1.0', '1.1', '1.2'])('@stomp/stompjs with STOMP %s', (version) => {
  const device = async (id: string): Promise<StompPeer> =>
    stompDevice(hub, await newDevice(hub, `${id}-${version}`), { version });
  const application = (id: string): Promise<StompPeer> => stompApplication(hub, `${id}-${version}`, { version });

  it('connects and is told version, session and server', async () => {
    const peer = await device('connected');
    expect(peer.subprotocol).toBe(`v${version.replace('.', '')}.stomp`);
    expect(peer.client.connectedVersion).toBe(version);
    expect(peer.connected!.headers).toMatchObject({ version });
    expect(peer.connected!.headers['session']).not.toBe('');
    await peer.client.deactivate();
    await until('offline', async () => !(await isOnline(hub, `connected-${version}`)));
  });

  it('has its readings on disk when the RECEIPT comes, each once by its number', async () => {
    const peer = await device('readings');
    for (const seq of ['1', '2', '2', '3']) {
      await peer.send('/devices/me/telemetry', { n: Number(seq) }, { stream: 's', seq });
    }
    expect(await latest(hub, `readings-${version}`)).toEqual({ n: 3 });
    expect((await exported(hub, `readings-${version}`)).map(({ value }) => value)).toEqual([1, 2, 3]);
    const receipt = await peer.send('/devices/me/telemetry', 'not JSON');
    expect(receipt.headers).toMatchObject({ 'muster-status': 'rejected' });
    expect(await rejected(hub, `readings-${version}`)).toHaveLength(1);
  });

  it('answers a command', async () => {
    const peer = await device('commanded');
    await peer.subscribe('/devices/me/commands/>', 'client', (message) => {
      message.ack();
      const { a, b } = JSON.parse(message.body) as { a: number; b: number };
      const destination = `/devices/me/commands/${message.headers['command-id']}/result`;
      peer.sendOnly(destination, { status: 'succeeded', value: a + b });
    });
    expect(await command(hub, `commanded-${version}`, 'add', { a: 2, b: 40 })).toMatchObject({
      state: 'succeeded',
      result: 42,
    });
  });

  it.each(['auto', 'client', 'client-individual'] as const)('gets messages with ack %s', async (ack) => {
    const [listener, sender] = [await application('listener'), await application('sender')];
    const destination = `/topic/modes/${version}/${ack}`;
    // With `client` every third answers those before it.
    let count = 0;
    await listener.subscribe(
      destination,
      ack,
      (message) => {
        if (ack === 'client-individual' || (ack === 'client' && ++count % 3 === 0)) message.ack();
      },
      { 'prefetch-count': '3' },
    );
    for (const text of NUMBERS) await sender.send(destination, text);
    await until('all', () => listener.bodies.length === NUMBERS.length);
    expect(listener.bodies).toEqual(NUMBERS);
    expect(listener.errors).toEqual([]);
  });

  it('refuses by NACK, which STOMP 1.0 does not have', async () => {
    const [listener, sender] = [await application('refuser'), await application('sender')];
    const destination = `/topic/refused/${version}`;
    await listener.subscribe(destination, 'client-individual', (message) => message.nack(), { 'prefetch-count': '1' });
    for (const text of ['1', '2']) await sender.send(destination, text);
    if (version === '1.0') {
      await until('closed', () => listener.closed !== null);
      expect(listener.errors[0]!.body).toContain('has no NACK');
      return;
    }
    await until('both', () => listener.bodies.length === 2);
  });

  it('commits and aborts transactions, over SEND and ACK', async () => {
    const [listener, sender] = [await application('listener'), await application('sender')];
    const destination = `/topic/transactions/${version}`;
    await listener.subscribe(destination, 'client', () => undefined, { 'prefetch-count': '1' });
    const aborted = sender.client.begin();
    sender.sendOnly(destination, 'never', { transaction: aborted.id });
    aborted.abort();
    const committed = sender.client.begin();
    for (const text of ['1', '2'])
      sender.sendOnly(destination, text, { transaction: committed.id, receipt: `t-${text}` });
    await sender.send(destination, 'outside');
    committed.commit();
    await until('the receipts', () => sender.receipts.some(({ headers }) => headers['receipt-id'] === 't-2'));
    await until('the first', () => listener.bodies.length === 1);
    const acks = listener.client.begin();
    listener.received[0]!.ack({ transaction: acks.id });
    acks.commit();
    await until('the second', () => listener.bodies.length === 2);
    listener.received[1]!.ack();
    await until('the third', () => listener.bodies.length === 3);
    expect(listener.bodies).toEqual(['outside', '1', '2']);
  });

  it('consumes a queue beside another, and what it left unacknowledged goes to that one', async () => {
    const destination = `/queue/work/${version}`;
    const sender = await application('queue-sender');
    for (const text of NUMBERS) await sender.send(destination, text);
    const leaver = await application('queue-leaver');
    await leaver.subscribe(destination, 'client', () => undefined, { 'prefetch-count': '4' });
    await until('its share', () => leaver.bodies.length === 4);
    const worker = await application('queue-worker');
    await worker.subscribe(destination, 'client-individual', (message) => message.ack(), { 'prefetch-count': '1' });
    await until('the rest', () => worker.bodies.length === NUMBERS.length - 4);
    leaver.cut();
    await until('all', () => worker.bodies.length === NUMBERS.length);
    expect([...worker.bodies].sort()).toEqual([...NUMBERS].sort());
    const again = worker.received.filter(({ headers }) => headers['redelivered'] === 'true');
    expect(again.map(({ body }) => body)).toEqual(leaver.bodies);
  });

  it('finds in its durable subscription what came while it was away', async () => {
    const destination = `/topic/durable/${version}`;
    const durable = { durable: 'true', id: 'durable' };
    const first = await application('durable');
    await first.subscribe(destination, 'client', (message) => message.ack(), durable);
    const sender = await application('durable-sender');
    await sender.send(destination, '1');
    await until('the first', () => first.bodies.length === 1);
    await first.client.deactivate();
    for (const text of ['2', '3']) await sender.send(destination, text);
    const second = await application('durable');
    const subscription = await second.subscribe(destination, 'client', (message) => message.ack(), durable);
    await until('the others', () => second.bodies.length === 2);
    expect(second.bodies).toEqual(['2', '3']);
    await second.does((headers) => subscription.unsubscribe({ ...headers, durable: 'true' }));
    await sender.send(destination, 'nobody keeps it');
    await second.subscribe(destination, 'auto', () => undefined, durable);
    expect(second.bodies).toEqual(['2', '3']);
  });

  it('asks by reply-to and gets the answer', async () => {
    const destination = `/queue/questions/${version}`;
    const [asker, responder] = [await application('asker'), await application('responder')];
    await responder.subscribe(destination, 'auto', ({ headers, body }) => {
      responder.sendOnly(headers['reply-to']!, `${body}!`, { 'correlation-id': headers['correlation-id']! });
    });
    await asker.send(destination, 'anybody', { 'reply-to': '/temp-queue/answers', 'correlation-id': '7' });
    await until('the answer', () => asker.bodies.length === 1);
    expect(asker.bodies).toEqual(['anybody!']);
    expect(asker.received[0]!.headers).toMatchObject({ 'correlation-id': '7', subscription: '/temp-queue/answers' });
  });

  it('keeps the connection by heart-beats both ways, which STOMP 1.0 does not have', async () => {
    const token = await newDevice(hub, `beating-${version}`);
    const peer = await stompDevice(hub, token, { version, heartBeatMs: 200 });
    if (version === '1.0') {
      expect(peer.connected!.headers['heart-beat']).toBeUndefined();
      return;
    }
    expect(peer.connected!.headers['heart-beat']).toBe('200,200');
    await until('five beats each way', () => peer.beats.sent >= 5 && peer.beats.received >= 5);
    expect(peer.closed).toBe(null);
  });

  it('comes back when the hub has restarted, and sends again what got no RECEIPT', async () => {
    const other = await startTestHub();
    afterThisTest(() => other.close());
    let connections = 0;
    const peer = await stompDevice(other, await newDevice(other, 'back'), {
      version,
      reconnectDelayMs: 50,
      onConnect: (self) => {
        connections++;
        void self.subscribe('/devices/me/commands/>', 'client-individual', (message) => message.ack());
      },
    });
    const send = (n: number) => peer.send('/devices/me/telemetry', { n }, { stream: 's', seq: String(n) });
    await send(1);
    await other.restart();
    await until('the second connection', () => connections === 2 && peer.client.connected);
    expect(peer.errors.map(({ headers }) => headers['message'])).toEqual(['hub_shutdown']);
    // It does not know whether the first was stored.
    for (const n of [1, 2]) await send(n);
    expect((await exported(other, 'back')).map(({ value }) => value)).toEqual([1, 2]);
    const { body } = await other.api('POST', '/api/v1/devices/back/commands?wait=1', { name: 'blink' });
    await until('the command', () => peer.received.length === 1);
    expect(peer.received[0]!.headers['command-id']).toBe(body.command.id);
  });
});
