import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { startTestHub, type TestHub } from '../../support/hub.ts';
import { oneHub, overEveryWire } from './wires.ts';

oneHub();

overEveryWire((mqtt) => {
  it('packets need not begin where messages or segments do [3.1.1: 6.0.0-2] [5.0: 6.0.0-2]', async () => {
    const topic = mqtt.own('t');
    const client = await mqtt.connect();
    await client.subscribe(topic, 0);
    const all = Array.from({ length: 23 }, (_, i) => String(i));
    for (const payload of all) client.sendPublish(topic, payload);
    expect(await client.texts(23)).toEqual(all);
  });

  if (mqtt.wire.transport !== 'WebSocket') return;
  it('a text message closes [3.1.1: 6.0.0-1] [5.0: 6.0.0-1]', async () => {
    const { raw } = await mqtt.connect();
    raw.sendText('\u00c0\u0000');
    expect(await raw.closed()).toMatchObject(mqtt.level === 5 ? [{ cmd: 'disconnect', reasonCode: 0x81 }] : []);
  });
});

describe('the handshake', () => {
  let hub: TestHub;
  beforeAll(async () => {
    hub = await startTestHub({ allowAnonymous: true });
  });
  afterAll(() => hub.close());

  it.each([[['mqtt']], [['foo', 'mqtt']], [['mqtt', 'v12.stomp']]])(
    'answers an offer of %j with mqtt [3.1.1: 6.0.0-4] [5.0: 6.0.0-4]',
    async (offered) => {
      const socket = new WebSocket(`${hub.wsUrl}/mqtt`, offered);
      await new Promise((resolve, reject) => {
        socket.once('open', resolve);
        socket.once('error', reject);
      });
      expect(socket.protocol).toBe('mqtt');
      socket.terminate();
    },
  );

  it('without mqtt in the offer is refused [3.1.1: 6.0.0-3] [5.0: 6.0.0-3]', async () => {
    const socket = new WebSocket(`${hub.wsUrl}/mqtt`, ['foo']);
    const refusal = await new Promise((resolve) => socket.once('error', resolve));
    expect(String(refusal)).toContain('400');
  });
});
