import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connect, type DataMessage, type DeviceProtocol } from '#devices-sim/device/index.js';
import { BadLink } from '#devices-sim/link.js';
import { Random } from '#devices-sim/random.js';
import { startTestHub, type TestHub } from '#test/support/hub.js';

const MESSAGES = 120;
const CUTS = 0.2;

let hub: TestHub;
beforeAll(async () => {
  hub = await startTestHub();
});
afterAll(() => hub.close());

/** How often each value of the metric `n` is in the log. */
async function logged(device: string): Promise<number[]> {
  const { body } = await hub.api('GET', '/api/v1/export/log?from=2020-01-01T00:00:00Z');
  const counts = new Array<number>(MESSAGES).fill(0);
  for (const line of (body as string).split('\n').filter(Boolean)) {
    const row = JSON.parse(line) as { device?: string; metric?: string; value?: number };
    if (row.device === device && row.metric === 'n') counts[row.value!]!++;
  }
  return counts;
}

describe.each<DeviceProtocol>(['cbor', 'mqtt', 'stomp', 'http'])(
  'a device over %s, on a link that is cut again and again',
  (protocol) => {
    test('has each message stored once, in order', async () => {
      const deviceId = `cut-${protocol}`;
      const { token } = (await hub.api('POST', '/api/v1/devices', { id: deviceId })).body;
      const link = await BadLink.open({ url: hub.wsUrl, cuts: CUTS, random: new Random(7, protocol) });
      const client = connect({ url: link.url, protocol, deviceId, token, reconnect: { baseMs: 5, capMs: 20 } });
      const faults: string[] = [];
      client.on('fault', ({ text }) => faults.push(text));
      const stored: number[] = [];
      client.on('stored', ({ message }) => stored.push((message as DataMessage).readings[0]!.value as number));
      const sendings: Promise<void>[] = [];
      for (let n = 0; n < MESSAGES; n++) {
        sendings.push(client.send({ n }));
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      const healing = setTimeout(() => link.heal(), 10_000);
      await Promise.all(sendings);
      clearTimeout(healing);
      link.heal();
      await client.close();
      expect(link.figures.cuts).toBeGreaterThan(5);
      expect(client.figures.connections).toBeGreaterThan(2);
      expect(faults).toEqual([]);
      expect(stored).toEqual(Array.from({ length: MESSAGES }, (_, n) => n));
      expect(await logged(deviceId)).toEqual(new Array(MESSAGES).fill(1));
      expect((await hub.api('GET', `/api/v1/devices/${deviceId}/gaps`)).body.items).toEqual([]);
      await link.close();
    }, 60_000);
  },
);
