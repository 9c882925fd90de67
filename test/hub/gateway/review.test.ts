import mqtt, { type MqttClient } from 'mqtt';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { startTestHub, until, type TestHub } from '../../support/hub.ts';

let hub: TestHub;
let token: string;
const clients: MqttClient[] = [];

beforeAll(async () => {
  hub = await startTestHub();
});
afterAll(() => hub.close());
afterEach(async () => {
  for (const client of clients.splice(0)) await client.endAsync(true);
  await hub.api('DELETE', '/api/v1/devices/d');
});

async function connect(password: string, how: 'header' | 'connect' = 'connect'): Promise<MqttClient> {
  const client = mqtt.connect(hub.wsUrl, {
    clientId: 'd',
    reconnectPeriod: 0,
    protocolVersion: 4,
    ...(how === 'connect'
      ? { username: 'd', password }
      : { wsOptions: { headers: { authorization: `Bearer ${password}` } } }),
  });
  clients.push(client);
  client.on('error', () => undefined);
  await new Promise<void>((resolve, reject) => {
    client.once('connect', () => resolve());
    client.once('close', () => reject(new Error('refused')));
  });
  return client;
}

async function create(): Promise<void> {
  token = (await hub.api('POST', '/api/v1/devices', { id: 'd' })).body.token;
}

const presence = async () => (await hub.api('GET', '/api/v1/devices/d')).body.presence;
const offline = () => until('it is offline', async () => !(await presence()).online);

describe('a connected device', () => {
  it.each(['header', 'connect'] as const)('goes with the token that it showed (%s), not with another', async (how) => {
    await create();
    const other = (await hub.api('POST', '/api/v1/devices/d/tokens')).body;
    await connect(token, how);
    await hub.api('DELETE', `/api/v1/devices/d/tokens/${other.keyId}`);
    expect(await presence()).toMatchObject({ online: true });
    await hub.api('DELETE', `/api/v1/devices/d/tokens/${token.split('_')[1]}`);
    await offline();
    expect(await presence()).toMatchObject({ reason: 'bad_credentials', initiator: 'hub' });
    await expect(connect(token, how)).rejects.toThrow();
  });

  it('goes when its policy does not allow its protocol any more, not when it still does', async () => {
    await create();
    await connect(token);
    expect((await hub.api('PATCH', '/api/v1/devices/d', { protocols: ['mqtt', 'cbor'] })).status).toBe(200);
    expect(await presence()).toMatchObject({ online: true });
    await hub.api('PATCH', '/api/v1/devices/d', { protocols: ['cbor'] });
    await offline();
    expect(await presence()).toMatchObject({ reason: 'protocol_not_allowed' });
  });
});
