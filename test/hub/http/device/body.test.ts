import type { IncomingMessage } from 'node:http';
import { PassThrough } from 'node:stream';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readBody } from '#hub/http/device/body.js';

function request(headers: Record<string, string> = {}): IncomingMessage & PassThrough {
  return Object.assign(new PassThrough(), { headers }) as never;
}

const MAX = 100;

function heapBytes(): number {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  return process.memoryUsage().heapUsed;
}

describe('a body', () => {
  it('comes whole, however it is cut', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 20 }), { maxLength: 5 }), async (parts) => {
        const from = request();
        const body = readBody(from, MAX);
        for (const part of parts) from.write(part);
        from.end();
        expect(await body).toEqual(Buffer.concat(parts));
      }),
    );
  });

  it('of the largest size is taken, one byte more is not', async () => {
    const fits = request();
    fits.end(Buffer.alloc(MAX));
    expect(await readBody(fits, MAX)).toHaveLength(MAX);
    const over = request();
    over.end(Buffer.alloc(MAX + 1));
    await expect(readBody(over, MAX)).rejects.toMatchObject({ code: 'too_large' });
  });

  it('that does not end is read to four times the limit, and no further', async () => {
    const from = request();
    const body = readBody(from, MAX);
    from.write(Buffer.alloc(4 * MAX));
    await new Promise(setImmediate);
    from.write(Buffer.alloc(1));
    await expect(body).rejects.toMatchObject({ code: 'too_large', headers: { connection: 'close' } });
    expect(from.listenerCount('data')).toBe(0);
  });

  it('in chunks of one byte takes the memory of its bytes, not that of a hundred thousand chunks', async () => {
    const bytes = 100_000;
    const from = request();
    const body = readBody(from, bytes);
    const before = heapBytes();
    for (let sent = 0; sent < bytes - 1; sent++) {
      from.write(Buffer.alloc(1, sent % 251));
      if (sent % 1000 === 0) await new Promise(setImmediate);
    }
    await new Promise(setImmediate);
    expect(heapBytes() - before).toBeLessThan(20 * bytes);
    from.end(Buffer.of(255));
    const read = await body;
    expect(read).toHaveLength(bytes);
    expect([read[0], read[250], read[251], read[bytes - 1]]).toEqual([0, 250, 0, 255]);
  });

  it('that is announced as far too large is not read', async () => {
    const from = request({ 'content-length': String(4 * MAX + 1) });
    await expect(readBody(from, MAX)).rejects.toMatchObject({ code: 'too_large' });
    expect(from.listenerCount('data')).toBe(0);
  });

  it('that breaks off is no body', async () => {
    const from = request();
    const body = readBody(from, MAX);
    from.write('{"a"');
    from.destroy();
    await expect(body).rejects.toMatchObject({ code: 'malformed_body' });
  });

  it.each(['gzip', 'br', 'identity, gzip', ''])('encoded as %j is not read', (encoding) => {
    expect(() => readBody(request({ 'content-encoding': encoding }), MAX)).toThrow(/not compressed/);
  });
});
