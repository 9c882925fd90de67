import { beforeEach, describe, expect, it } from 'vitest';
import { fleetParts, ticks } from '../../support/hub-parts.ts';
import { Identity } from '#hub/fleet/identity.js';
import type { TokenInput } from '#hub/fleet/port.js';
import { TokenDesk } from '#hub/fleet/token-desk.js';
import { mintToken, TokenBook } from '#hub/fleet/tokens.js';

type Parts = Awaited<ReturnType<typeof fleetParts>>;
const RULES = { publish: ['home/+/set'], subscribe: ['home/#'] };

let parts: Parts;
let desk: TokenDesk;
let ended: string[];

beforeEach(async () => {
  parts = await fleetParts();
  ended = [];
  desk = new TokenDesk(parts.telemetry, parts.tokens, parts.clock);
  desk.onRevoked = (keyIds) => void ended.push(...keyIds);
});

describe('tokens of programs', () => {
  it('are shown once, listed without their secret, and there again after a restart', async () => {
    const api = await desk.create({ kind: 'api', label: 'ci', scopes: ['commands', 'read', 'read'] }, 'ann');
    const app = await desk.create({ kind: 'application', label: 'Home “é”', topics: RULES, ttlMs: 5000 }, null);
    expect(api.token).toMatch(new RegExp(`^mst_${api.keyId}_`));
    expect(api.row).toEqual({
      ...{ keyId: api.keyId, kind: 'api', label: 'ci', scopes: ['read', 'commands'], topics: null },
      ...{ createdMs: parts.clock.now(), expiresMs: null, createdBy: 'ann' },
    });
    expect(app.row).toMatchObject({ topics: RULES, expiresMs: parts.clock.now() + 5000, createdBy: null });
    const list = desk.list();
    expect(list.map(({ keyId }) => keyId)).toEqual([api.keyId, app.keyId].sort());
    expect(JSON.stringify(list)).not.toContain(api.token.slice(`mst_${api.keyId}_`.length));

    const tokens = new TokenBook(parts.clock);
    for (const row of (await parts.store.read.startState()).tokens) tokens.add(row);
    const again = new TokenDesk(parts.telemetry, tokens, parts.clock);
    expect(again.list()).toEqual(list);
    expect(again.verifyApi(api.token)).toMatchObject({ kind: 'token', label: 'ci', scopes: ['read', 'commands'] });
    expect(again.get(app.keyId)).toEqual(app.row);
  });

  it('for the API name a caller with their scopes, or all; others name none', async () => {
    const { token } = await desk.create({ kind: 'api', label: 'all' }, null);
    expect(desk.verifyApi(token)).toMatchObject({ label: 'all', scopes: ['read', 'commands', 'devices', 'admin'] });
    const application = await desk.create({ kind: 'application', label: 'app' }, null);
    const device = await parts.devices.create({ id: 'd' });
    expect(desk.verifyApi(application.token)).toBeNull();
    expect(desk.verifyApi(device.token)).toBeNull();
    expect(desk.verifyApi(`${token.slice(0, -1)}${token.endsWith('A') ? 'B' : 'A'}`)).toBeNull();
    expect(desk.verifyApi('')).toBeNull();
    // One from before labels were kept: the first of a hub that was updated.
    const old = mintToken('api', 'bootstrap', 1);
    parts.tokens.add(old.row);
    expect(desk.verifyApi(old.token)).toMatchObject({
      label: 'bootstrap',
      scopes: ['read', 'commands', 'devices', 'admin'],
    });
  });

  it('are revoked once, on disk, and whoever uses them is told of', async () => {
    const { keyId, token } = await desk.create({ kind: 'api', label: 'ci' }, null);
    await desk.revoke(keyId);
    expect(desk.verifyApi(token)).toBeNull();
    expect(ended).toEqual([keyId]);
    expect((await parts.store.read.startState()).tokens).toEqual([]);
    await expect(desk.revoke(keyId)).rejects.toMatchObject({ code: 'not_found' });
  });

  it("leave devices' tokens to the devices", async () => {
    const { keyId } = await parts.devices.create({ id: 'd' }).then(() => parts.devices.issueToken('d'));
    expect(desk.list()).toEqual([]);
    expect(desk.get(keyId)).toBeUndefined();
    await expect(desk.revoke(keyId)).rejects.toMatchObject({ code: 'not_found' });
  });

  it.each<[string, TokenInput]>([
    ['no label', { kind: 'api', label: '' }],
    ['a long label', { kind: 'api', label: 'x'.repeat(65) }],
    ['spaces at the end', { kind: 'api', label: 'x ' }],
    ['a control character', { kind: 'api', label: 'a\u0007b' }],
    ['half a character', { kind: 'api', label: 'a\ud800' }],
    ['a name of anonymous clients', { kind: 'application', label: 'anonymous' }],
    ['a number of anonymous clients', { kind: 'application', label: 'anonymous-3' }],
    ['no scopes', { kind: 'api', label: 'x', scopes: [] }],
    ['topics for the API', { kind: 'api', label: 'x', topics: RULES }],
    ['scopes for an application', { kind: 'application', label: 'x', scopes: ['read'] }],
    ['a filter that is none', { kind: 'application', label: 'x', topics: { publish: ['a#'], subscribe: [] } }],
    ['no time', { kind: 'api', label: 'x', ttlMs: 0 }],
    ['all time', { kind: 'api', label: 'x', ttlMs: Infinity }],
    ['no number', { kind: 'api', label: 'x', ttlMs: NaN }],
  ])('are refused with %s', async (_, input) => {
    await expect(desk.create(input, null)).rejects.toMatchObject({ code: 'invalid' });
    expect(desk.list()).toEqual([]);
  });

  it('may be called what people like, up to 64 characters', async () => {
    for (const label of ['x'.repeat(64), 'Grüße 🏠', 'anonymous-watcher']) {
      expect((await desk.create({ kind: 'application', label }, null)).row.label).toBe(label);
    }
  });

  it('are refused at once while the store cannot write', async () => {
    parts.store.failNext('full');
    void parts.telemetry.write({ op: 'token.delete', keyId: 'x' });
    await ticks();
    await expect(desk.create({ kind: 'api', label: 'x' }, null)).rejects.toMatchObject({ code: 'unavailable' });
    expect(desk.list()).toEqual([]);
  });
});

describe('a token that expires', () => {
  it('is worth nothing from that moment on, and its connections end then', async () => {
    const first = await desk.create({ kind: 'api', label: 'first', ttlMs: 5000 }, null);
    const second = await desk.create({ kind: 'api', label: 'second', ttlMs: 9000 }, null);
    await desk.create({ kind: 'api', label: 'for ever' }, null);
    parts.clock.advance(4999);
    expect(desk.verifyApi(first.token)).not.toBeNull();
    expect(ended).toEqual([]);
    parts.clock.advance(1);
    expect(desk.verifyApi(first.token)).toBeNull();
    expect(parts.tokens.knows(first.keyId)).toBe(false);
    expect(ended).toEqual([first.keyId]);
    parts.clock.advance(10_000);
    expect(ended).toEqual([first.keyId, second.keyId]);

    expect(desk.list()).toHaveLength(3);
    expect(await desk.removeExpired()).toBe(2);
    expect(desk.list().map(({ label }) => label)).toEqual(['for ever']);
    expect((await parts.store.read.startState()).tokens).toHaveLength(1);
  });

  it('is found in time when the clock is set while the hub waits, and after a restart', async () => {
    const { keyId } = await desk.create({ kind: 'api', label: 'x', ttlMs: 10 * 3_600_000 }, null);
    parts.clock.step(9.5 * 3_600_000);
    parts.clock.advance(3_600_000);
    expect(ended).toEqual([keyId]);

    ended.length = 0;
    const again = new TokenDesk(parts.telemetry, parts.tokens, parts.clock);
    again.onRevoked = (keyIds) => void ended.push(...keyIds);
    again.restore();
    parts.clock.advance(10);
    expect(ended).toEqual([keyId]);
    again.close();
  });

  it('waits no more once the desk is closed', async () => {
    await desk.create({ kind: 'api', label: 'x', ttlMs: 10 }, null);
    desk.close();
    parts.clock.advance(1000);
    expect(ended).toEqual([]);
  });
});

describe('whom the token of a program names to MQTT and STOMP', () => {
  const named = (token: string) => new Identity(parts.tokens, parts.devices, false).ofToken(token);

  it('the application of its label, with its rules', async () => {
    const { token, keyId } = await desk.create({ kind: 'application', label: 'home', topics: RULES }, null);
    const identity = new Identity(parts.tokens, parts.devices, false);
    const principal = { kind: 'application', id: 'home', anonymous: false, keyId } as const;
    expect(identity.ofToken(token)).toEqual({ ok: true, principal });
    expect(identity.rulesOf(principal)).toEqual(RULES);
    expect(identity.stillValid([keyId])).toBe(true);
    await desk.revoke(keyId);
    expect(identity.ofToken(token)).toEqual({ ok: false, reason: 'bad_credentials' });
    expect(identity.rulesOf(principal)).toEqual({ publish: [], subscribe: [] });
    expect(identity.stillValid([keyId])).toBe(false);
  });

  it('an application without rules for one that has none, and for an API token that may do everything', async () => {
    const identity = new Identity(parts.tokens, parts.devices, false);
    for (const input of [
      { kind: 'application', label: 'a' },
      { kind: 'api', label: 'b' },
      { kind: 'api', label: 'c', scopes: ['admin'] },
    ] as const) {
      const { token } = await desk.create(input, null);
      const found = identity.ofToken(token);
      if (!found.ok) throw new Error(found.reason);
      expect(found.principal.id).toBe(input.label);
      expect(identity.rulesOf(found.principal)).toBeNull();
    }
  });

  it('nobody for an API token that may not do everything', async () => {
    const { token } = await desk.create({ kind: 'api', label: 'x', scopes: ['read', 'commands', 'devices'] }, null);
    expect(named(token)).toEqual({ ok: false, reason: 'not_authorized' });
  });
});
