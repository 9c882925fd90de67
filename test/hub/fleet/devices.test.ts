import { describe, expect, it } from 'vitest';
import { Identity } from '#hub/fleet/identity.js';
import { fleetParts } from '#test/support/hub-parts.js';

const DEVICE = { kind: 'device', id: 'd', anonymous: false } as const;

describe('devices', () => {
  it('are created once, with a token that names them', async () => {
    const { devices, tokens, store } = await fleetParts();
    const { device, token } = await devices.create({ id: 'd', name: 'Pump', protocols: ['mqtt'] });
    expect(device).toMatchObject({ id: 'd', name: 'Pump', protocols: ['mqtt'], presence: { online: false, epoch: 0 } });
    expect(tokens.verify(token)).toMatchObject({ kind: 'device', subject: 'd' });
    await expect(devices.create({ id: 'd' })).rejects.toMatchObject({ code: 'exists' });
    const state = await store.read.startState();
    expect(state.devices.map((row) => row.id)).toEqual(['d']);
    // The secret itself is nowhere on disk.
    expect(JSON.stringify(state.tokens)).not.toContain(token.slice('mst_0123456789abcdef_'.length));
  });

  it('two creations at once make one device', async () => {
    const { devices } = await fleetParts();
    const results = await Promise.allSettled([devices.create({ id: 'd' }), devices.create({ id: 'd' })]);
    expect(results.map((r) => r.status).sort()).toEqual(['fulfilled', 'rejected']);
  });

  it('have ids that fit a topic and a URL', async () => {
    const { devices } = await fleetParts();
    for (const id of ['', 'me', '.', '..', 'a/b', 'a b', 'ä', '+', '#', 'x'.repeat(129)]) {
      await expect(devices.create({ id }), id).rejects.toMatchObject({ code: 'invalid' });
    }
    await devices.create({ id: 'A-z_0.9:x' });
    await devices.create({ id: 'x'.repeat(128) });
  });

  it('are at most so many, registered by themselves at most so many', async () => {
    const { devices } = await fleetParts({ maxDevices: 3, maxAnonymousDevices: 2 });
    expect(await Promise.all(['a', 'a', 'b'].map((id) => devices.register(id)))).toEqual([true, true, true]);
    expect(await devices.register('c')).toBe(false);
    await devices.create({ id: 'd' });
    await expect(devices.create({ id: 'e' })).rejects.toMatchObject({ code: 'limit' });
    expect(await devices.register('a')).toBe(true);
  });

  it('are listed by id in pages, filtered by prefix and presence', async () => {
    const { devices, presence } = await fleetParts();
    for (const id of ['b2', 'a1', 'b1', 'c', 'b3']) await devices.create({ id });
    presence.begin('b2', 1, 'mqtt');
    const page = devices.list({ after: null, limit: 2 });
    expect(page).toMatchObject({ items: [{ id: 'a1' }, { id: 'b1' }], next: 'b1' });
    expect(devices.list({ after: page.next, limit: 9 }).items.map((d) => d.id)).toEqual(['b2', 'b3', 'c']);
    expect(devices.list({ after: null, limit: 9, prefix: 'b' }).items.map((d) => d.id)).toEqual(['b1', 'b2', 'b3']);
    expect(devices.list({ after: 'b2', limit: 9, prefix: 'b' })).toMatchObject({ items: [{ id: 'b3' }], next: null });
    expect(devices.list({ after: null, limit: 9, online: true }).items.map((d) => d.id)).toEqual(['b2']);
  });

  it('when removed, lose tokens and connection, and are gone after a restart', async () => {
    const { devices, tokens, store } = await fleetParts();
    const { token } = await devices.create({ id: 'd' });
    const gone: string[] = [];
    devices.onGone = (id, why) => void gone.push(`${id} ${why}`);
    await devices.update('d', { disabled: true, name: null });
    await devices.remove('d');
    expect(gone).toEqual(['d device_disabled', 'd device_deleted']);
    expect(tokens.verify(token)).toBeNull();
    expect(devices.get('d')).toBeUndefined();
    await expect(devices.remove('d')).rejects.toMatchObject({ code: 'not_found' });
    expect((await store.read.startState()).devices).toEqual([]);
  });

  it('tell when a policy or a token was taken away, so that the connection is looked at anew', async () => {
    const { devices } = await fleetParts();
    await devices.create({ id: 'd' });
    const { keyId } = await devices.issueToken('d');
    const changed: string[] = [];
    devices.onChange = (id) => void changed.push(`${id} ${devices.tokens('d').length}`);
    await devices.update('d', { name: 'Pump' });
    expect(changed).toEqual([]);
    await devices.update('d', { protocols: ['cbor'] });
    await devices.revokeToken('d', keyId);
    expect(changed).toEqual(['d 2', 'd 1']);
  });

  it('may have several tokens, revoked one by one', async () => {
    const { devices, tokens } = await fleetParts();
    const first = (await devices.create({ id: 'd' })).token;
    const second = await devices.issueToken('d');
    expect(devices.tokens('d')).toHaveLength(2);
    await devices.revokeToken('d', second.keyId);
    expect(tokens.verify(second.token)).toBeNull();
    expect(tokens.verify(first)).not.toBeNull();
    await expect(devices.revokeToken('d', second.keyId)).rejects.toMatchObject({ code: 'not_found' });
  });
});

describe('identity', () => {
  async function identity(allowAnonymous = false) {
    const parts = await fleetParts();
    const { token } = await parts.devices.create({ id: 'd', protocols: ['mqtt'] });
    const other = (await parts.devices.create({ id: 'e' })).token;
    return { ...parts, token, other, who: new Identity(parts.tokens, parts.devices, allowAnonymous) };
  }
  const login = (username: string | null, password: string | null) => ({ username, password });

  it('is the token, in the password or alone in the user name; the user name beside it is a label', async () => {
    const { who, token } = await identity();
    for (const shown of [login('anything', token), login(null, token), login(token, null), login(token, '')]) {
      expect(who.resolve(null, shown, 'other-client-id')).toEqual({ ok: true, principal: DEVICE });
    }
    expect(who.resolve(DEVICE, null, 'x')).toEqual({ ok: true, principal: DEVICE });
  });

  it('is refused when wrong, missing, contradicting or of a disabled device', async () => {
    const { who, token, other, devices } = await identity();
    const reason = (...args: Parameters<typeof who.resolve>) => {
      const named = who.resolve(...args);
      return named.ok ? 'ok' : named.reason;
    };
    expect(reason(null, null, 'd')).toBe('credentials_required');
    expect(reason(null, login('d', ''), 'd')).toBe('credentials_required');
    expect(reason(null, login('d', 'wrong'), 'd')).toBe('bad_credentials');
    expect(reason(null, login('d', token.slice(0, -1) + (token.endsWith('A') ? 'B' : 'A')), null)).toBe(
      'bad_credentials',
    );
    expect(reason(DEVICE, login(null, other), null)).toBe('credentials_contradict');
    expect(reason(null, login(token, other), null)).toBe('credentials_contradict');
    expect(reason(DEVICE, login(null, token), null)).toBe('ok');
    await devices.update('d', { disabled: true });
    expect(reason(null, login(null, token), null)).toBe('device_disabled');
  });

  it('in anonymous mode is the client id if that is a device id, else an application; a wrong token is still refused', async () => {
    const { who } = await identity(true);
    const of = (clientId: string | null) => {
      const named = who.resolve(null, null, clientId);
      return named.ok ? `${named.principal.kind} ${named.principal.id}` : named.reason;
    };
    expect(of('pump-1')).toBe('device pump-1');
    expect(of('not a device id')).toBe('application anonymous');
    // Registered with a token: its name alone is not enough.
    expect(of('d')).toBe('credentials_required');
    expect(of(null)).toBe('application anonymous-1');
    expect(of(null)).toBe('application anonymous-2');
    expect(who.resolve(null, login(null, 'wrong'), 'pump-1')).toEqual({ ok: false, reason: 'bad_credentials' });
  });

  it('knows the policy of a device', async () => {
    const { who } = await identity();
    expect(who.allows(DEVICE, 'mqtt')).toBe(true);
    expect(who.allows(DEVICE, 'stomp')).toBe(false);
    expect(who.allows({ ...DEVICE, id: 'e' }, 'stomp')).toBe(true);
  });
});
