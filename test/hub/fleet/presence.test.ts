import { describe, expect, it } from 'vitest';
import { presenceTopic } from '#hub/fleet/presence.js';
import { fleetParts, ticks } from '#test/support/hub-parts.js';

describe('presence', () => {
  it('has an epoch that rises with every connection and is on disk before the connection counts', async () => {
    const { presence, store } = await fleetParts();
    store.hold();
    const opening = presence.open('d', 'mqtt', '127.0.0.1', 'c');
    await ticks();
    expect(presence.of('d').online).toBe(false);
    store.release();
    const epoch = await opening;
    presence.begin('d', epoch, 'mqtt');
    expect(presence.of('d')).toMatchObject({ online: true, epoch: 1, protocol: 'mqtt' });
    expect(await presence.open('d', 'stomp', '127.0.0.1', 'c')).toBe(2);
  });

  it('the end of an older epoch, told late, changes nothing', async () => {
    const { presence, store } = await fleetParts();
    const first = await presence.open('d', 'mqtt', 'a', 'c');
    presence.begin('d', first, 'mqtt');
    const second = await presence.open('d', 'cbor', 'a', 'c');
    presence.begin('d', second, 'cbor');
    presence.end('d', first, 'connection_lost', '');
    expect(presence.of('d')).toMatchObject({ online: true, epoch: second, protocol: 'cbor' });
    expect(presence.counts()).toEqual({ online: 1, onlineByProtocol: { mqtt: 0, cbor: 1 } });
    await ticks();
    const { items } = await store.read.connections('d', { limit: 9, after: null });
    expect(items.map((row) => [row.epoch, row.reason])).toEqual([
      [2, null],
      [1, 'taken_over'],
    ]);
  });

  it('an epoch that comes after a newer one does not count', async () => {
    const { presence } = await fleetParts();
    const [older, newer] = await Promise.all([
      presence.open('d', 'mqtt', 'a', 'c'),
      presence.open('d', 'mqtt', 'a', 'c'),
    ]);
    presence.begin('d', newer, 'mqtt');
    presence.begin('d', older, 'stomp');
    expect(presence.of('d')).toMatchObject({ epoch: newer, protocol: 'mqtt' });
  });

  it('an epoch that was over before it counted is never shown online, and ends what was before it', async () => {
    const { presence, store } = await fleetParts();
    const told: boolean[] = [];
    presence.onChange((_device, view) => void told.push(view?.online ?? false));
    presence.begin('d', await presence.open('d', 'mqtt', 'a', 'c'), 'mqtt');
    presence.passed('d', await presence.open('d', 'cbor', 'a', 'c'), 'cbor', 'connection_lost');
    expect(presence.of('d')).toMatchObject({ online: false, epoch: 2, protocol: 'cbor', reason: 'connection_lost' });
    expect(presence.counts()).toEqual({ online: 0, onlineByProtocol: { mqtt: 0 } });
    presence.passed('d', 1, 'mqtt', 'client_closed');
    expect(presence.of('d')).toMatchObject({ epoch: 2 });
    expect(told).toEqual([true, false]);
    await ticks();
    const { items } = await store.read.connections('d', { limit: 9, after: null });
    expect(items.map((row) => [row.epoch, row.reason])).toEqual([
      [2, 'connection_lost'],
      [1, 'taken_over'],
    ]);
    presence.passed('gone', await presence.open('gone', 'cbor', 'a', 'c'), 'cbor', 'device_deleted');
    expect(presence.of('gone').epoch).toBe(0);
  });

  it('says why and by whom a device went, and tells each change once', async () => {
    const { presence } = await fleetParts();
    const told: boolean[] = [];
    presence.onChange((_device, view) => void told.push(view?.online ?? false));
    const epoch = await presence.open('d', 'mqtt', 'a', 'c');
    presence.begin('d', epoch, 'mqtt');
    presence.end('d', epoch, 'ping_timeout', '');
    presence.end('d', epoch, 'client_closed', '');
    expect(presence.of('d')).toMatchObject({ online: false, reason: 'ping_timeout', initiator: 'hub' });
    expect(told).toEqual([true, false]);
  });

  it('finds after a crash that those who were online are offline', async () => {
    const { presence, telemetry, store, clock, devices } = await fleetParts();
    await devices.create({ id: 'd' });
    presence.begin('d', await presence.open('d', 'mqtt', 'a', 'c'), 'mqtt');
    const timeUs = clock.now() * 1000;
    const recovered = await telemetry.write({ op: 'connection.recover', reason: 'hub_crashed', timeUs });
    expect(recovered).toMatchObject({ ok: true, closed: ['d'] });
    presence.restore(await store.read.startState());
    expect(presence.of('d')).toMatchObject({ online: false, reason: 'hub_crashed', epoch: 1 });
  });

  it('of a deleted device does not come back with a restart, though its connections stay on disk', async () => {
    const { presence, store, devices } = await fleetParts();
    for (const id of ['kept', 'deleted']) {
      await devices.create({ id });
      presence.begin(id, await presence.open(id, 'mqtt', 'a', 'c'), 'mqtt');
      presence.end(id, 1, 'client_disconnect', '');
    }
    await devices.remove('deleted');
    const { presence: restarted } = await fleetParts();
    restarted.restore(await store.read.startState());
    expect(restarted.retained('devices/+/presence').map((m) => m.topic)).toEqual(['devices/kept/presence']);
    // Its epochs go on all the same.
    await devices.create({ id: 'deleted' });
    expect(await presence.open('deleted', 'mqtt', 'a', 'c')).toBe(2);
  });

  it('is retained for whoever subscribes: made from the table, by any filter that matches', async () => {
    const { presence } = await fleetParts();
    for (const device of ['a', 'b']) presence.begin(device, await presence.open(device, 'mqtt', 'x', 'c'), 'mqtt');
    presence.end('b', 1, 'client_disconnect', '');
    const bodies = presence.retained('devices/+/presence').map((m) => JSON.parse(m.payload.toString()));
    expect(bodies).toMatchObject([
      { device: 'a', online: true, epoch: 1 },
      { device: 'b', online: false, reason: 'client_disconnect', initiator: 'device' },
    ]);
    for (const filter of ['devices/#', 'devices/+/+', 'devices/a/#', 'devices/a/+', presenceTopic('a')]) {
      expect(
        presence.retained(filter).map((m) => m.topic),
        filter,
      ).toContain('devices/a/presence');
    }
    for (const filter of [
      '#',
      '+/+/+',
      '+/+/presence',
      'devices/+',
      'devices/+/telemetry',
      'x/#',
      'devices/c/presence',
    ]) {
      expect(presence.retained(filter), filter).toEqual([]);
    }
  });
});
