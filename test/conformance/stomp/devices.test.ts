import { expect, it } from 'vitest';
import { exported, latest, rejected, statesOf } from '../../integration/clients/hub-view.ts';
import { until } from '../../support/hub.ts';
import type { Headers } from './frames.ts';
import { oneHub, overEveryTransport, overEveryWire, type Client, type Stomp } from './wires.ts';

oneHub();

/** Sends a command through the API; its id. */
async function ordered(stomp: Stomp, device: string, name: string, params: unknown = null): Promise<string> {
  const { body } = await stomp.hub.api('POST', `/api/v1/devices/${device}/commands`, { name, params });
  return body.id ?? body.command.id;
}

async function stateOf(stomp: Stomp, id: string): Promise<string> {
  const { body } = await stomp.hub.api('GET', `/api/v1/commands/${id}`);
  return body.state ?? body.command.state;
}

function numbered(device: Client, seq: number, more: Headers = {}): Promise<unknown> {
  return device.send('/devices/me/telemetry', JSON.stringify({ n: seq }), { stream: 's', seq: String(seq), ...more });
}

overEveryWire((stomp) => {
  it('a reading is on disk when its RECEIPT comes [1.2: receipted-1] [own: telemetry-1]', async () => {
    const id = stomp.own('device');
    const device = await stomp.device(id);
    await device.send('/devices/me/telemetry', '{"t":21.5}');
    expect(await latest(stomp.hub, id)).toEqual({ t: 21.5 });
    await device.send(`devices/${id}/telemetry`, '{"t":22,"on":true}', { 'content-type': 'application/json' });
    expect(await latest(stomp.hub, id)).toEqual({ t: 22, on: true });
  });

  it('a payload that cannot be used gets a RECEIPT that says so, and the connection stays [own: telemetry-2]', async () => {
    const id = stomp.own('device');
    const device = await stomp.device(id);
    const receipt = await device.send('/devices/me/telemetry', 'no JSON');
    expect(receipt.headers).toMatchObject({ 'muster-status': 'rejected', 'muster-reason': 'malformed_payload' });
    expect((await rejected(stomp.hub, id)).map(({ code, payload }) => [code, payload.text])).toEqual([
      ['malformed_payload', 'no JSON'],
    ]);
    const fine = await device.send('/devices/me/telemetry', '{"n":1}');
    expect(fine.headers['muster-status']).toBeUndefined();
  });

  it('a numbered reading is stored once, however often it is sent, also on the next connection [own: sequence-1]', async () => {
    const id = stomp.own('device');
    const first = await stomp.device(id);
    for (const seq of [1, 2, 2, 1, 3]) await numbered(first, seq);
    await first.raw.cut();
    const second = await stomp.device(id);
    for (const seq of [2, 3, 4]) await numbered(second, seq);
    expect((await exported(stomp.hub, id)).map(({ value }) => value)).toEqual([1, 2, 3, 4]);
  });

  it('a number that was skipped is an ERROR that names the one to go on with, and nothing is stored [own: sequence-2]', async () => {
    const id = stomp.own('device');
    const device = await stomp.device(id);
    await numbered(device, 1);
    device.sends('/devices/me/telemetry', '{"n":3}', { stream: 's', seq: '3', receipt: 'r' });
    const error = await device.raw.refused();
    expect(error.headers).toMatchObject({ message: 'sequence_gap', 'muster-expected': '2', 'receipt-id': 'r' });
    const next = await stomp.device(id);
    await numbered(next, 2);
    expect((await exported(stomp.hub, id)).map(({ value }) => value)).toEqual([1, 2]);
  });
});

overEveryTransport((stomp) => {
  it.each(['0', '-1', '1.5', 'one', '9007199254740993', ' '])(
    'seq %j names no place: a rejected message [own: sequence-3]',
    async (seq) => {
      const device = await stomp.device(stomp.own('device'));
      const receipt = await device.send('/devices/me/telemetry', '{"n":1}', { stream: 's', seq });
      expect(receipt.headers).toMatchObject({ 'muster-status': 'rejected', 'muster-reason': 'malformed_payload' });
    },
  );

  it('a seq that repeats what was rejected is acknowledged, and the numbers go on', async () => {
    const id = stomp.own('device');
    const device = await stomp.device(id);
    const headers = { stream: 's', seq: '1' };
    const receipt = await device.send('/devices/me/telemetry', 'no JSON', headers);
    expect(receipt.headers['muster-status']).toBe('rejected');
    await device.send('/devices/me/telemetry', '{"n":1}', headers);
    await numbered(device, 2);
    expect((await exported(stomp.hub, id)).map(({ value }) => value)).toEqual([2]);
  });

  it('an event is stored, with its name and content type, and comes to who subscribed', async () => {
    const id = stomp.own('device');
    const listener = await stomp.connect();
    await listener.subscribe(`/devices/${id}/events/>`);
    const device = await stomp.device(id);
    await device.send('/devices/me/events/door', 'ajar', { 'content-type': 'text/plain', stream: 's', seq: '1' });
    await device.send('/devices/me/events/door', 'ajar', { 'content-type': 'text/plain', stream: 's', seq: '1' });
    const message = await listener.message();
    expect(message.headers).toMatchObject({ destination: `/devices/${id}/events/door`, 'content-type': 'text/plain' });
    await listener.raw.nothing();
    const { body } = await stomp.hub.api('GET', `/api/v1/devices/${id}/events`);
    expect(body.items).toMatchObject([{ name: 'door', contentType: 'text/plain', payload: { text: 'ajar' } }]);
  });

  it('readings come to who subscribed, after their commit, and rejected ones to nobody', async () => {
    const id = stomp.own('device');
    const listener = await stomp.connect();
    await listener.subscribe(`/devices/${id}/telemetry`);
    const device = await stomp.device(id);
    await device.send('/devices/me/telemetry', 'no JSON');
    await device.send('/devices/me/telemetry', '{"n":1}');
    const message = await listener.message();
    expect(message.headers['destination']).toBe(`/devices/${id}/telemetry`);
    expect(JSON.parse(message.body.toString())).toMatchObject({ n: 1 });
    await listener.raw.nothing();
  });

  it('a command comes by a subscription that matches it; ACK is received, the result ends it [own: command-1, command-2]', async () => {
    const id = stomp.own('device');
    const device = await stomp.device(id);
    const command = await ordered(stomp, id, 'blink', { times: 3 });
    await device.raw.nothing();
    device.raw.frame('SUBSCRIBE', { destination: '/devices/me/commands/>', id: 'c', ack: 'client-individual' });
    const message = await device.message();
    expect(message.headers).toMatchObject({
      subscription: 'c',
      destination: `/devices/me/commands/${command}/blink`,
      'command-id': command,
      'command-name': 'blink',
      'content-type': 'application/json',
    });
    expect(Number(message.headers['deadline'])).toBeGreaterThan(Date.now());
    expect(JSON.parse(message.body.toString())).toEqual({ times: 3 });
    await until('the state sent', async () => (await stateOf(stomp, command)) === 'sent');
    await device.ack(message);
    expect(await stateOf(stomp, command)).toBe('received');
    await device.send(`/devices/me/commands/${command}/result`, '{"status":"succeeded","value":7}');
    expect(await stateOf(stomp, command)).toBe('succeeded');
    expect(await statesOf(stomp.hub, command)).toEqual(['queued', 'sent', 'received', 'succeeded']);
  });

  it('with auto a command stays sent until its result [own: command-2]', async () => {
    const id = stomp.own('device');
    const device = await stomp.device(id);
    await device.subscribe('/devices/me/commands/*/*');
    const command = await ordered(stomp, id, 'blink');
    await device.message();
    await until('the state sent', async () => (await stateOf(stomp, command)) === 'sent');
    await device.raw.nothing();
    expect(await stateOf(stomp, command)).toBe('sent');
  });

  it('a command that was not acknowledged comes again on the next connection, and not twice on one [own: command-1]', async () => {
    const id = stomp.own('device');
    const first = await stomp.device(id);
    await first.subscribe('/devices/me/commands/>', 'client-individual');
    const command = await ordered(stomp, id, 'blink');
    expect((await first.message()).headers['command-id']).toBe(command);
    await first.subscribe('/devices/me/commands/+/blink', 'client');
    await first.raw.nothing();
    await first.raw.cut();
    const second = await stomp.device(id);
    second.raw.frame('SUBSCRIBE', { destination: `/devices/${id}/commands/>`, id: 'c', ack: 'client' });
    const again = await second.message();
    expect(again.headers).toMatchObject({
      'command-id': command,
      destination: `/devices/${id}/commands/${command}/blink`,
    });
    await second.ack(again);
    expect(await stateOf(stomp, command)).toBe('received');
  });

  it('unacknowledged messages do not hold up commands [own: command-1]', async () => {
    const id = stomp.own('device');
    const destination = `/topic/${stomp.own('a')}`;
    const device = await stomp.device(id);
    await device.subscribe(destination, 'client', { 'prefetch-count': '1' });
    await device.subscribe('/devices/me/commands/>', 'client');
    const sender = await stomp.connect();
    for (const text of ['1', '2']) await sender.send(destination, text);
    expect((await device.message()).body.toString()).toBe('1');
    const command = await ordered(stomp, id, 'blink');
    expect((await device.message()).headers['command-id']).toBe(command);
  });
});

overEveryTransport(
  (stomp) => {
    it('NACK rejects a command [1.2: nack-1] [own: command-2]', async () => {
      const id = stomp.own('device');
      const device = await stomp.device(id);
      await device.subscribe('/devices/me/commands/>', 'client-individual');
      const command = await ordered(stomp, id, 'explode');
      await device.nack(await device.message());
      expect(await stateOf(stomp, command)).toBe('rejected');
    });
  },
  ['1.1', '1.2'],
);
