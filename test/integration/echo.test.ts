import { once } from 'node:events';
import { WebSocket } from 'ws';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestHub, until, type TestHub } from '../support/hub.ts';
import { afterThisTest } from './clients/opened.ts';

describe('v1.echo.muster', () => {
  let hub: TestHub;
  beforeAll(async () => {
    hub = await startTestHub({ enableEcho: true, echoMaxMessageBytes: '2MiB', identifyTimeoutMs: '300' });
  });
  afterAll(() => hub.close());

  async function echo(): Promise<{ webSocket: WebSocket; next: () => Promise<{ data: Buffer; isBinary: boolean }> }> {
    const webSocket = new WebSocket(hub.wsUrl, ['v1.echo.muster']);
    afterThisTest(() => webSocket.terminate());
    const received: { data: Buffer; isBinary: boolean }[] = [];
    webSocket.on('message', (data: Buffer, isBinary) => received.push({ data, isBinary }));
    await once(webSocket, 'open');
    const next = async () => {
      await until('an echo', () => received.length > 0);
      return received.shift()!;
    };
    return { webSocket, next };
  }

  it.each([
    ['text', 'Grüße, 世界 🌍'],
    ['empty text', ''],
    ['binary', Buffer.from([0, 1, 2, 255])],
    ['empty binary', Buffer.alloc(0)],
    ['1 MiB of binary', Buffer.alloc(1024 * 1024, 0xa5)],
    ['1 MiB of text', 'ä'.repeat(512 * 1024)],
  ])('returns %s as it came', async (_what, sent) => {
    const { webSocket, next } = await echo();
    webSocket.send(sent);
    const { data, isBinary } = await next();
    expect(isBinary).toBe(typeof sent !== 'string');
    expect(data.equals(Buffer.from(sent))).toBe(true);
  });

  it('returns a fragmented message whole, with control frames between the fragments', async () => {
    const { webSocket, next } = await echo();
    let pongs = 0;
    webSocket.on('pong', () => pongs++);
    // 🌍 is cut in the middle.
    const bytes = Buffer.from('frag🌍mented');
    webSocket.send(bytes.subarray(0, 6), { fin: false, binary: false });
    webSocket.ping();
    webSocket.send(bytes.subarray(6, 9), { fin: false });
    webSocket.send(bytes.subarray(9), { fin: true });
    const { data, isBinary } = await next();
    expect([data.toString(), isBinary]).toEqual(['frag🌍mented', false]);
    await until('the pong', () => pongs === 1);
  });

  it('keeps the order of many', async () => {
    const { webSocket, next } = await echo();
    const sent = Array.from({ length: 2000 }, (_, n) => `${n} ${'x'.repeat(n % 300)}`);
    for (const text of sent) webSocket.send(text);
    const returned: string[] = [];
    for (const _ of sent) returned.push((await next()).data.toString());
    expect(returned).toEqual(sent);
  });

  it('closes over a message past its limit, and over text that is not UTF-8', async () => {
    const large = await echo();
    large.webSocket.send(Buffer.alloc(2 * 1024 * 1024 + 1));
    expect((await once(large.webSocket, 'close'))[0]).toBe(1009);
    const bad = await echo();
    bad.webSocket.send(Buffer.from([0xc3, 0x28]), { binary: false });
    expect((await once(bad.webSocket, 'close'))[0]).toBe(1007);
  });

  it('needs no identity, while others are closed without one', async () => {
    const { webSocket, next } = await echo();
    const stranger = new WebSocket(hub.wsUrl, ['mqtt']);
    expect((await once(stranger, 'close'))[0]).toBe(4001);
    webSocket.send('still here');
    expect((await next()).data.toString()).toBe('still here');
  });
});
