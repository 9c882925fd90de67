import type { IMessage } from '@stomp/stompjs';
import { WebSocket } from 'ws';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestHub, until, type TestHub } from '../support/hub.ts';
import {
  command,
  connectionsOf,
  exported,
  isOnline,
  latest,
  newDevice,
  rejected,
  statesOf,
} from './clients/hub-view.ts';
import { afterThisTest } from './clients/opened.ts';
import { stompApplication, stompConnect, stompDevice } from './clients/stomp.ts';

let hub: TestHub;
beforeAll(async () => {
  hub = await startTestHub();
});
afterAll(() => hub.close());

describe('@stomp/stompjs over ws', () => {
  it('connects with the token in the passcode, and is told version, session and server', async () => {
    const device = await stompDevice(hub, await newDevice(hub, 'passcode'));
    expect(device.subprotocol).toBe('v12.stomp');
    expect(device.connected!.headers).toMatchObject({ version: '1.2', 'heart-beat': '0,0' });
    expect(device.connected!.headers['server']).toMatch(/^muster/);
    expect(await isOnline(hub, 'passcode')).toBe(true);
  });

  it.each([
    ['a Bearer header', (token: string) => ({ webSocket: { headers: { Authorization: `Bearer ${token}` } } })],
    ['access_token in the query', (token: string) => ({ url: `${hub.wsUrl}/?access_token=${token}` })],
  ])('connects with the token in the handshake, by %s', async (how, options) => {
    const id = `stomp-${how.split(' ').join('-')}`;
    const device = await stompConnect(hub, options(await newDevice(hub, id)));
    await device.send('/devices/me/telemetry', { x: 1 });
    expect(await latest(hub, id)).toEqual({ x: 1 });
  });

  it('is refused with an ERROR that names the reason, and the connection closes', async () => {
    const refused = (headers: Record<string, string>): Promise<unknown> => stompConnect(hub, { headers });
    await expect(refused({})).rejects.toThrow('credentials_required');
    await expect(refused({ login: 'x', passcode: 'wrong' })).rejects.toThrow('bad_credentials');
  });

  it('is sent no more than its prefetch-count before it acknowledges, however the messages were sent', async () => {
    const publisher = await stompApplication(hub, 'prefetch-publisher');
    const reader = await stompApplication(hub, 'prefetch-reader');
    const got: IMessage[] = [];
    const take = (message: IMessage): void => void got.push(message);
    await reader.subscribe('/topic/prefetch/x', 'client-individual', take, { 'prefetch-count': '2' });
    for (let n = 0; n < 5; n++) publisher.sendOnly('/topic/prefetch/x', { n });
    await publisher.send('/topic/prefetch/y', {});
    // Whatever was to be sent to the reader stands before the RECEIPT of this.
    const settled = async (): Promise<number[]> => {
      await reader.send('/topic/prefetch/y', {});
      return got.map(({ body }) => (JSON.parse(body) as { n: number }).n);
    };
    expect(await settled()).toEqual([0, 1]);
    got[0]!.ack();
    expect(await settled()).toEqual([0, 1, 2]);
    got[1]!.ack();
    got[2]!.ack();
    expect(await settled()).toEqual([0, 1, 2, 3, 4]);
  });

  it('has its readings on disk when the RECEIPT comes, and before the RECEIPT of DISCONNECT without one', async () => {
    const device = await stompDevice(hub, await newDevice(hub, 'stomp-readings'));
    await device.send(
      '/devices/me/telemetry',
      { temperature: 21.5, label: 'ä:\n' },
      { 'content-type': 'application/json' },
    );
    expect(await latest(hub, 'stomp-readings')).toEqual({ temperature: 21.5, label: 'ä:\n' });
    for (let n = 0; n < 100; n++) device.sendOnly('devices/stomp-readings/telemetry', { n });
    // stompjs sends DISCONNECT with a receipt and waits for it.
    await device.client.deactivate();
    const numbers = (await exported(hub, 'stomp-readings')).filter(({ metric }) => metric === 'n');
    expect(numbers.map(({ value }) => value)).toEqual(Array.from({ length: 100 }, (_, n) => n));
    await until('the goodbye', async () => (await connectionsOf(hub, 'stomp-readings'))[0]?.reason !== null);
    expect((await connectionsOf(hub, 'stomp-readings'))[0]).toMatchObject({
      protocol: 'stomp',
      reason: 'client_disconnect',
    });
  });

  it('gets its RECEIPTs in the order of what it sent', async () => {
    const device = await stompDevice(hub, await newDevice(hub, 'stomp-order'));
    for (let n = 0; n < 200; n++) {
      device.sendOnly('/devices/me/telemetry', n % 10 === 3 ? 'garbage' : { n }, { receipt: `n${n}` });
    }
    await until('all receipts', () => device.receipts.length === 200);
    expect(device.receipts.map(({ headers }) => headers['receipt-id'])).toEqual(
      Array.from({ length: 200 }, (_, n) => `n${n}`),
    );
    expect(device.receipts.filter(({ headers }) => headers['muster-status'] === 'rejected')).toHaveLength(20);
  });

  it('is told by the RECEIPT that a payload could not be used; the connection stays', async () => {
    const device = await stompDevice(hub, await newDevice(hub, 'stomp-garbled'));
    const receipt = await device.send('/devices/me/telemetry', 'not JSON');
    expect(receipt.headers).toMatchObject({ 'muster-status': 'rejected', 'muster-reason': 'malformed_payload' });
    const xml = await device.send('/devices/me/telemetry', '<a/>', { 'content-type': 'text/xml' });
    expect(xml.headers['muster-reason']).toBe('unsupported_format');
    expect(
      (await rejected(hub, 'stomp-garbled')).map(({ code, protocol, payload }) => [code, protocol, payload.text]),
    ).toEqual([
      ['unsupported_format', 'stomp', '<a/>'],
      ['malformed_payload', 'stomp', 'not JSON'],
    ]);
    await device.send('/devices/me/telemetry', { fine: true });
    expect(await latest(hub, 'stomp-garbled')).toEqual({ fine: true });
  });

  it('answers a command: ACK is received, the result ends it', async () => {
    const device = await stompDevice(hub, await newDevice(hub, 'stomp-commanded'));
    await device.subscribe('/devices/me/commands/*/*', 'client-individual', (message) => {
      if (message.headers['command-name'] !== 'add') return;
      message.ack();
      const { a, b } = JSON.parse(message.body) as { a: number; b: number };
      const destination = `/devices/me/commands/${message.headers['command-id']}/result`;
      device.sendOnly(destination, { status: 'succeeded', value: { sum: a + b } });
    });
    const done = await command(hub, 'stomp-commanded', 'add', { a: 2, b: 40 });
    expect(done).toMatchObject({ state: 'succeeded', result: { sum: 42 } });
    expect(await statesOf(hub, done.id)).toEqual(['queued', 'sent', 'received', 'succeeded']);
    const [message] = device.received;
    expect(message!.headers).toMatchObject({
      destination: `/devices/me/commands/${done.id}/add`,
      'command-id': done.id,
      'content-type': 'application/json',
    });
    expect(Number(message!.headers['deadline'])).toBeGreaterThan(Date.now());
  });

  it('rejects a command by NACK', async () => {
    const device = await stompDevice(hub, await newDevice(hub, 'stomp-unwilling'));
    await device.subscribe('/devices/me/commands/>', 'client-individual', (message) => message.nack());
    expect(await command(hub, 'stomp-unwilling', 'explode')).toMatchObject({ state: 'rejected' });
  });

  it('gets a command again on its next connection until it has acknowledged it', async () => {
    const token = await newDevice(hub, 'stomp-forgetful');
    const first = await stompDevice(hub, token);
    await first.subscribe('/devices/me/commands/>', 'client-individual');
    const waiting = command(hub, 'stomp-forgetful', 'remember');
    await until('the command', () => first.received.length === 1);
    first.cut();
    const second = await stompDevice(hub, token);
    await second.subscribe('/devices/me/commands/>', 'client-individual', (message) => {
      message.ack();
      second.sendOnly(message.headers['destination']!.replace(/[^/]+$/, 'result'), { status: 'succeeded' });
    });
    expect(await waiting).toMatchObject({ state: 'succeeded', attempts: 2 });
    expect(second.received[0]!.headers['command-id']).toBe(first.received[0]!.headers['command-id']);
  });

  it('gets messages in the modes auto and client-individual, where at most a window waits for its ACK', async () => {
    const listener = await stompApplication(hub, 'modes');
    await listener.subscribe('/topic/modes/auto');
    let acknowledges = false;
    await listener.subscribe('/topic/modes/individual', 'client-individual', (message) => {
      if (acknowledges) message.ack();
    });
    const sender = await stompApplication(hub, 'modes-sender');
    for (let n = 0; n < 100; n++) sender.sendOnly('/topic/modes/individual', String(n), { receipt: `n${n}` });
    await sender.send('/topic/modes/auto', 'auto', { 'content-type': 'text/plain', colour: 'red:\n' });
    await until('auto overtakes the full window', () => listener.bodies.includes('auto'));
    const [auto] = listener.received.filter(({ body }) => body === 'auto');
    expect(auto!.headers).toMatchObject({
      destination: '/topic/modes/auto',
      'content-type': 'text/plain',
      colour: 'red:\n',
    });
    const individual = (): string[] => listener.bodies.filter((body) => body !== 'auto');
    expect(individual()).toEqual(Array.from({ length: 64 }, (_, n) => String(n)));
    acknowledges = true;
    for (const message of listener.received) if (message.body !== 'auto') message.ack();
    await until('the rest', () => individual().length === 100);
    expect(individual()).toEqual(Array.from({ length: 100 }, (_, n) => String(n)));
  });

  it('gets no more after UNSUBSCRIBE', async () => {
    const listener = await stompApplication(hub, 'leaver');
    const subscription = await listener.subscribe('/topic/leave/+');
    await listener.send('/topic/leave/a', '1');
    await until('the first', () => listener.bodies.length === 1);
    await listener.unsubscribe(subscription);
    await listener.send('/topic/leave/a', '2');
    await listener.subscribe('/topic/leave/a');
    await listener.send('/topic/leave/a', '3');
    await until('the last', () => listener.bodies.includes('3'));
    expect(listener.bodies).toEqual(['1', '3']);
  });

  it.each([
    ['a destination that there is not', '/exchange/jobs', {}, 'protocol_error'],
    ['a transaction', '/topic/a', { transaction: 't1' }, 'protocol_error'],
    ['a wildcard in SEND', '/topic/#', {}, 'protocol_error'],
  ])('is told by ERROR about %s, and closed', async (_what, destination, headers, reason) => {
    const app = await stompApplication(hub, 'mistaken');
    app.sendOnly(destination, 'x', { ...headers, receipt: 'r' });
    await until('closed', () => app.closed !== null);
    expect(app.errors.map((error) => error.headers)).toMatchObject([{ message: reason, 'receipt-id': 'r' }]);
    expect(app.errors[0]!.body).not.toBe('');
    expect(app.closed!.code).toBe(1002);
  });

  it('is told before it is closed that another connection took over', async () => {
    const token = await newDevice(hub, 'stomp-twin');
    const first = await stompDevice(hub, token);
    await stompDevice(hub, token);
    await until('closed', () => first.closed !== null);
    expect(first.errors[0]!.headers['message']).toBe('taken_over');
    expect(first.closed!.code).toBe(4009);
  });
});

describe('heart-beats', () => {
  let beating: TestHub;
  beforeAll(async () => {
    beating = await startTestHub({ limitsMinHeartBeatMs: '200' });
  });
  afterAll(() => beating.close());

  it('flow both ways as agreed and keep both sides content', async () => {
    const device = await stompDevice(beating, await newDevice(beating, 'beating'), { heartBeatMs: 400 });
    expect(device.connected!.headers['heart-beat']).toBe('400,400');
    await until('five beats each way', () => device.beats.sent >= 5 && device.beats.received >= 5);
    expect(device.closed).toBe(null);
    await device.send('/devices/me/telemetry', { n: 1 });
  });

  it('that stay away end the connection', async () => {
    const token = await newDevice(beating, 'silent');
    const webSocket = new WebSocket(beating.wsUrl, ['v12.stomp']);
    afterThisTest(() => webSocket.terminate());
    const frames: string[] = [];
    let code = 0;
    webSocket.on('message', (data: Buffer) => frames.push(data.toString()));
    webSocket.on('close', (number) => (code = number));
    webSocket.on('open', () => {
      webSocket.send(`CONNECT\naccept-version:1.2\nhost:h\npasscode:${token}\nheart-beat:300,0\n\n\0`);
    });
    await until('closed', () => code !== 0);
    expect(frames[0]).toMatch(/^CONNECTED\n(.*\n)*heart-beat:0,300\n/);
    expect(frames.at(-1)).toMatch(/^ERROR\nmessage:heart_beat_timeout\n/);
    expect(code).toBe(4008);
  });
});
