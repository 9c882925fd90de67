import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { request } from 'node:https';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestHub, until, type TestHub } from '../support/hub.ts';
import { exported, newDevice } from './clients/hub-view.ts';
import { afterThisTest } from './clients/opened.ts';
import {
  bodyOf,
  stompitChannel,
  stompitConnect,
  stompitSend,
  type ConnectOptions,
  type StompitClient,
  type StompitMessage,
} from './clients/stompit.ts';

let folder: string;
let ca: Buffer;
/** Speaks TLS on its one port and on `stomps`, and none on `stomp`. */
let hub: TestHub;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'muster-stompit-'));
  const [tlsCert, tlsKey] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const files = ['-keyout', tlsKey, '-out', tlsCert];
  execFileSync('openssl', ['req', '-x509', ...key, ...files, '-days', '1', ...subject], { stdio: 'pipe' });
  ca = readFileSync(tlsCert);
  hub = await startTestHub({ tlsCert, tlsKey, stompPort: 0, stompsPort: 0, limitsMinHeartBeatMs: '100' });
});
afterAll(async () => {
  await hub.close();
  rmSync(folder, { recursive: true, force: true });
});

/** The API speaks TLS here. */
function api(method: string, path: string, body?: unknown): Promise<{ status: number; body: any }> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${hub.token}`, 'content-type': 'application/json' };
    const asked = request({ host: 'localhost', port: hub.port, path, method, headers, ca }, (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => (text += chunk.toString()));
      response.on('end', () => resolve({ status: response.statusCode!, body: text === '' ? null : JSON.parse(text) }));
    });
    asked.on('error', reject);
    asked.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

async function device(id: string): Promise<string> {
  return (await api('POST', '/api/v1/devices', { id })).body.token;
}

describe.each(['stomp', 'stomps'] as const)('stompit over %s', (scheme) => {
  function address(connectHeaders: Record<string, string>): ConnectOptions {
    const url = new URL(hub.hub.streamUrls.find((each) => each.startsWith(`${scheme}:`))!);
    const tls = scheme === 'stomps' ? { ssl: true, ca } : {};
    return { host: 'localhost', port: Number(url.port), connectHeaders, ...tls };
  }
  const application = (id: string, more = {}): Promise<StompitClient> =>
    stompitConnect(address({ login: 'app', passcode: hub.token, 'client-id': `${scheme}-${id}`, ...more }));

  /** The bodies of so many, read one after the other, as the client wants it. */
  async function bodies(
    client: StompitClient,
    destination: string,
    ack: string,
    take: (m: StompitMessage) => void,
  ): Promise<string[]> {
    const texts: string[] = [];
    client.subscribe({ destination, ack, 'prefetch-count': '2' }, (error, message) => {
      if (error !== null) return;
      void bodyOf(message).then((body) => {
        texts.push(body);
        take(message);
      });
    });
    // The subscription is made before this receipt comes.
    await stompitSend(client, { destination: '/topic/nobody' }, 'x');
    return texts;
  }

  it('connects with version 1.2, has its readings on disk when the RECEIPT comes, and leaves', async () => {
    const id = `stompit-${scheme}`;
    const client = await stompitConnect(address({ login: id, passcode: await device(id) }));
    expect(client.headers['version']).toBe('1.2');
    await stompitSend(
      client,
      { destination: '/devices/me/telemetry', 'content-type': 'application/json' },
      '{"t":21.5}',
    );
    const { body } = await api('GET', `/api/v1/devices/${id}/latest`);
    expect(body.items).toMatchObject([{ metric: 't', value: 21.5 }]);
    await new Promise<void>((resolve, reject) =>
      client.disconnect((error) => (error === null ? resolve() : reject(error))),
    );
    await until('offline', async () => !(await api('GET', `/api/v1/devices/${id}`)).body.presence.online);
  });

  it('is refused with the reason', async () => {
    await expect(stompitConnect(address({ login: 'x', passcode: 'wrong' }))).rejects.toThrow('bad_credentials');
  });

  it('answers a command', async () => {
    const id = `stompit-commanded-${scheme}`;
    const client = await stompitConnect(address({ login: id, passcode: await device(id) }));
    client.subscribe({ destination: '/devices/me/commands/>', ack: 'client-individual' }, (error, message) => {
      if (error !== null) return;
      const destination = `/devices/me/commands/${message.headers['command-id']}/result`;
      void bodyOf(message).then((body) => {
        client.ack(message);
        const { a, b } = JSON.parse(body) as { a: number; b: number };
        client.send({ destination }).end(JSON.stringify({ status: 'succeeded', value: a + b }));
      });
    });
    const { body } = await api('POST', `/api/v1/devices/${id}/commands?wait=5`, {
      name: 'add',
      params: { a: 2, b: 40 },
    });
    expect(body.command).toMatchObject({ state: 'succeeded', result: 42 });
  });

  it.each(['auto', 'client', 'client-individual'])('gets messages with ack %s, in order and whole', async (ack) => {
    const [listener, sender] = [await application('listener'), await application('sender')];
    const destination = `/topic/stompit/${scheme}/${ack}`;
    const texts = await bodies(listener, destination, ack, (message) => {
      if (ack !== 'auto') listener.ack(message);
    });
    const sent = Array.from({ length: 20 }, (_, n) => `${n} ä€\n`);
    for (const text of sent) await stompitSend(sender, { destination, colour: 'red:\n\\' }, text);
    await until('all', () => texts.length === sent.length);
    expect(texts).toEqual(sent);
  });

  it('refuses a message by NACK, and gets user headers as they were sent', async () => {
    const [listener, sender] = [await application('refuser'), await application('sender')];
    const destination = `/topic/stompit/${scheme}/nack`;
    const seen: (string | undefined)[] = [];
    const texts = await bodies(listener, destination, 'client-individual', (message) => {
      seen.push(message.headers['colour']);
      listener.nack(message);
    });
    for (const text of ['1', '2', '3']) await stompitSend(sender, { destination, colour: 'r:\\n\ned' }, text);
    await until('all', () => texts.length === 3);
    expect(seen).toEqual(Array<string>(3).fill('r:\\n\ned'));
  });

  it('commits and aborts transactions', async () => {
    const [listener, sender] = [await application('listener'), await application('sender')];
    const destination = `/topic/stompit/${scheme}/transactions`;
    const texts = await bodies(listener, destination, 'auto', () => undefined);
    const aborted = sender.begin();
    aborted.send({ destination }).end('never');
    await new Promise<void>((resolve) => aborted.abort({ onReceipt: resolve }));
    const committed = sender.begin();
    committed.send({ destination }).end('1');
    committed.send({ destination }).end('2');
    await stompitSend(sender, { destination }, 'outside');
    await new Promise<void>((resolve) => committed.commit({ onReceipt: resolve }));
    await until('all', () => texts.length === 3);
    expect(texts).toEqual(['outside', '1', '2']);
  });

  it('consumes a queue, refuses a message once and gets it again', async () => {
    const [listener, sender] = [await application('worker'), await application('sender')];
    const destination = `/queue/stompit/${scheme}`;
    for (const text of ['1', '2', '3']) await stompitSend(sender, { destination }, text);
    let refused = false;
    const texts = await bodies(listener, destination, 'client-individual', (message) => {
      if (refused) listener.ack(message);
      else listener.nack(message);
      refused = true;
    });
    await until('all, and one again', () => texts.length === 4);
    expect([...texts].sort()).toEqual(['1', '1', '2', '3']);
  });

  it('asks by reply-to and gets the answer by an implicit subscription', async () => {
    const [asker, responder] = [await application('asker'), await application('responder')];
    const destination = `/queue/stompit/questions/${scheme}`;
    responder.subscribe({ destination }, (error, message) => {
      if (error !== null) return;
      void bodyOf(message).then((body) =>
        responder.send({ destination: message.headers['reply-to']! }).end(`${body}!`),
      );
    });
    const answers: string[] = [];
    asker.setImplicitSubscription('/temp-queue/answers', 'auto', (error, message) => {
      if (error === null) void bodyOf(message).then((body) => answers.push(body));
    });
    await stompitSend(asker, { destination, 'reply-to': '/temp-queue/answers' }, 'anybody');
    await until('the answer', () => answers.length === 1);
    expect(answers).toEqual(['anybody!']);
  });

  it('is told of an ERROR', async () => {
    const client = await application('mistaken');
    const told = new Promise<Error>((resolve) => client.once('error', resolve));
    client.send({ destination: '/nowhere' }).end('x');
    expect((await told).message).toBe('protocol_error');
  });

  it('keeps the connection by heart-beats', async () => {
    const client = await application('beating', { 'heart-beat': '200,200' });
    expect(client.headers['heart-beat']).toBe('200,200');
    let ended = false;
    client.on('error', () => (ended = true));
    client.on('end', () => (ended = true));
    await new Promise((resolve) => setTimeout(resolve, 1000));
    expect(ended).toBe(false);
    await stompitSend(client, { destination: '/topic/nobody' }, 'x');
  });

  it('a subscription that has ended brings nothing', async () => {
    const [listener, sender] = [await application('leaver'), await application('sender')];
    const destination = `/topic/stompit/${scheme}/left`;
    const texts: string[] = [];
    const subscription = listener.subscribe({ destination }, (error, message) => {
      if (error === null) void bodyOf(message).then((body) => texts.push(body));
    });
    await stompitSend(listener, { destination }, '1');
    await until('the first', () => texts.length === 1);
    subscription.unsubscribe();
    // Its receipts come in the order of what it sent.
    await stompitSend(listener, { destination: '/topic/nobody' }, 'x');
    await stompitSend(sender, { destination }, '2');
    await stompitSend(listener, { destination: '/topic/nobody' }, 'x');
    expect(texts).toEqual(['1']);
  });

  it('a channel finds the hub that is there, and sends with receipts and transactions', async () => {
    const connectHeaders = { login: 'app', passcode: hub.token, 'client-id': `${scheme}-channel` };
    const here = address(connectHeaders);
    const channel = stompitChannel([{ ...here, port: await freePort() }, here]);
    const destination = `/topic/stompit/${scheme}/channel`;
    const listener = await application('listener');
    const texts = await bodies(listener, destination, 'auto', () => undefined);
    await new Promise<void>((resolve) => channel.send({ destination }, '1', () => resolve()));
    const transaction = channel.begin();
    transaction.send({ destination }, '2');
    transaction.send({ destination }, '3');
    await new Promise<void>((resolve) => transaction.commit(() => resolve()));
    await until('all', () => texts.length === 3);
    expect(texts).toEqual(['1', '2', '3']);
  });
});

describe('a stompit channel', () => {
  it('comes back when the hub has restarted, and what got no RECEIPT is sent again', async () => {
    const stompPort = await freePort();
    const other = await startTestHub({ stompPort });
    afterThisTest(() => other.close());
    const passcode = await newDevice(other, 'persistent');
    const server = { host: '127.0.0.1', port: stompPort, connectHeaders: { login: 'persistent', passcode } };
    const channel = stompitChannel([server]);
    const received: string[] = [];
    channel.subscribe({ destination: '/devices/me/commands/>', ack: 'client-individual' }, (error, message) => {
      if (error !== null) return;
      void bodyOf(message).then((body) => {
        received.push(body);
        channel.ack(message);
      });
    });
    const send = (n: number): Promise<void> =>
      new Promise((resolve) => {
        const headers = { destination: '/devices/me/telemetry', stream: 's', seq: String(n) };
        channel.send(headers, JSON.stringify({ n }), () => resolve());
      });
    await send(1);
    const stopping = other.restart();
    const sent = [send(2), send(3)];
    await stopping;
    await Promise.all([...sent, send(4)]);
    expect((await exported(other, 'persistent')).map(({ value }) => value)).toEqual([1, 2, 3, 4]);
    await other.api('POST', '/api/v1/devices/persistent/commands', { name: 'blink', params: { n: 7 } });
    await until('the command', () => received.length === 1);
    expect(received).toEqual(['{"n":7}']);
  });
});

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer();
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
