import { get } from 'node:http';
import { gunzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { API_LIMITS } from '#hub/http/limits.js';
import { API_TOKEN, deviceView, FakeHub, NOW_MS, serveApi } from './fakes.ts';

let hub: FakeHub;
let api: Awaited<ReturnType<typeof serveApi>>;
beforeEach(async () => {
  hub = new FakeHub();
  api = await serveApi(hub);
});
afterEach(() => api.close());

describe('GET /api/v1/fleet', () => {
  it('tells each device in short, with presence as the live feed has it, and counts the whole fleet', async () => {
    const presence = {
      online: true,
      epoch: 4,
      protocol: 'mqtt',
      connectedMs: NOW_MS,
      disconnectedMs: null,
      reason: null,
      initiator: null,
    };
    hub.stored.set('pump', deviceView('pump', { name: 'Pump', presence }));
    hub.devices.counts = () => ({ devices: 7, online: 2, onlineByProtocol: { mqtt: 2, cbor: 0 } });
    const { status, body } = await api.call('GET', '/api/v1/fleet');
    expect(status).toBe(200);
    expect(body).toEqual({
      items: [
        {
          id: 'pump',
          name: 'Pump',
          disabled: false,
          presence,
          latest: [{ metric: 'temp', value: 21.5, timeUs: NOW_MS * 1000 + 1 }],
        },
      ],
      next: 'pump',
      counts: { online: 2, offline: 5, byProtocol: { mqtt: 2, cbor: 0 } },
    });
  });

  it('shows the first eight metrics, and cuts long texts, but never within a character', async () => {
    const text = 'x'.repeat(63);
    hub.telemetry.latest = () => [
      { metric: 'a', value: `${text}y`, timeUs: 1 },
      { metric: 'b', value: `${text}😀`, timeUs: 1 },
      ...Array.from({ length: 20 }, (_, i) => ({ metric: `c${i}`, value: i, timeUs: 1 })),
    ];
    const { latest } = (await api.call('GET', '/api/v1/fleet')).body.items[0];
    expect(latest).toHaveLength(8);
    expect(latest[0]).toEqual({ metric: 'a', value: `${text}y`, timeUs: 1 });
    expect(latest[1]).toEqual({ metric: 'b', value: `${text}\ufffd`, timeUs: 1, cut: true });
  });

  it('gives up to 5,000 at once, and goes on after the last one', async () => {
    await api.call('GET', '/api/v1/fleet');
    await api.call('GET', '/api/v1/fleet?after=pump&limit=5000');
    expect(hub.calls).toEqual([
      ['list', { after: null, limit: 5000 }],
      ['list', { after: 'pump', limit: 5000 }],
    ]);
    expect(API_LIMITS.maxPageFleet).toBe(5000);
  });

  it('of a large fleet comes compressed to those who take it; a small answer never does', async () => {
    for (let i = 0; i < 1000; i++) hub.stored.set(`device-${i}`, deviceView(`device-${i}`));
    const answer = (path: string, encoding: string) =>
      new Promise<{ encoding: string | undefined; vary: string | undefined; bytes: Buffer }>((resolve, reject) => {
        const headers = { authorization: `Bearer ${API_TOKEN}`, 'accept-encoding': encoding };
        get(api.url + path, { headers }, (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => void chunks.push(chunk));
          response.on('end', () => {
            const { vary, 'content-encoding': encoding } = response.headers;
            resolve({ encoding, vary, bytes: Buffer.concat(chunks) });
          });
        }).on('error', reject);
      });
    const plain = await answer('/api/v1/fleet', 'identity');
    expect([plain.encoding, plain.vary]).toEqual([undefined, 'accept-encoding']);
    const packed = await answer('/api/v1/fleet', 'gzip, deflate, br');
    expect([packed.encoding, packed.vary]).toEqual(['gzip', 'accept-encoding']);
    expect(packed.bytes.length).toBeLessThan(plain.bytes.length / 5);
    expect(gunzipSync(packed.bytes).equals(plain.bytes)).toBe(true);
    expect((await answer('/api/v1/me', 'gzip')).encoding).toBeUndefined();
  });

  it.each(['limit=0', 'limit=5001', 'limit=x', 'after=', 'online=true'])('refuses %s', async (query) => {
    expect((await api.call('GET', `/api/v1/fleet?${query}`)).status).toBe(400);
  });
});
