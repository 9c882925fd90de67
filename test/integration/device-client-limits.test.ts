import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connect, type DeviceClient, type DeviceProtocol, type SendError } from '#devices-sim/device/index.js';
import { startTestHub, until, type TestHub } from '#test/support/hub.js';

/** Below what the client takes by itself. */
const MAX_BYTES = 4096;

let hub: TestHub;
beforeAll(async () => {
  hub = await startTestHub({ limitsMaxMessageBytes: MAX_BYTES, limitsMaxUnidentifiedBytes: MAX_BYTES });
});
afterAll(() => hub.close());

describe.each<DeviceProtocol>(['cbor', 'mqtt', 'stomp', 'http'])('at a hub that takes little, over %s', (protocol) => {
  async function device(onCommand?: () => unknown): Promise<{ id: string; client: DeviceClient }> {
    const id = `small-${protocol}-${onCommand === undefined ? 'sends' : 'answers'}`;
    const { body } = await hub.api('POST', '/api/v1/devices', { id });
    const client = connect({
      url: hub.wsUrl,
      protocol,
      deviceId: id,
      token: body.token,
      reconnect: { baseMs: 20, capMs: 50 },
      ...(onCommand === undefined ? {} : { onCommand }),
    });
    return { id, client };
  }

  test('a message that is too large is refused once; those around it are stored once', async () => {
    const { id, client } = await device();
    const sendings = Array.from({ length: 9 }, (_, n) =>
      n === 4 ? client.event('log', 'x'.repeat(MAX_BYTES)) : client.send({ n }),
    );
    const outcomes = await Promise.all(
      sendings.map((sending) =>
        sending.then(
          () => 'stored',
          (error: unknown) => (error as SendError).code,
        ),
      ),
    );
    expect(outcomes).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8].map((n) => (n === 4 ? 'too_large' : 'stored')));
    const { body } = await hub.api('GET', `/api/v1/devices/${id}/readings`);
    expect(body.items.map(({ value }: { value: number }) => value).sort()).toEqual([0, 1, 2, 3, 5, 6, 7, 8]);
    expect(await client.close()).toBe(0);
  });

  test.each([
    ['too large', 'x'.repeat(2 * MAX_BYTES), /too_large|larger than the hub takes/],
    ['nested too deep', [[[[[[[[[[1]]]]]]]]]], /too_deep/],
  ])('an answer that is %s is replaced by word of that, and the device goes on', async (_, value, error) => {
    const { id, client } = await device(() => value);
    const { body } = await hub.api('POST', `/api/v1/devices/${id}/commands`, { name: 'dump', params: {} });
    const command = async (): Promise<any> =>
      (await hub.api('GET', `/api/v1/commands/${body.command.id}`)).body.command;
    await until('answered', async () => (await command()).state === 'succeeded');
    expect(JSON.stringify(await command())).toMatch(error);
    await client.send({ after: 1 });
    expect(await client.close()).toBe(0);
    await hub.api('DELETE', `/api/v1/devices/${id}`);
  });
});
