import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Api, ExportReader } from '#devices-sim/api.js';
import { contradict } from '#devices-sim/commands.js';
import { SimError } from '#devices-sim/errors.js';
import { checkFileLimit, sourceAddress } from '#devices-sim/file-limit.js';
import { assignProtocols, deviceId, switchedOnMs } from '#devices-sim/fleet.js';
import { inParallel } from '#devices-sim/parallel.js';

const row = (id: number) => `{"id":${id},"device":"d1","metric":"größe","timeUs":5,"value":${id}.5}\n`;

function read(chunks: readonly (string | Uint8Array)[]) {
  const rows: unknown[] = [];
  const reader = new ExportReader((logged) => rows.push(logged));
  for (const chunk of chunks) reader.push(Buffer.from(chunk));
  return { count: reader.end(), rows };
}

describe('reading the export', () => {
  test('rows come through wherever the bytes are cut, in the middle of a character too', () => {
    const bytes = Buffer.from(`${row(1)}${row(4)}{"end":true,"rows":2}\n`);
    const whole = read([bytes]);
    expect(whole).toEqual({
      count: 2,
      rows: [
        { device: 'd1', metric: 'größe', timeUs: 5, value: 1.5 },
        { device: 'd1', metric: 'größe', timeUs: 5, value: 4.5 },
      ],
    });
    expect(read([...bytes].map((byte) => Buffer.of(byte)))).toEqual(whole);
    fc.assert(
      fc.property(fc.nat(bytes.length), (at) => {
        expect(read([bytes.subarray(0, at), bytes.subarray(at)])).toEqual(whole);
      }),
    );
  });

  test('the last line may lack its line end', () => {
    expect(read([row(1), '{"end":true,"rows":1}']).count).toBe(1);
  });

  test.each([
    ['cut off', [row(1)], 'its last line is missing'],
    ['with another count than rows', [row(1), '{"end":true,"rows":2}\n'], 'says 2 rows, 1 came'],
    ['with rows behind its end', ['{"end":true,"rows":0}\n', row(1)], 'goes on after its last line'],
    ['with a row given twice', [row(1), row(1)], 'out of order'],
    ['with a row that is none', ['{"id":1,"device":"d1"}\n'], 'not a row of the log'],
    ['with a value that is none', [row(1).replace('1.5', 'null')], 'not a row of the log'],
    ['that is not JSON', ['<html>\n'], 'not JSON'],
    ['without line ends', ['x'.repeat(1024 * 1024 + 1)], 'a line without an end'],
  ])('an export %s is not trusted', (_, chunks, words) => {
    expect(() => read(chunks)).toThrow(SimError);
    expect(() => read(chunks)).toThrow(words);
  });
});

describe('a hub that wants fewer requests a minute', () => {
  test.each([
    ['names a time, and is asked again then', { 'retry-after': '0' }, 3],
    ['names none, because another limit is reached, and is not asked again', {}, 1],
  ])('%s', async (_, headers, expected) => {
    let requests = 0;
    const server = createServer((_request, response) => {
      requests++;
      const ok = requests === 3;
      response.writeHead(ok ? 201 : 429, ok ? {} : headers).end('{"token":"t"}');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const api = new Api(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`, 'mst_a_b');
    const token = await api.provision('d1').catch((error: unknown) => error);
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    expect(requests).toBe(expected);
    if (expected === 3) expect(token).toBe('t');
    else expect(token).toBeInstanceOf(SimError);
  });
});

describe('commands: what cannot be true of both sides', () => {
  test.each([
    ['succeeded', true, true, true],
    ['succeeded', true, false, true],
    ['succeeded', false, false, false],
    ['received', true, false, true],
    ['received', true, true, false],
    ['sent', true, true, false],
    ['queued', false, false, true],
    ['timed_out', true, true, true],
    ['expired', false, false, true],
    ['failed', true, true, false],
  ])('%s, answered %s, acknowledged %s: agreement %s', (state, answered, taken, agree) => {
    expect(contradict(state, answered, taken) === null).toBe(agree);
  });
});

describe('before the first socket', () => {
  const limits = (files: string) => `Limit Soft Limit Hard Limit Units\nMax open files            ${files}    files\n`;

  test('a limit of open files that is too low is named, with what to do', () => {
    expect(() => checkFileLimit(924, 1, limits('1024                 4096'))).not.toThrow();
    expect(() => checkFileLimit(925, 1, limits('1024                 4096'))).toThrow(
      '925 devices need 1025 open files, this process may open 1024: raise the limit (ulimit -n 1025)',
    );
  });

  test('no limit, or none that can be read, stops nothing', () => {
    expect(() => checkFileLimit(1e6, 1, limits('unlimited            unlimited'))).not.toThrow();
    expect(() => checkFileLimit(1e6, 1, null)).not.toThrow();
    // Over HTTP a device has two sockets.
    expect(() => checkFileLimit(463, 2, limits('1024                 4096'))).toThrow('1026');
  });

  test('loopback source addresses are spread beyond 20,000 devices', () => {
    expect(sourceAddress(19_999, 20_000, 1, '127.0.0.1')).toBeNull();
    expect(sourceAddress(0, 20_001, 1, '127.0.0.1')).toBe('127.0.0.1');
    expect(sourceAddress(19_999, 20_001, 1, '127.0.0.1')).toBe('127.0.0.1');
    expect(sourceAddress(20_000, 20_001, 1, '127.0.0.1')).toBe('127.0.0.2');
    expect(sourceAddress(20_000, 20_001, 1, 'hub.example')).toBeNull();
    expect(sourceAddress(10_000, 10_001, 2, '127.0.0.1')).toBe('127.0.0.2');
  });
});

describe('the fleet', () => {
  test('every beginning of it has the mix, as nearly as whole devices allow', () => {
    const mix = { mqtt: 60, stomp: 20, cbor: 20, http: 0 };
    const all = assignProtocols(mix, 500);
    for (const size of [5, 10, 37, 100, 500]) {
      const cborDevices = all.slice(0, size).filter((protocol) => protocol === 'cbor').length;
      expect(Math.abs(cborDevices - size / 5)).toBeLessThanOrEqual(1);
    }
    expect(new Set(assignProtocols({ mqtt: 0, stomp: 0, cbor: 3, http: 0 }, 10))).toEqual(new Set(['cbor']));
  });

  test('ids carry the seed, and the ramp has its rate', () => {
    expect(deviceId(7, 0)).toBe('sim-7-00001');
    expect([0, 1, 200, 300].map((i) => switchedOnMs(i, 200))).toEqual([0, 5, 1000, 1500]);
  });
});

describe('bounded parallelism', () => {
  test('never more at a time than allowed, and every index once', async () => {
    let running = 0;
    let most = 0;
    const seen: number[] = [];
    await inParallel(50, 4, async (i) => {
      most = Math.max(most, ++running);
      await Promise.resolve();
      seen.push(i);
      running--;
    });
    expect(most).toBe(4);
    expect(seen.sort((a, b) => a - b)).toEqual(Array.from({ length: 50 }, (_, i) => i));
  });

  test('a failure is passed on and ends it', async () => {
    let started = 0;
    const failing = inParallel(50, 2, async () => {
      started++;
      await Promise.resolve();
      throw new Error('no');
    });
    await expect(failing).rejects.toThrow('no');
    expect(started).toBeLessThanOrEqual(2);
  });
});
