import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encodeAck } from '#protocols/cbor/codec.js';
import { until } from '../support/hub.ts';
import { HubChild } from './faults/hub-child.ts';
import { readSystemCalls, straceTo, type SystemCall } from './faults/system-calls.ts';
import { PROTOCOLS, type Protocol } from './faults/test-device.ts';
import { enter, isAcknowledged, telemetry } from './faults/words.ts';

const folder = mkdtempSync(join(tmpdir(), 'muster-test-'));
const output = join(folder, 'calls');
const under = straceTo(output);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Three messages of each device, each after the one before was acknowledged. */
const SEQS = [1, 2, 3];

/** The whole WebSocket message with which the hub acknowledges `seq`. */
function acknowledgement(protocol: Protocol, seq: number): Buffer {
  if (protocol === 'mqtt') return Buffer.from([0x82, 4, 0x40, 2, seq >> 8, seq & 0xff]);
  // The raw client sends binary messages, so a STOMP frame comes back in one.
  const words = protocol === 'stomp' ? Buffer.from(`RECEIPT\nreceipt-id:${seq}\n\n\0`) : encodeAck(seq);
  return Buffer.concat([Buffer.from([0x82, words.length]), words]);
}

describe.skipIf(under === null)('an acknowledgement is written only after the disk has the reading', () => {
  let calls: SystemCall[];
  let store: { facts: object };
  beforeAll(async () => {
    const hub = await HubChild.start({ data: join(folder, 'data'), flags: { allowAnonymous: true }, under: under! });
    store = (await hub.api('GET', '/api/v1/status')).body.store;
    for (const protocol of PROTOCOLS) {
      const raw = await enter(protocol, hub.port, `traced-${protocol}`);
      for (const seq of SEQS) {
        raw.send(telemetry(protocol, seq));
        await until('the acknowledgement', () => isAcknowledged(protocol, raw, seq));
      }
      raw.destroy();
    }
    await hub.kill('SIGTERM');
    const ended = new RegExp(`^${hub.pid} +\\+\\+\\+ exited`, 'm');
    await until('the trace is whole', () => ended.test(readFileSync(output, 'latin1')));
    calls = readSystemCalls(output);
  });

  test.each(PROTOCOLS.flatMap((protocol) => SEQS.map((seq) => [protocol, seq] as const)))(
    '%s, message %i',
    (protocol, seq) => {
      const message = telemetry(protocol, seq);
      const arrived = calls.find(({ file, bytes }) => file.startsWith('socket:') && bytes.includes(message));
      expect(arrived, 'the message is in the trace').toBeDefined();
      const isOnSocket = ({ file, begun }: SystemCall): boolean => file === arrived!.file && begun > arrived!.returned;
      const acked = calls.find((one) => isOnSocket(one) && one.bytes.includes(acknowledgement(protocol, seq)));
      expect(acked, 'its acknowledgement is in the trace').toBeDefined();

      const isOnLog = ({ file }: SystemCall): boolean => file.endsWith('muster.db-wal');
      const written = calls.find((one) => one.name === 'pwrite64' && isOnLog(one) && one.begun > arrived!.returned);
      expect(written, 'the write-ahead log was written').toBeDefined();
      const synced = calls.find(
        (one) => /^f(data)?sync$/.test(one.name) && isOnLog(one) && one.begun > written!.returned,
      );
      expect(synced, 'the write-ahead log was synced').toBeDefined();
      expect(arrived!.returned).toBeLessThan(written!.begun);
      expect(synced!.returned, 'fsync has returned before the first byte of the acknowledgement').toBeLessThan(
        acked!.begun,
      );
    },
  );

  test('the store says so too: PRAGMA synchronous is FULL', () => {
    expect(store.facts).toMatchObject({ engine: 'sqlite', synchronous: 2, journalMode: 'wal' });
  });
});
