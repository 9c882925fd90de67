import webstomp, { type Client, type Frame } from 'webstomp-client';
import { WebSocket } from 'ws';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestHub, until, type TestHub } from '../support/hub.ts';
import { command, isOnline, latest, newDevice } from './clients/hub-view.ts';
import { afterThisTest } from './clients/opened.ts';

let hub: TestHub;
beforeAll(async () => {
  hub = await startTestHub({ limitsMinHeartBeatMs: '100' });
});
afterAll(() => hub.close());

interface Peer {
  readonly client: Client;
  readonly receipts: (string | undefined)[];
  readonly errors: string[];
  /** SEND; resolves with its RECEIPT. */
  send(destination: string, body: string, headers?: Record<string, string>): Promise<void>;
}

const headersOf = (frame: Frame): Record<string, string> => frame.headers as Record<string, string>;

async function connect(token: string, protocols = ['v12.stomp'], options = {}): Promise<Peer> {
  const webSocket = new WebSocket(`${hub.wsUrl}/stomp`, protocols);
  afterThisTest(() => webSocket.terminate());
  const client = webstomp.over(webSocket, { debug: false, heartbeat: false, ...options });
  const receipts: (string | undefined)[] = [];
  const errors: string[] = [];
  client.onreceipt = (frame: Frame) => receipts.push(headersOf(frame)['receipt-id']);
  let connected = false;
  client.connect(
    { login: 'device', passcode: token },
    () => (connected = true),
    (error) => errors.push('command' in error ? headersOf(error)['message']! : 'closed'),
  );
  await until('CONNECTED or a refusal', () => connected || errors.length > 0);
  let sent = 0;
  const send = async (destination: string, body: string, headers = {}): Promise<void> => {
    const receipt = `receipt ${++sent}`;
    client.send(destination, body, { ...headers, receipt });
    await until(receipt, () => receipts.includes(receipt));
  };
  return { client, receipts, errors, send };
}

describe('webstomp-client over ws', () => {
  it('connects with the names that it offers by itself, sends, answers a command and leaves', async () => {
    const token = await newDevice(hub, 'webstomp');
    const { client, send } = await connect(token, webstomp.VERSIONS.supportedProtocols());
    await send('/devices/me/telemetry', '{"n":1}');
    expect(await latest(hub, 'webstomp')).toEqual({ n: 1 });

    client.subscribe(
      '/devices/me/commands/+/blink',
      (message) => {
        client.send(`/devices/me/commands/${message.headers['command-id']}/result`, '{"status":"succeeded","value":7}');
        client.send('/devices/me/events/blinked', 'yes', { 'content-type': 'text/plain' });
      },
      { ack: 'auto' },
    );
    expect(await command(hub, 'webstomp', 'blink')).toMatchObject({ state: 'succeeded', result: 7 });
    const events = async (): Promise<object[]> => (await hub.api('GET', '/api/v1/devices/webstomp/events')).body.items;
    await until('the event', async () => (await events()).length === 1);
    expect((await events())[0]).toMatchObject({ name: 'blinked', contentType: 'text/plain', payload: { text: 'yes' } });
    await new Promise<void>((resolve) => client.disconnect(() => resolve()));
    await until('offline', async () => !(await isOnline(hub, 'webstomp')));
  });

  it('is refused with the reason', async () => {
    expect((await connect('wrong')).errors[0]).toBe('bad_credentials');
  });

  const ways = [
    ['v10.stomp', 'text', {}],
    ['v11.stomp', 'text', {}],
    ['v12.stomp', 'text', {}],
    ['v12.stomp', 'binary', { binary: true }],
  ] as const;
  it.each(ways)('with %s in %s: all ack modes, transactions, a large message', async (protocol, how, options) => {
    const token = hub.token;
    const [listener, sender] = [await connect(token, [protocol], options), await connect(token, [protocol], options)];
    for (const ack of ['auto', 'client', 'client-individual'] as const) {
      const destination = `/topic/webstomp/${protocol}/${how}/${ack}`;
      const bodies: string[] = [];
      const take = (message: Frame & { ack: () => void }): void => {
        bodies.push(message.body);
        if (ack !== 'auto') message.ack();
      };
      listener.client.subscribe(destination, take as never, { ack, 'prefetch-count': '1' });
      await listener.send('/topic/nobody', 'the subscription is made before this receipt');
      for (const text of ['1', '2', '3']) await sender.send(destination, text);
      sender.client.begin('t');
      sender.client.send(destination, '4', { transaction: 't' });
      sender.client.commit('t');
      sender.client.begin('u');
      sender.client.send(destination, 'never', { transaction: 'u' });
      sender.client.abort('u');
      const large = 'x'.repeat(100_000);
      await sender.send(destination, large);
      await until('all', () => bodies.length === 5);
      expect(bodies).toEqual(['1', '2', '3', '4', large]);
    }
    expect([...listener.errors, ...sender.errors]).toEqual([]);
  });

  it.each(['v10.stomp', 'v11.stomp', 'v12.stomp'])(
    'with %s: consumes a queue, and asks by reply-to',
    async (protocol) => {
      const [asker, responder] = [await connect(hub.token, [protocol]), await connect(hub.token, [protocol])];
      const destination = `/queue/webstomp/${protocol}`;
      await asker.send(destination, 'before anybody was there', { 'reply-to': '/temp-queue/answers' });
      const answers: string[] = [];
      // It calls this for subscriptions that it did not make.
      Object.assign(asker.client, { onreceive: ({ body }: Frame) => answers.push(body) });
      responder.client.subscribe(
        destination,
        (message) => {
          responder.client.send((message.headers as Record<string, string>)['reply-to']!, `${message.body}!`);
          message.ack();
        },
        { ack: 'client-individual' },
      );
      await until('the answer', () => answers.length === 1);
      expect(answers).toEqual(['before anybody was there!']);
      await responder.send('/topic/nobody', 'x');
      expect([...asker.errors, ...responder.errors]).toEqual([]);
    },
  );

  it('keeps the connection by heart-beats both ways', async () => {
    const { client, errors, send } = await connect(hub.token, ['v12.stomp'], {
      heartbeat: { outgoing: 200, incoming: 200 },
    });
    await new Promise((resolve) => setTimeout(resolve, 1200));
    expect(errors).toEqual([]);
    await send('/topic/nobody', 'x');
    await new Promise<void>((resolve) => client.disconnect(() => resolve()));
  });
});
