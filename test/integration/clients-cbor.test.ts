import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodeEvent, encodeHello, encodeReceived, encodeResult } from '#protocols/cbor/codec.js';
import type { Reading } from '#protocols/reading.js';
import { startTestHub, until, type TestHub } from '../support/hub.ts';
import { cborConnect, cborOpen } from './clients/cbor.ts';
import {
  command,
  connectionNow,
  connectionsOf,
  exported,
  isOnline,
  latest,
  newDevice,
  rejected,
  statesOf,
} from './clients/hub-view.ts';
import { afterThisTest } from './clients/opened.ts';

const START_US = 1_700_000_000_000_000;

/** A reading of the metric `n`, a second apart. */
function reading(n: number): Reading {
  return { metric: 'n', timeUs: START_US + n * 1_000_000, value: n };
}

describe('v1.cbor.muster over ws', () => {
  let hub: TestHub;
  beforeAll(async () => {
    hub = await startTestHub();
  });
  afterAll(() => hub.close());

  const values = async (device: string): Promise<unknown[]> => (await exported(hub, device)).map(({ value }) => value);

  it('HELLO is answered by WELCOME with the time, the seq to go on from and the limits', async () => {
    const token = await newDevice(hub, 'welcomed');
    const before = Date.now();
    const { welcome } = await cborConnect(hub, { stream: 's1', next: 1, token, firmware: '1.2.3' });
    expect(welcome).toMatchObject({ resumeSeq: 1, window: 64, device: 'welcomed', epoch: 1 });
    expect(welcome.timeMs).toBeGreaterThanOrEqual(before);
    expect(await connectionNow(hub, 'welcomed')).toMatchObject({
      subprotocol: 'v1.cbor.muster',
      description: { firmware: '1.2.3' },
    });
  });

  it('DATA is on disk when its ACK comes, with values and times as sent', async () => {
    const { peer } = await cborConnect(hub, { stream: 's1', next: 1, token: await newDevice(hub, 'cbor-data') });
    peer.data(1, [
      { metric: 'temperature', timeUs: START_US + 250_000, value: 21.5 },
      { metric: 'door', timeUs: START_US + 250_000, value: true },
      { metric: 'mode', timeUs: START_US + 1_000_001, value: 'eco' },
    ]);
    await peer.acknowledged(1);
    expect((await exported(hub, 'cbor-data')).map(({ metric, timeUs, value }) => [metric, timeUs, value])).toEqual([
      ['temperature', START_US + 250_000, 21.5],
      ['door', START_US + 250_000, true],
      ['mode', START_US + 1_000_001, 'eco'],
    ]);
    expect(await latest(hub, 'cbor-data')).toEqual({ temperature: 21.5, door: true, mode: 'eco' });
  });

  it('what is sent again after a broken connection is stored once', async () => {
    const token = await newDevice(hub, 'resender');
    const { peer } = await cborConnect(hub, { stream: 'queue', next: 1, token });
    for (let seq = 1; seq <= 50; seq++) peer.data(seq, [reading(seq)]);
    await until('some are acknowledged', () => peer.all('ack').length > 0);
    peer.webSocket.terminate();

    // It heard of nothing, and sends everything again.
    const again = await cborConnect(hub, { stream: 'queue', next: 1, token });
    expect(again.welcome.resumeSeq).toBeGreaterThan(1);
    for (let seq = 1; seq <= 60; seq++) again.peer.data(seq, [reading(seq)]);
    await again.peer.acknowledged(60);
    expect(await values('resender')).toEqual(Array.from({ length: 60 }, (_, i) => i + 1));
  });

  it('a skipped seq is refused with a NACK that names the expected one, and nothing of it is stored', async () => {
    const { peer } = await cborConnect(hub, { stream: 's', next: 1, token: await newDevice(hub, 'skipper') });
    peer.data(1, [reading(1)]);
    peer.data(3, [reading(3)]);
    expect(await peer.take('nack')).toMatchObject({ seq: 3, code: 'gap', expected: 2 });
    peer.data(2, [reading(2)]);
    peer.data(3, [reading(3)]);
    await peer.acknowledged(3);
    expect(await values('skipper')).toEqual([1, 2, 3]);
    expect((await hub.api('GET', '/api/v1/devices/skipper/gaps')).body.items).toEqual([]);
  });

  it('HELLO alone opens a gap, and the gap is on record', async () => {
    const token = await newDevice(hub, 'loser');
    const { peer } = await cborConnect(hub, { stream: 's', next: 1, token });
    peer.data(1, [reading(1)]);
    await peer.acknowledged(1);
    const again = await cborConnect(hub, { stream: 's', next: 5, token });
    expect(again.welcome.resumeSeq).toBe(5);
    again.peer.data(5, [reading(5)]);
    await again.peer.acknowledged(5);
    expect(await values('loser')).toEqual([1, 5]);
    const { body } = await hub.api('GET', '/api/v1/devices/loser/gaps');
    expect(body.items).toMatchObject([{ stream: 's', fromSeq: 2, toSeq: 4 }]);
  });

  it('what cannot be used gets a NACK with the reason, uses up its seq and stands in the rejected list', async () => {
    const { peer } = await cborConnect(hub, { stream: 's', next: 1, token: await newDevice(hub, 'cbor-garbled') });
    peer.data(1, [{ metric: 'future', timeUs: (Date.now() + 3_600_000) * 1000, value: 1 }]);
    expect(await peer.take('nack')).toMatchObject({ seq: 1, code: 'time_in_future', expected: null });
    peer.data(2, [reading(2)]);
    await peer.acknowledged(2);
    expect(await rejected(hub, 'cbor-garbled')).toMatchObject([{ code: 'time_in_future', protocol: 'cbor' }]);
    expect(await values('cbor-garbled')).toEqual([2]);
  });

  it('an event is kept under its seq', async () => {
    const { peer } = await cborConnect(hub, { stream: 's', next: 1, token: await newDevice(hub, 'cbor-events') });
    peer.send(encodeEvent(1, 'door-opened', { by: 'cat' }));
    await peer.acknowledged(1);
    const { body } = await hub.api('GET', '/api/v1/devices/cbor-events/events');
    expect(body.items).toMatchObject([{ name: 'door-opened', payload: { text: '{"by":"cat"}' } }]);
  });

  it('a command goes round: COMMAND, RECEIVED, RESULT', async () => {
    const { peer } = await cborConnect(hub, { stream: 's', next: 1, token: await newDevice(hub, 'cbor-commanded') });
    const waiting = command(hub, 'cbor-commanded', 'add', { a: [1, 2.5, null], b: 'ü' });
    const sent = await peer.take('command');
    expect(sent).toMatchObject({ name: 'add', params: { a: [1, 2.5, null], b: 'ü' } });
    expect(sent.deadlineMs).toBeGreaterThan(Date.now());
    peer.send(encodeReceived(sent.id));
    peer.send(encodeResult(sent.id, 'succeeded', { sum: 42 }));
    expect(await peer.take('done')).toEqual({ type: 'done', commandId: sent.id });
    expect(await waiting).toMatchObject({ id: sent.id, state: 'succeeded', result: { sum: 42 } });
    expect(await statesOf(hub, sent.id)).toEqual(['queued', 'sent', 'received', 'succeeded']);
  });

  it('a RESULT is answered by DONE when it is a repeat too, or too late, and by a NACK when nobody knows its command', async () => {
    const { peer } = await cborConnect(hub, { stream: 's', next: 1, token: await newDevice(hub, 'cbor-repeats') });
    const waiting = command(hub, 'cbor-repeats', 'add', { a: 1 });
    const { id } = await peer.take('command');
    for (const value of [1, 2]) peer.send(encodeResult(id, 'succeeded', value));
    for (let i = 0; i < 2; i++) expect(await peer.take('done')).toEqual({ type: 'done', commandId: id });
    expect(await waiting).toMatchObject({ state: 'succeeded', result: 1 });

    await hub.api('POST', '/api/v1/devices/cbor-repeats/commands', { name: 'slow', ttlMs: 50 });
    const slow = await peer.take('command');
    await until('it has expired', async () => (await statesOf(hub, slow.id)).includes('expired'));
    peer.send(encodeResult(slow.id, 'failed', 'too late'));
    expect(await peer.take('done')).toEqual({ type: 'done', commandId: slow.id });

    peer.send(encodeResult('c-nobody', 'failed', null));
    expect(await peer.take('nack')).toMatchObject({ seq: 0, code: 'unknown_command', commandId: 'c-nobody' });
    // A value that JSON does not have: a byte string.
    peer.send(Buffer.concat([encodeResult(slow.id, 'failed', null).subarray(0, -1), Buffer.from('4101', 'hex')]));
    expect(await peer.take('nack')).toMatchObject({ seq: 0, code: 'value_not_allowed', commandId: slow.id });
    expect(peer.closed).toBeNull();
    expect((await rejected(hub, 'cbor-repeats')).map(({ code }) => code)).toEqual([
      'value_not_allowed',
      'unknown_command',
    ]);
  });

  it('after a restart of the hub the device goes on at the seq that the disk knows', async () => {
    const restarted = await startTestHub();
    afterThisTest(() => restarted.close());
    const token = await newDevice(restarted, 'survivor');
    const { peer } = await cborConnect(restarted, { stream: 'queue', next: 1, token });
    for (let seq = 1; seq <= 20; seq++) peer.data(seq, [reading(seq)]);
    await restarted.restart();
    await until('closed', () => peer.closed !== null);
    // The hub said goodbye after it had acknowledged what was in hand.
    expect(peer.closed!.code).toBe(1001);
    expect(peer.all('error')).toMatchObject([{ code: 'hub_shutdown' }]);
    const acknowledged = peer.all('ack').at(-1)?.seq ?? 0;

    const again = await cborConnect(restarted, { stream: 'queue', next: acknowledged + 1, token });
    expect(again.welcome.resumeSeq).toBe(acknowledged + 1);
    for (let seq = acknowledged + 1; seq <= 25; seq++) again.peer.data(seq, [reading(seq)]);
    await again.peer.acknowledged(25);
    const rows = await exported(restarted, 'survivor');
    expect(rows.map(({ value }) => value)).toEqual(Array.from({ length: 25 }, (_, i) => i + 1));
    const forgetful = await cborConnect(restarted, { stream: 'queue', next: 1, token });
    expect(forgetful.welcome).toMatchObject({ resumeSeq: 26, epoch: 3 });
    expect(await latest(restarted, 'survivor')).toEqual({ n: 25 });
  });

  it('refuses in ERROR who it does not know, and applications, which have no readings of their own', async () => {
    for (const [token, code] of [
      ['mst_0123456789abcdef_wrong', 'bad_credentials'],
      [hub.token, 'not_authorized'],
      [undefined, 'credentials_required'],
    ] as const) {
      const peer = await cborOpen(hub);
      peer.send(encodeHello({ stream: 's', next: 1, ...(token === undefined ? {} : { token }) }));
      expect(await peer.take('error')).toMatchObject({ code });
      await until('closed', () => peer.closed !== null);
    }
  });

  it.each([
    ['garbage', Buffer.from('ff00ff', 'hex'), 'malformed', 1002],
    ['DATA before HELLO', Buffer.from('83010180', 'hex'), 'protocol_error', 1002],
    ['a message past the limit of strangers', Buffer.alloc(70_000), 'too_large', 1009],
  ])('ends a connection over %s with an ERROR and a close code', async (_what, bytes, code, closeCode) => {
    const peer = await cborOpen(hub);
    peer.send(bytes);
    expect(await peer.take('error')).toMatchObject({ code });
    await until('closed', () => peer.closed !== null);
    expect(peer.closed!.code).toBe(closeCode);
  });

  it('a newer connection of the device takes over', async () => {
    const token = await newDevice(hub, 'cbor-twin');
    const { peer } = await cborConnect(hub, { stream: 's', next: 1, token });
    const newer = await cborConnect(hub, { stream: 's', next: 1, token });
    expect(newer.welcome.epoch).toBe(2);
    expect(await peer.take('error')).toMatchObject({ code: 'taken_over' });
    await until('closed', () => peer.closed !== null);
    expect(peer.closed!.code).toBe(4009);
    expect(await isOnline(hub, 'cbor-twin')).toBe(true);
    newer.peer.webSocket.terminate();
    await until('offline', async () => !(await isOnline(hub, 'cbor-twin')));
    await until('the history', async () => (await connectionsOf(hub, 'cbor-twin'))[0]?.reason !== null);
    expect(await connectionsOf(hub, 'cbor-twin')).toMatchObject([
      { epoch: 2, reason: 'connection_lost' },
      { epoch: 1, reason: 'taken_over' },
    ]);
  });
});
