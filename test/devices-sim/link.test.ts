import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { connect } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { BadLink } from '#devices-sim/link.js';
import { Random } from '#devices-sim/random.js';

const CHUNK = Buffer.from('0123456789');

let server: Server | null = null;
let link: BadLink | null = null;

afterEach(async () => {
  await link?.close();
  server?.close();
});

/** An echo behind a link; all sockets that reached it. */
async function echoBehind(cuts: number, seed: number): Promise<{ link: BadLink; reached: Socket[] }> {
  const reached: Socket[] = [];
  server = createServer((socket) => {
    reached.push(socket);
    socket.on('error', () => undefined);
    socket.on('data', (data) => socket.write(data));
  });
  await new Promise<void>((resolve) => server!.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  link = await BadLink.open({ url: `ws://127.0.0.1:${port}/mqtt`, cuts, random: new Random(seed, 'link') });
  return { link, reached };
}

/** Sends a chunk each time the last one came back, until `most` have or the connection is gone. */
function play(url: string, most: number): Promise<{ came: Buffer; wasCut: boolean }> {
  const { port } = new URL(url);
  return new Promise((resolve) => {
    const socket = connect(Number(port), '127.0.0.1', () => socket.write(CHUNK));
    let came = Buffer.alloc(0);
    let wasCut = true;
    socket.on('error', () => undefined);
    socket.on('data', (data) => {
      came = Buffer.concat([came, data]);
      if (came.length === most * CHUNK.length) {
        wasCut = false;
        socket.end();
      } else if (came.length % CHUNK.length === 0) {
        socket.write(CHUNK);
      }
    });
    socket.on('close', () => resolve({ came, wasCut }));
  });
}

describe('a bad link', () => {
  it('keeps path and scheme, and passes everything on when it cuts nothing', async () => {
    const { link } = await echoBehind(0, 1);
    expect(link.url).toMatch(/^ws:\/\/127\.0\.0\.1:\d+\/mqtt$/);
    const { came, wasCut } = await play(link.url, 20);
    expect(wasCut).toBe(false);
    expect(came.toString()).toBe(CHUNK.toString().repeat(20));
    expect(link.figures).toEqual({ connections: 1, chunks: 40, cuts: 0 });
  });

  it('cuts the share that it was given, on both sides, and what came is a beginning of what was sent', async () => {
    const { link, reached } = await echoBehind(0.2, 2);
    let wholeRuns = 0;
    for (let i = 0; i < 60; i++) {
      const { came, wasCut } = await play(link.url, 8);
      if (!wasCut) wholeRuns++;
      expect(CHUNK.toString().repeat(8).startsWith(came.toString())).toBe(true);
    }
    const { chunks, cuts, connections } = link.figures;
    expect(connections).toBe(60);
    expect(cuts).toBe(60 - wholeRuns);
    expect(cuts / chunks).toBeGreaterThan(0.13);
    expect(cuts / chunks).toBeLessThan(0.27);
    await expect.poll(() => reached.filter((socket) => !socket.destroyed)).toEqual([]);
  });

  it('cuts in each of the three ways: a chunk is lost, comes in part, comes whole', async () => {
    const { link, reached } = await echoBehind(1, 3);
    for (let i = 0; i < 30; i++) expect((await play(link.url, 1)).wasCut).toBe(true);
    await expect.poll(() => reached.filter((socket) => !socket.destroyed)).toEqual([]);
    const arrived = reached.map((socket) => socket.bytesRead);
    expect(arrived).toContain(0);
    expect(arrived).toContain(CHUNK.length);
    expect(arrived.some((bytes) => bytes > 0 && bytes < CHUNK.length)).toBe(true);
  });

  it('heals', async () => {
    const { link } = await echoBehind(1, 4);
    link.heal();
    expect((await play(link.url, 5)).wasCut).toBe(false);
  });
});
