import { randomInt } from 'node:crypto';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Random } from '#devices-sim/random.js';
import { startTestHub, until, type TestHub } from '../support/hub.ts';
import { figure, openConnections } from './faults/hub-view.ts';
import { frame, RawWebSocket } from './faults/raw-web-socket.ts';
import { PROTOCOLS, SUBPROTOCOL, Witness, type Protocol } from './faults/test-device.ts';
import { introduction, isTakenIn, telemetry } from './faults/words.ts';

const CONNECTIONS = 200;
/** New in each run; a failure names it. */
const SEED = randomInt(2 ** 31);

let hub: TestHub;
let witnesses: Witness[];
beforeAll(async () => {
  hub = await startTestHub({ allowAnonymous: true });
  witnesses = await Witness.ofEachProtocol(hub.wsUrl);
});
afterAll(() => hub.close());

describe.each(PROTOCOLS)(`garbage in %s (seed ${SEED})`, (protocol) => {
  test(`${CONNECTIONS} connections of it harm nobody`, async () => {
    for (let first = 0; first < CONNECTIONS; first += 50) {
      await Promise.all(Array.from({ length: 50 }, (_, i) => misbehave(protocol, first + i)));
    }
    await until('only the witnesses are connected', async () => (await openConnections(hub)).length === 3);
  });
});

test('garbage before there is a WebSocket', async () => {
  const random = new Random(SEED, 'http');
  await Promise.all(
    Array.from({ length: CONNECTIONS }, async (_, i) => {
      const socket = connect({ port: hub.port, host: '127.0.0.1' });
      socket.on('error', () => undefined);
      const closed = new Promise((resolve) => socket.once('close', resolve));
      socket.resume();
      const head = `GET /mqtt HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n`;
      const lines = [
        bytesOf(random, 200),
        `${head}Sec-WebSocket-Protocol: ${bytesOf(random, 40).toString('hex')}\r\n\r\n`,
        `${head}Sec-WebSocket-Protocol: mqtt\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: short\r\n\r\n`,
        `${head}Sec-WebSocket-Protocol: mqtt\r\nSec-WebSocket-Version: 99\r\n\r\n`,
        `${head}Sec-WebSocket-Protocol: ${'mqtt,'.repeat(2000)}\r\n\r\n`,
      ];
      socket.end(lines[i % lines.length]!);
      await closed;
    }),
  );
});

test('the witnesses went on publishing all the time, and the hub found no fault in itself', async () => {
  for (const witness of witnesses) {
    const published = await witness.stop();
    expect(published, witness.device.id).toBeGreaterThan(50);
    expect(witness.device.end).toBeNull();
    expect(witness.device.refused).toEqual([]);
  }
  expect((await openConnections(hub)).map(({ principal }) => principal?.id).sort()).toEqual(
    PROTOCOLS.map((protocol) => `witness-${protocol}`).sort(),
  );
  expect(await figure(hub, 'muster_connections_closed_total{reason="internal_error"}')).toBe(0);
  expect(await figure(hub, 'muster_connections_closed_total{reason="malformed"}')).toBeGreaterThan(0);
  expect(await figure(hub, 'muster_sockets_paused')).toBe(0);
  for (const witness of witnesses) witness.device.terminate();
});

/** One connection that sends nonsense of one kind or another and leaves, unless the hub closes it before. */
async function misbehave(protocol: Protocol, number: number): Promise<void> {
  const random = new Random(SEED, `${protocol} ${number}`);
  const raw = await RawWebSocket.open(hub.port, SUBPROTOCOL[protocol]);
  const known = random.next() < 0.6;
  if (known) {
    raw.send(introduction(protocol, `${protocol}-garbage-${number}`));
    if (random.next() < 0.8) {
      await until('it is taken in', () => isTakenIn(protocol, raw));
    }
  }
  const pieces = 1 + random.integer(5);
  for (let i = 0; i < pieces && !raw.gone; i++) raw.socket.write(nonsense(protocol, random));
  // What the hub does not understand as wrong yet is left half-said.
  await Promise.race([gone(raw), new Promise((resolve) => setTimeout(resolve, 20))]);
  raw.destroy();
  await gone(raw);
}

function nonsense(protocol: Protocol, random: Random): Buffer {
  const kinds = [
    // Any bytes, in binary or text messages of any size.
    () => frame(bytesOf(random, 1 + random.integer(300)), 2),
    () => frame(bytesOf(random, 1 + random.integer(300)), 1),
    () => frame(bytesOf(random, random.integer(60_000)), 2),
    // What is nearly right.
    () => frame(damaged(random, telemetry(protocol, 1 + random.integer(60_000))), 2),
    () => frame(damaged(random, introduction(protocol, 'somebody')), 2),
    // Another protocol.
    () => frame(introduction(PROTOCOLS[random.integer(3)]!, 'somebody'), 2),
    // Half of a message.
    () => frame(telemetry(protocol, 1).subarray(0, random.integer(20)), 2),
    // No WebSocket frames at all; and control frames that are none.
    () => bytesOf(random, 1 + random.integer(300)),
    () => frame(bytesOf(random, random.integer(125)), 8 + random.integer(8)),
  ];
  return kinds[random.integer(kinds.length)]!();
}

function damaged(random: Random, message: Buffer): Buffer {
  const copy = Buffer.from(message);
  for (let i = 1 + random.integer(4); i > 0; i--) copy[random.integer(copy.length)] = random.integer(256);
  return copy;
}

function bytesOf(random: Random, length: number): Buffer {
  return Buffer.from(Array.from({ length }, () => random.integer(256)));
}

async function gone(raw: RawWebSocket): Promise<void> {
  await until('the connection is over', () => raw.gone);
}
