/* eslint-disable @typescript-eslint/no-unsafe-class-instance-assignment -- stompjs declares its option bags as classes and documents object literals for them */
import { Client, Versions, type IMessage } from '@stomp/stompjs';
import webstomp from 'webstomp-client';
import { afterEach, describe, expect, it } from 'vitest';
import { STORED } from '#protocols/outcome.js';
import { stompSubprotocol } from '#protocols/stomp/session.js';
import { Bench, delivery, FakeHost } from '../../support/fake-host.ts';

/** A browser's WebSocket whose other end is a session, without a network. */
class PairedSocket {
  readonly url = 'ws://hub';
  readonly protocol: string;
  readyState = 0;
  binaryType = 'blob';
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: string | ArrayBuffer }) => void) | null = null;
  onclose: ((event: { code: number; reason: string; wasClean: boolean }) => void) | null = null;
  onerror: (() => void) | null = null;
  readonly OPEN = 1;
  readonly #bench: Bench;

  constructor(bench: Bench, protocol = 'v12.stomp') {
    this.#bench = bench;
    this.protocol = protocol;
    queueMicrotask(() => {
      this.readyState = 1;
      this.onopen?.();
    });
  }

  send(data: string | ArrayBuffer | Uint8Array): void {
    if (typeof data === 'string') this.#bench.receive(data, true);
    else this.#bench.receive(new Uint8Array(data), false);
    void this.pump();
  }

  /** Hands what the session has sent to the client. */
  async pump(): Promise<void> {
    await this.#bench.settle();
    for (const unit of this.#bench.link.take()) {
      this.onmessage?.({ data: typeof unit === 'string' ? unit : Uint8Array.from(unit).buffer });
    }
  }

  close(): void {
    if (this.readyState === 3) return;
    this.readyState = 3;
    this.onclose?.({ code: 1000, reason: '', wasClean: true });
  }

  terminate(): void {
    this.close();
  }
}

function forward(bench: Bench, topic: string, payload: string): void {
  const matches = [...bench.host.subscriptions.values()];
  const message = {
    topic,
    payload: Buffer.from(payload),
    qos: 1,
    retain: false,
    contentType: null,
    headers: [],
  } as const;
  bench.host.offer(delivery(message, matches));
}

describe('@stomp/stompjs', () => {
  let client: Client | null = null;
  afterEach(async () => {
    await client?.deactivate({ force: true });
    client = null;
  });

  it.each([false, true])('connects, publishes, subscribes, acknowledges and leaves (binary: %s)', async (binary) => {
    const bench = new Bench(stompSubprotocol);
    const socket = new PairedSocket(bench);
    client = new Client({
      webSocketFactory: () => socket as never,
      reconnectDelay: 0,
      heartbeatIncoming: 20_000,
      heartbeatOutgoing: 10_000,
      forceBinaryWSFrames: binary,
      connectHeaders: { login: 'd:1', passcode: 'mst_1_a:b' },
    });
    const open = client;
    await new Promise<void>((resolve, reject) => {
      open.onConnect = () => resolve();
      open.onStompError = (frame) => reject(new Error(frame.body));
      open.activate();
    });
    expect(open.connectedVersion).toBe('1.2');
    expect(bench.host.identifications[0]!.credentials).toEqual({ username: 'd:1', password: 'mst_1_a:b' });
    expect(bench.host.livenessRule).toMatchObject({ expectMs: 20_000, sendMs: 18_000 });

    const receipt = new Promise<void>((resolve) => open.watchForReceipt('r:1', () => resolve()));
    open.publish({ destination: '/devices/me/telemetry', body: '{"t":"é"}', headers: { receipt: 'r:1' } });
    expect(bench.host.published[0]!.request.payload.toString()).toBe('{"t":"é"}');
    FakeHost.settle(bench.host.published, STORED);
    await socket.pump();
    await receipt;

    const arrived = new Promise<IMessage>((resolve) => {
      open.subscribe('/devices/me/commands/#', resolve, { ack: 'client-individual' });
    });
    const params = { a: 1 };
    const payload = Buffer.from(JSON.stringify(params));
    bench.session.deliver({ id: 'c-1', device: 'd1', name: 'n', params, payload, deadlineMs: 1, attempts: 0 });
    await socket.pump();
    const message = await arrived;
    expect(message.headers).toMatchObject({ 'command-id': 'c-1', destination: '/devices/me/commands/c-1/n' });
    expect(JSON.parse(message.body)).toEqual(params);
    message.ack();
    expect(bench.host.progressed[0]!.request).toEqual({ commandId: 'c-1', progress: { kind: 'received' } });
    FakeHost.settle(bench.host.progressed, STORED);

    await open.deactivate();
    expect(bench.link.closedWith?.reason).toBe('client_disconnect');
    expect(bench.error).toBeNull();
  });

  it.each(['1.0', '1.1', '1.2'])('speaks STOMP %s: cumulative ACK, transaction, receipt', async (version) => {
    const subprotocol = `v${version.replace('.', '')}.stomp`;
    const bench = new Bench(stompSubprotocol, {}, { subprotocol });
    bench.host.immediate = true;
    const socket = new PairedSocket(bench, subprotocol);
    client = new Client({
      webSocketFactory: () => socket as never,
      reconnectDelay: 0,
      stompVersions: new Versions([version]),
    });
    const open = client;
    await new Promise<void>((resolve, reject) => {
      open.onConnect = () => resolve();
      open.onStompError = (frame) => reject(new Error(frame.body));
      open.activate();
    });
    expect(open.connectedVersion).toBe(version);
    const messages: IMessage[] = [];
    const subscription = open.subscribe('/topic/a', (message) => messages.push(message), { ack: 'client' });
    for (const payload of ['1', '2', '3']) forward(bench, 'a', payload);
    await socket.pump();
    expect(messages.map(({ body }) => body)).toEqual(['1', '2', '3']);
    const transaction = open.begin('t1');
    messages[1]!.ack({ transaction: transaction.id });
    open.publish({ destination: '/topic/b', body: 'in it', headers: { transaction: transaction.id } });
    expect(bench.host.published).toEqual([]);
    transaction.commit();
    expect(bench.host.published).toHaveLength(1);
    expect(bench.host.acknowledgements).toHaveLength(2);
    const receipt = new Promise<void>((resolve) => open.watchForReceipt('r1', () => resolve()));
    open.publish({ destination: '/topic/b', headers: { receipt: 'r1' } });
    await receipt;
    subscription.unsubscribe();
    await open.deactivate();
    expect(bench.error).toBeNull();
    expect(bench.link.closedWith?.reason).toBe('client_disconnect');
  });

  it('shows the words of an ERROR', async () => {
    const bench = new Bench(stompSubprotocol);
    bench.host.identity = () => ({ ok: false, reason: 'bad_credentials' });
    client = new Client({ webSocketFactory: () => new PairedSocket(bench) as never, reconnectDelay: 0 });
    const open = client;
    const error = await new Promise<{ headers: Record<string, string>; body: string }>((resolve) => {
      open.onStompError = resolve;
      open.activate();
    });
    expect(error.headers['message']).toBe('bad_credentials');
    expect(error.body).toContain('unknown or were revoked');
  });
});

describe('webstomp-client', () => {
  it.each([false, true])('connects, subscribes, receives and acknowledges (binary: %s)', async (binary) => {
    const bench = new Bench(stompSubprotocol);
    const socket = new PairedSocket(bench);
    const client = webstomp.over(socket, { debug: false, heartbeat: false, binary });
    await new Promise<void>((resolve, reject) => {
      client.connect(
        {},
        () => resolve(),
        (error) => reject(new Error(JSON.stringify(error))),
      );
    });
    const bodies: string[] = [];
    client.subscribe(
      '/topic/a',
      (message) => {
        bodies.push(message.body);
        message.ack();
      },
      { ack: 'client-individual' },
    );
    forward(bench, 'a', 'first');
    forward(bench, 'a', '{"b":2}');
    await socket.pump();
    expect(bodies).toEqual(['first', '{"b":2}']);
    // It never escapes: a colon in a value comes as it is.
    client.send('/topic/a', 'x', { when: '12:00', receipt: 'r1' });
    expect(bench.host.published[0]!.request.headers).toEqual([['when', '12:00']]);
    client.disconnect();
    expect(bench.link.closedWith?.reason).toBe('client_disconnect');
    expect(bench.error).toBeNull();
  });

  it.each(['v10.stomp', 'v11.stomp', 'v12.stomp'])('speaks the version of %s', async (subprotocol) => {
    const bench = new Bench(stompSubprotocol, {}, { subprotocol });
    const socket = new PairedSocket(bench, subprotocol);
    const client = webstomp.over(socket, { debug: false, heartbeat: false });
    await new Promise<void>((resolve) => client.connect({}, () => resolve()));
    const bodies: string[] = [];
    client.subscribe(
      '/topic/a',
      (message) => {
        bodies.push(message.body);
        message.ack();
      },
      { ack: 'client' },
    );
    forward(bench, 'a', 'x');
    await socket.pump();
    expect(bodies).toEqual(['x']);
    expect(bench.host.acknowledgements).toHaveLength(1);
    client.disconnect();
    expect(bench.error).toBeNull();
  });

  it('sends a frame of more than 16 KiB in several messages', async () => {
    const bench = new Bench(stompSubprotocol);
    const client = webstomp.over(new PairedSocket(bench), { debug: false, heartbeat: false });
    await new Promise<void>((resolve) => client.connect({}, () => resolve()));
    client.send('/topic/a', 'x'.repeat(100_000));
    expect(bench.host.published[0]!.request.payload).toHaveLength(100_000);
    client.disconnect();
  });
});
