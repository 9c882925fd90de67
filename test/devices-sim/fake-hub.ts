import { appendFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { generate, parser, type Packet } from 'mqtt-packet';
import { WebSocketServer, type WebSocket } from 'ws';
import {
  decodeDeviceMessage,
  encodeAck,
  encodeCommand,
  encodeDone,
  encodeNack,
  encodeWelcome,
  type DeviceMessage,
} from '#protocols/cbor/codec.js';
import { readingsFromRecords } from '#protocols/cbor/records.js';
import { DEFAULT_LIMITS } from '#protocols/limits.js';
import type { Value } from '#protocols/reading.js';
import { StompDecoder } from '#protocols/stomp/decoder.js';
import { STOMP_1_2 } from '#protocols/stomp/dialect.js';
import { encodeFrame } from '#protocols/stomp/encoder.js';
import { CLIENT_COMMANDS, type StompFrame } from '#protocols/stomp/frame.js';

/** What this hub does wrong, on purpose. `message` counts stored messages from 1 over all devices. */
export interface Faults {
  /** Acknowledges the message and does not keep it. */
  readonly lose?: (message: number) => boolean;
  /** Keeps the message twice. */
  readonly double?: (message: number) => boolean;
  /** Keeps the message, and closes the connection instead of acknowledging. */
  readonly cut?: (message: number) => boolean;
  /** Refuses the message (CBOR, STOMP). */
  readonly refuse?: (message: number) => boolean;
  /** Sends every byte of MQTT and STOMP as a WebSocket message of its own. */
  readonly splitBytes?: boolean;
  /** Delivers every command twice. */
  readonly repeatCommands?: boolean;
  /** Leaves the last line of the export away. */
  readonly cutExport?: boolean;
}

interface Row {
  readonly device: string;
  readonly metric: string;
  readonly timeUs: number;
  readonly value: Value;
}

interface Stored {
  readonly rows: readonly Row[];
  readonly stream?: string;
  readonly seq?: number;
}

/** A device's connection, whatever its protocol. */
interface Peer {
  device: string | null;
  command(id: string, name: string, params: unknown): void;
}

export const FAKE_TOKEN = 'mst_0a1b_fake-hub-api-token';

/**
 * Just enough of a hub to run the simulator against: four protocols, commands, provisioning, the export. Keeps its log
 * in memory, and in a file when it is given a folder. Knows nothing of the real hub's code beyond the wire.
 */
export class FakeHub {
  readonly #server: Server;
  readonly #sockets: WebSocketServer;
  readonly #faults: Faults;
  readonly #file: string | null;
  readonly #peers = new Map<string, Peer>();
  readonly #marks = new Map<string, number>();
  readonly #commands = new Map<string, { state: string; result: unknown }>();
  readonly #waiting = new Map<string, { id: string; name: string; params: unknown }[]>();
  readonly devices = new Set<string>();
  readonly log: Row[] = [];
  /** Authorization headers and device tokens are checked; `false`: anonymous. */
  readonly secured: boolean;
  #messages = 0;
  #commandCount = 0;
  connections = 0;

  constructor(options: { faults?: Faults; secured?: boolean; dataDir?: string } = {}) {
    this.#faults = options.faults ?? {};
    this.secured = options.secured ?? true;
    this.#file = options.dataDir === undefined ? null : join(options.dataDir, 'log.ndjson');
    if (this.#file !== null) this.#load(options.dataDir!, this.#file);
    this.#server = createServer((request, response) => void this.#http(request, response));
    this.#sockets = new WebSocketServer({
      server: this.#server,
      handleProtocols: (offered) => [...offered][0] ?? false,
    });
    this.#sockets.on('connection', (socket) => {
      this.connections++;
      if (socket.protocol === 'mqtt') this.#mqtt(socket);
      else if (socket.protocol === 'v12.stomp') this.#stomp(socket);
      else this.#cbor(socket);
    });
  }

  async listen(port = 0): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(port, '127.0.0.1', resolve));
    return `ws://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets.clients) socket.terminate();
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #load(dir: string, file: string): void {
    mkdirSync(dir, { recursive: true });
    if (!existsSync(file)) return;
    for (const line of readFileSync(file, 'utf8').split('\n').filter(Boolean)) this.#keep(JSON.parse(line) as Stored);
  }

  #keep(stored: Stored): void {
    this.log.push(...stored.rows);
    if (stored.stream !== undefined) this.#marks.set(`${stored.rows[0]!.device} ${stored.stream}`, stored.seq!);
  }

  #store(stored: Stored): 'ack' | 'refuse' | 'cut' {
    const n = ++this.#messages;
    if (this.#faults.refuse?.(n)) return 'refuse';
    if (!this.#faults.lose?.(n)) {
      for (let i = 0; i < (this.#faults.double?.(n) ? 2 : 1); i++) {
        this.#keep(stored);
        if (this.#file !== null) appendFileSync(this.#file, `${JSON.stringify(stored)}\n`);
      }
    }
    return this.#faults.cut?.(n) ? 'cut' : 'ack';
  }

  #sendBytes(socket: WebSocket, bytes: Buffer): void {
    if (!this.#faults.splitBytes) socket.send(bytes);
    else for (const byte of bytes) socket.send(Buffer.of(byte));
  }

  #admit(device: string, token: string | undefined): boolean {
    return !this.secured || token === deviceToken(device);
  }

  #result(commandId: string, body: unknown): void {
    const command = this.#commands.get(commandId);
    if (command === undefined) throw new Error(`a result for ${commandId}`);
    command.state = (body as { status: string }).status;
    command.result = body;
  }

  /** From now on commands reach the device, those that waited first. */
  #enter(peer: Peer, device: string): void {
    peer.device = device;
    this.#peers.set(device, peer);
    for (const { id, name, params } of this.#waiting.get(device) ?? []) peer.command(id, name, params);
    this.#waiting.delete(device);
  }

  #mqtt(socket: WebSocket): void {
    const packets = parser({ protocolVersion: 4 });
    const send = (packet: Packet): void => this.#sendBytes(socket, generate(packet));
    let messageId = 0;
    const peer: Peer = {
      device: null,
      command: (id, name, params) => {
        const topic = `devices/me/commands/${id}/${name}`;
        const payload = JSON.stringify(params);
        send({ cmd: 'publish', topic, payload, qos: 1, dup: false, retain: false, messageId: ++messageId });
      },
    };
    packets.on('packet', (packet) => {
      if (packet.cmd === 'connect') {
        const admitted = this.#admit(packet.clientId, packet.password?.toString());
        send({ cmd: 'connack', returnCode: admitted ? 0 : 4, sessionPresent: false });
        if (!admitted) socket.close(4003, 'bad credentials');
        else peer.device = packet.clientId;
      } else if (packet.cmd === 'subscribe') {
        send({ cmd: 'suback', messageId: packet.messageId!, granted: [1] });
        this.#enter(peer, peer.device!);
      } else if (packet.cmd === 'publish') {
        const body = JSON.parse(packet.payload.toString()) as Record<string, Value>;
        const commandId = /commands\/([^/]+)\/result$/.exec(packet.topic)?.[1];
        if (commandId !== undefined) this.#result(commandId, body);
        else if (this.#store({ rows: rowsOf(peer.device!, body) }) === 'cut') {
          socket.terminate();
          return;
        }
        send({ cmd: 'puback', messageId: packet.messageId! });
      } else if (packet.cmd === 'pingreq') send({ cmd: 'pingresp' });
    });
    socket.on('message', (data: Buffer) => packets.parse(data));
  }

  #stomp(socket: WebSocket): void {
    const decoder = new StompDecoder({
      commands: CLIENT_COMMANDS,
      dialect: STOMP_1_2,
      maxHeaders: 64,
      maxHeaderBytes: 8192,
      maxFrameBytes: 65_536,
    });
    const send = (command: string, headers: [string, string][], body: Buffer | null = null): void => {
      this.#sendBytes(socket, Buffer.from(encodeFrame(STOMP_1_2, command, headers, body)));
    };
    let lastId = 0;
    const peer: Peer = {
      device: null,
      command: (id, name, params) => {
        const n = String(++lastId);
        const destination = `/devices/me/commands/${id}/${name}`;
        const headers: [string, string][] = [
          ['subscription', 'commands'],
          ['message-id', n],
          ['destination', destination],
          ['ack', n],
        ];
        send('MESSAGE', headers, Buffer.from(JSON.stringify(params)));
      },
    };
    const handle = (frame: StompFrame): void => {
      const header = (name: string): string => frame.headers.get(name)!;
      if (frame.command === 'CONNECT') {
        if (!this.#admit(header('client-id'), frame.headers.get('passcode'))) {
          send('ERROR', [['message', 'bad credentials']]);
          socket.close(4003, 'bad credentials');
          return;
        }
        peer.device = header('client-id');
        send('CONNECTED', [['version', '1.2']]);
      } else if (frame.command === 'SUBSCRIBE') this.#enter(peer, peer.device!);
      else if (frame.command === 'SEND') {
        const body = JSON.parse(frame.body.toString()) as Record<string, Value>;
        const commandId = /commands\/([^/]+)\/result$/.exec(header('destination'))?.[1];
        const receipt: [string, string][] = [['receipt-id', header('receipt')]];
        if (commandId !== undefined) this.#result(commandId, body);
        else {
          const fate = this.#store({ rows: rowsOf(peer.device!, body) });
          if (fate === 'cut') {
            socket.terminate();
            return;
          }
          if (fate === 'refuse') receipt.push(['muster-status', 'rejected']);
        }
        send('RECEIPT', receipt);
      }
    };
    socket.on('message', (data: Buffer) => {
      for (let at = 0; at < data.length; at = decoder.position) {
        const frame = decoder.read(data, at);
        if (frame !== null) handle(frame);
      }
    });
  }

  #cbor(socket: WebSocket): void {
    let stream = '';
    const peer: Peer = {
      device: null,
      command: (id, name, params) => socket.send(encodeCommand(id, name, params, Date.now() + 60_000)),
    };
    const data = (message: Extract<DeviceMessage, { type: 'data' }>): void => {
      const key = `${peer.device!} ${stream}`;
      const mark = this.#marks.get(key) ?? 0;
      if (message.seq > mark + 1) throw new Error(`a gap: ${message.seq} after ${mark}`);
      if (message.seq === mark + 1) {
        const readings = readingsFromRecords(message.records, DEFAULT_LIMITS, Date.now());
        const rows = readings.map((reading) => ({ ...reading, device: peer.device!, timeUs: reading.timeUs! }));
        const fate = this.#store({ rows, stream, seq: message.seq });
        this.#marks.set(key, message.seq);
        if (fate === 'cut') {
          socket.terminate();
          return;
        }
        if (fate === 'refuse') {
          socket.send(encodeNack(message.seq, 'series_limit', 'no more series', null));
          return;
        }
      }
      socket.send(encodeAck(message.seq));
    };
    socket.on('message', (bytes: Buffer) => {
      const message = decodeDeviceMessage(bytes, DEFAULT_LIMITS);
      if (message.type === 'hello') {
        const { token, id, next } = message.hello;
        stream = message.hello.stream;
        const device = this.secured ? (token ?? '').replace('mst_dd_', '') : id!;
        const key = `${device} ${stream}`;
        const mark = Math.max(this.#marks.get(key) ?? 0, next - 1);
        this.#marks.set(key, mark);
        const welcome = {
          timeMs: Date.now(),
          resumeSeq: mark + 1,
          window: 4,
          maxMessageBytes: 65_536,
          device,
          epoch: 1,
        };
        socket.send(encodeWelcome(welcome));
        this.#enter(peer, device);
      } else if (message.type === 'data') data(message);
      else if (message.type === 'result') {
        this.#result(message.commandId, message);
        socket.send(encodeDone(message.commandId));
      }
    });
  }

  /** One request of a device over HTTP. */
  #device(path: string, request: IncomingMessage, body: string, answer: (status: number, body: unknown) => void): void {
    const { authorization = '', 'muster-device': id = '' } = request.headers as Record<string, string>;
    const device = this.secured ? authorization.replace('Bearer mst_dd_', '') : id;
    if (!this.#admit(device, authorization.replace('Bearer ', ''))) {
      answer(401, { code: 'bad_credentials' });
      return;
    }
    const [, what, which] = path.split('/');
    if (what === 'streams') {
      const key = `${device} ${which!}`;
      const mark = Math.max(this.#marks.get(key) ?? 0, (JSON.parse(body) as { next: number }).next - 1);
      this.#marks.set(key, mark);
      answer(200, { resume: mark + 1, time: Date.now(), window: 4, max: 65_536, device });
    } else if (what === 'telemetry') {
      const { 'muster-stream': stream = '', 'muster-seq': number = '' } = request.headers as Record<string, string>;
      const [key, seq] = [`${device} ${stream}`, Number(number)];
      const mark = this.#marks.get(key) ?? 0;
      if (seq > mark + 1) answer(409, { code: 'gap', expected: mark + 1 });
      else if (seq <= mark) answer(200, { readings: 0, duplicate: true, ack: seq });
      else {
        const rows = rowsOf(device, JSON.parse(body) as Record<string, Value>);
        const fate = this.#store({ rows, stream, seq });
        this.#marks.set(key, seq);
        if (fate === 'cut') request.socket.destroy();
        else if (fate === 'refuse') answer(422, { code: 'series_limit', detail: 'no more series', recorded: true });
        else answer(200, { readings: rows.length, duplicate: false, ack: seq });
      }
    } else if (what === 'commands' && which === undefined) {
      this.#poll(device, answer);
    } else if (what === 'commands') {
      this.#result(which!, JSON.parse(body));
      answer(200, { taken: true });
    } else {
      answer(200, {});
    }
  }

  /** Commands that wait, or the next one that comes. The cursor is not looked at: nothing is handed over twice. */
  #poll(device: string, answer: (status: number, body: unknown) => void): void {
    const wait: { id: string; name: string; params: unknown }[] = [];
    const peer: Peer = {
      device: null,
      command: (id, name, params) => {
        wait.push({ id, name, params });
        this.#peers.delete(device);
        queueMicrotask(() => {
          if (wait.length > 0) answer(200, { commands: wait.splice(0), cursor: 'c', time: Date.now() });
        });
      },
    };
    this.#enter(peer, device);
  }

  async #http(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = new URL(request.url!, 'http://hub').pathname;
    const answer = (status: number, body: unknown): void => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    };
    if (path === '/readyz') {
      answer(200, {});
      return;
    }
    if (path.startsWith('/device/v1/')) {
      const body = (await request.setEncoding('utf8').toArray()).join('');
      this.#device(path.slice('/device/v1'.length), request, body, answer);
      return;
    }
    if (request.headers.authorization !== `Bearer ${FAKE_TOKEN}`) {
      answer(401, { title: 'who are you?' });
      return;
    }
    const text = (await request.setEncoding('utf8').toArray()).join('');
    if (path === '/api/v1/export/log') {
      this.#export(response);
      return;
    }
    if (path === '/api/v1/devices') {
      const { id } = JSON.parse(text) as { id: string };
      if (this.devices.has(id)) {
        answer(409, { title: 'exists' });
        return;
      }
      this.devices.add(id);
      answer(201, { device: { id }, token: deviceToken(id) });
      return;
    }
    const [, , , kind, id, part] = path.split('/');
    if (part === 'tokens') {
      answer(201, { keyId: 'dd', token: deviceToken(id!) });
      return;
    }
    if (part === 'commands') {
      answer(201, { command: { id: this.#command(id!, text), state: 'queued' } });
      return;
    }
    if (kind === 'commands') {
      answer(200, { command: { id, ...this.#commands.get(id!) }, history: [] });
      return;
    }
    answer(404, {});
  }

  #command(device: string, text: string): string {
    const { name, params } = JSON.parse(text) as { name: string; params: unknown };
    const id = `c-${++this.#commandCount}`;
    this.#commands.set(id, { state: 'queued', result: null });
    const times = this.#faults.repeatCommands ? 2 : 1;
    const peer = this.#peers.get(device);
    for (let i = 0; i < times; i++) {
      if (peer !== undefined) peer.command(id, name, params);
      else this.#waiting.set(device, [...(this.#waiting.get(device) ?? []), { id, name, params }]);
    }
    return id;
  }

  #export(response: ServerResponse): void {
    response.writeHead(200, { 'content-type': 'application/x-ndjson' });
    this.log.forEach((row, i) => response.write(`${JSON.stringify({ id: i + 1, ...row })}\n`));
    response.end(this.#faults.cutExport ? '' : `${JSON.stringify({ end: true, rows: this.log.length })}\n`);
  }
}

function deviceToken(device: string): string {
  return `mst_dd_${device}`;
}

function rowsOf(device: string, { ts, ...body }: Record<string, Value>): Row[] {
  const timeUs = (ts as number) * 1000;
  return Object.entries(body).map(([metric, value]) => ({ device, metric, timeUs, value }));
}
