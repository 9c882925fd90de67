import { beforeEach, describe, expect, it } from 'vitest';
import { fleetParts, ticks } from '../../support/hub-parts.ts';
import { csrfOf } from '#hub/fleet/csrf.js';
import { ACCESS_LIMITS } from '#hub/fleet/limits.js';
import { OperatorBook } from '#hub/fleet/operators.js';

const CHEAP = { logN: 4, blockSize: 1, parallelism: 1 };
const HOUR = 3_600_000;
const PASSWORD = 'correct horse';
const ADDRESS = '10.0.0.1';

type Parts = Awaited<ReturnType<typeof fleetParts>>;

let parts: Parts;
let operators: OperatorBook;

async function book({ telemetry, clock, store }: Parts): Promise<OperatorBook> {
  const made = new OperatorBook(telemetry, clock, { signInSessionMs: 12 * HOUR }, CHEAP);
  made.restore(await store.read.startState());
  return made;
}

function codeOf(error: unknown): unknown {
  return (error as { code?: unknown }).code;
}

/** What the hub knows after a start. */
async function restart(): Promise<void> {
  await ticks();
  operators = await book(parts);
}

beforeEach(async () => {
  parts = await fleetParts();
  operators = await book(parts);
});

/** An administrator with a password, so that others can be changed freely. */
async function withAdmin(): Promise<void> {
  await operators.bootstrapLink();
  await operators.setPassword('admin', PASSWORD);
}

const stored = async () => parts.store.read.startState();

describe('the first start', () => {
  it('makes an administrator, whom a one-time link lets in', async () => {
    const link = (await operators.bootstrapLink())!;
    expect(operators.list()).toMatchObject([{ name: 'admin', role: 'admin', hasPassword: false, disabled: false }]);
    const signedIn = await operators.signInByLink(link);
    expect(signedIn.caller).toEqual({
      kind: 'operator',
      name: 'admin',
      role: 'admin',
      scopes: ['read', 'commands', 'devices', 'admin'],
    });
    expect(signedIn.secret).toMatch(/^[A-Za-z0-9_-]{43}$/);
    expect(signedIn.csrf).toBe(csrfOf(signedIn.secret));
    expect(signedIn.expiresMs).toBe(parts.clock.now() + 12 * HOUR);
    expect(operators.session(signedIn.secret)).toEqual(signedIn.caller);
    await expect(operators.signInByLink(link)).rejects.toMatchObject({ code: 'denied' });
  });

  it('gives a new link at each start until somebody can get in', async () => {
    const first = (await operators.bootstrapLink())!;
    await restart();
    const second = (await operators.bootstrapLink())!;
    expect(second).not.toBe(first);
    await expect(operators.signInByLink(first)).rejects.toMatchObject({ code: 'denied' });
    await operators.signInByLink(second);
    await restart();
    expect(await operators.bootstrapLink()).toBeNull();
    // The sign-in ended and no password was set: else nobody could ever get in again.
    parts.clock.advance(12 * HOUR);
    expect(await operators.bootstrapLink()).not.toBeNull();
    await operators.setPassword('admin', PASSWORD);
    await restart();
    expect(await operators.bootstrapLink()).toBeNull();
    expect(operators.list()).toHaveLength(1);
  });

  it('makes nobody where there are operators, and links an administrator of another name', async () => {
    await operators.create({ name: 'viewer', role: 'viewer' });
    await operators.create({ name: 'zoe', role: 'admin' });
    const link = (await operators.bootstrapLink())!;
    expect((await operators.signInByLink(link)).caller).toMatchObject({ name: 'zoe' });
    expect(operators.list().map(({ name }) => name)).toEqual(['viewer', 'zoe']);
  });
});

describe('a link', () => {
  beforeEach(withAdmin);

  it('is good for a day, replaces the one before, and ends with a password', async () => {
    await operators.create({ name: 'ann', role: 'viewer' });
    const [old, link] = [await operators.issueLink('ann'), await operators.issueLink('ann')];
    await expect(operators.signInByLink(old)).rejects.toMatchObject({ code: 'denied' });
    parts.clock.advance(ACCESS_LIMITS.linkMs - 1);
    await operators.signInByLink(link);

    const late = await operators.issueLink('ann');
    parts.clock.advance(ACCESS_LIMITS.linkMs);
    await expect(operators.signInByLink(late)).rejects.toMatchObject({ code: 'denied' });

    const idle = await operators.issueLink('ann');
    await operators.setPassword('ann', PASSWORD);
    await expect(operators.signInByLink(idle)).rejects.toMatchObject({ code: 'denied' });
  });

  it('signs in one of two who use it at once', async () => {
    const link = await operators.issueLink('admin');
    const results = await Promise.allSettled([operators.signInByLink(link), operators.signInByLink(link)]);
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
  });

  it.each(['', 'x', 'A'.repeat(43), 'é'.repeat(43)])('is none: %j', async (secret) => {
    await expect(operators.signInByLink(secret)).rejects.toMatchObject({ code: 'denied' });
    expect(operators.session(secret)).toBeNull();
  });

  it('is not given to a disabled operator, and worth nothing once they are', async () => {
    await operators.create({ name: 'ann', role: 'viewer' });
    const link = await operators.issueLink('ann');
    await operators.update('ann', { disabled: true });
    await expect(operators.signInByLink(link)).rejects.toMatchObject({ code: 'denied' });
    await expect(operators.issueLink('ann')).rejects.toMatchObject({ code: 'conflict' });
    await operators.update('ann', { disabled: false });
    await expect(operators.signInByLink(link)).rejects.toMatchObject({ code: 'denied' });
    await expect(operators.issueLink('nobody')).rejects.toMatchObject({ code: 'not_found' });
  });
});

describe('signing in by password', () => {
  beforeEach(withAdmin);

  it('answers wrong names, wrong passwords, and operators without one or disabled, all alike', async () => {
    await operators.create({ name: 'linked', role: 'viewer' });
    await operators.create({ name: 'off', role: 'viewer' });
    await operators.setPassword('off', PASSWORD);
    await operators.update('off', { disabled: true });
    const tries = ['admin', 'nobody', 'linked', 'off', '', '../../etc'].map(async (name, i) =>
      operators
        .signIn(name, name === 'admin' ? 'wrong horse' : PASSWORD, `10.0.1.${i}`)
        .catch((e: unknown) => String(e)),
    );
    expect(new Set(await Promise.all(tries))).toEqual(new Set(['FleetError: name or password is not right']));
    expect((await operators.signIn('admin', PASSWORD, ADDRESS)).caller).toMatchObject({ name: 'admin' });
  });

  it('outlives a restart, and ends in time', async () => {
    const { secret } = await operators.signIn('admin', PASSWORD, ADDRESS);
    await restart();
    expect(operators.session(secret)).toMatchObject({ name: 'admin' });
    parts.clock.advance(12 * HOUR - 1);
    expect(operators.session(secret)).not.toBeNull();
    parts.clock.advance(1);
    expect(operators.session(secret)).toBeNull();
    expect(await operators.removeExpired()).toBe(1);
    expect((await stored()).signIns).toEqual([]);
  });

  it('is on disk as a hash alone', async () => {
    const { secret } = await operators.signIn('admin', PASSWORD, ADDRESS);
    const state = await stored();
    expect(JSON.stringify(state.signIns)).not.toContain(secret);
    expect(state.operators[0]!.passwordHash).toMatch(/^\$scrypt\$/);
    expect(state.signIns[0]!.hash).toHaveLength(32);
  });

  it('slows down after failed tries, then refuses even the right password without looking', async () => {
    const fail = () => operators.signIn('admin', 'wrong horse', ADDRESS).catch(codeOf);
    const codes = [];
    for (let i = 0; i < 7; i++) codes.push(await fail());
    expect(codes).toEqual([...Array<string>(6).fill('denied'), 'slow_down']);
    const refused = operators.signIn('admin', PASSWORD, ADDRESS);
    await expect(refused).rejects.toMatchObject({ code: 'slow_down', retryAfterMs: 1000 });
    parts.clock.advance(1000);
    await operators.signIn('admin', PASSWORD, ADDRESS);
    // A success wipes the slate.
    expect(await fail()).toBe('denied');
  });

  it('is worth no more tries when they come all at once', async () => {
    const tries = Array.from({ length: 20 }, () => operators.signIn('admin', 'wrong horse', ADDRESS).catch(codeOf));
    expect((await Promise.all(tries)).filter((code) => code === 'denied')).toHaveLength(6);
  });

  it('by a password that is changed meanwhile leaves nobody signed in, whichever comes first', async () => {
    let password = PASSWORD;
    for (let round = 0; round < 20; round++) {
      const next = `another horse ${round}`;
      const signIn = () => operators.signIn('admin', password, ADDRESS).catch(() => null);
      const change = () => operators.setPassword('admin', next).then(() => null);
      const together = round % 2 === 0 ? [signIn(), change()] : [change(), signIn()];
      const [one, other] = await Promise.all(together);
      const signedIn = one ?? other;
      if (signedIn !== null) expect(operators.session(signedIn!.secret)).toBeNull();
      expect((await stored()).signIns).toEqual([]);
      password = next;
      parts.clock.advance(HOUR);
    }
  });

  it('ends the oldest sign-in of an operator who has too many', async () => {
    const secrets: string[] = [];
    for (let i = 0; i <= ACCESS_LIMITS.maxSignInsPerOperator; i++) {
      secrets.push((await operators.signIn('admin', PASSWORD, ADDRESS)).secret);
    }
    expect(operators.session(secrets[0]!)).toBeNull();
    expect(operators.session(secrets[1]!)).not.toBeNull();
    expect((await stored()).signIns).toHaveLength(ACCESS_LIMITS.maxSignInsPerOperator);
  });

  it('works in memory while the disk refuses, for whoever comes to see what is wrong', async () => {
    parts.store.failNext('full');
    void parts.telemetry.write({ op: 'token.delete', keyId: 'x' });
    await ticks();
    expect(parts.telemetry.health.writable).toBe(false);
    const { secret } = await operators.signIn('admin', PASSWORD, ADDRESS);
    expect(operators.session(secret)).not.toBeNull();
    await operators.signOut(secret);
    expect(operators.session(secret)).toBeNull();
    for (const refused of [
      operators.create({ name: 'ann', role: 'viewer' }),
      operators.update('admin', {}),
      operators.setPassword('admin', PASSWORD),
    ]) {
      await expect(refused).rejects.toMatchObject({ code: 'unavailable' });
    }
  });
});

describe('signing out', () => {
  it('ends that sign-in alone, on disk too; what nobody holds is no error', async () => {
    await withAdmin();
    const [one, other] = [
      await operators.signIn('admin', PASSWORD, ADDRESS),
      await operators.signIn('admin', PASSWORD, ADDRESS),
    ];
    await operators.signOut(one.secret);
    await operators.signOut(one.secret);
    await operators.signOut('nonsense');
    await restart();
    expect(operators.session(one.secret)).toBeNull();
    expect(operators.session(other.secret)).not.toBeNull();
  });
});

describe('a changed password', () => {
  beforeEach(withAdmin);

  it('ends all sign-ins but the one that asked for it', async () => {
    const [mine, other] = [
      await operators.signIn('admin', PASSWORD, ADDRESS),
      await operators.signIn('admin', PASSWORD, ADDRESS),
    ];
    await operators.setPassword('admin', 'another horse', PASSWORD, mine.secret);
    expect(operators.session(mine.secret)).not.toBeNull();
    expect(operators.session(other.secret)).toBeNull();
    await expect(operators.signIn('admin', PASSWORD, ADDRESS)).rejects.toMatchObject({ code: 'denied' });
    await restart();
    expect(operators.session(mine.secret)).not.toBeNull();
    expect(operators.session(other.secret)).toBeNull();
    await operators.signIn('admin', 'another horse', ADDRESS);
  });

  it('needs the current one where it is given, and guessing it is slowed', async () => {
    const guess = () => operators.setPassword('admin', 'another horse', 'wrong horse').catch(codeOf);
    const codes = [];
    for (let i = 0; i < 7; i++) codes.push(await guess());
    expect(codes).toEqual([...Array<string>(6).fill('denied'), 'slow_down']);
  });

  it('is refused when it is short, or nobody is called so', async () => {
    await expect(operators.setPassword('admin', 'short')).rejects.toMatchObject({ code: 'invalid' });
    await expect(operators.setPassword('nobody', PASSWORD)).rejects.toMatchObject({ code: 'not_found' });
  });
});

describe('operators', () => {
  beforeEach(withAdmin);

  it('are made, listed by name, changed and removed, on disk', async () => {
    await operators.create({ name: 'ann@work', role: 'viewer' });
    await operators.create({ name: 'Bob', role: 'operator' });
    parts.clock.advance(5);
    const changed = await operators.update('ann@work', { role: 'operator' });
    expect(changed.updatedMs - changed.createdMs).toBe(5);
    await operators.remove('Bob');
    await restart();
    expect(operators.list().map(({ name, role }) => [name, role])).toEqual([
      ['admin', 'admin'],
      ['ann@work', 'operator'],
    ]);
    expect(operators.get('ann@work')).toEqual(changed);
    expect(operators.get('Bob')).toBeUndefined();
    await expect(operators.remove('Bob')).rejects.toMatchObject({ code: 'not_found' });
    await expect(operators.update('Bob', {})).rejects.toMatchObject({ code: 'not_found' });
  });

  it.each(['', '.', '..', 'a b', 'é', 'x'.repeat(65), 'a/b', 'a\n'])('are not called %j', async (name) => {
    await expect(operators.create({ name, role: 'viewer' })).rejects.toMatchObject({ code: 'invalid' });
  });

  it('are one of a name, also when two are made at once', async () => {
    const both = [1, 2].map(() => operators.create({ name: 'ann', role: 'viewer' }));
    expect((await Promise.allSettled(both)).map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
    await expect(both[1]).rejects.toMatchObject({ code: 'exists' });
  });

  it('change role at once where they are signed in, and lose their sign-ins when disabled or removed', async () => {
    for (const name of ['ann', 'bob']) {
      await operators.create({ name, role: 'viewer' });
      await operators.setPassword(name, PASSWORD);
    }
    const [ann, bob] = [
      await operators.signIn('ann', PASSWORD, ADDRESS),
      await operators.signIn('bob', PASSWORD, ADDRESS),
    ];
    await operators.update('ann', { role: 'operator' });
    expect(operators.session(ann.secret)!.scopes).toEqual(['read', 'commands', 'devices']);
    await operators.update('ann', { disabled: true });
    expect(operators.session(ann.secret)).toBeNull();
    await operators.update('ann', { disabled: false });
    expect(operators.session(ann.secret)).toBeNull();
    await operators.remove('bob');
    await operators.create({ name: 'bob', role: 'admin' });
    expect(operators.session(bob.secret)).toBeNull();
    expect((await stored()).signIns).toEqual([]);
  });

  it('keep one enabled administrator, whatever is tried and however much at once', async () => {
    for (const change of [{ role: 'viewer' }, { disabled: true }] as const) {
      await expect(operators.update('admin', change)).rejects.toMatchObject({ code: 'conflict' });
    }
    await expect(operators.remove('admin')).rejects.toMatchObject({ code: 'conflict' });
    await operators.update('admin', { role: 'admin', disabled: false });

    await operators.create({ name: 'second', role: 'admin' });
    const results = await Promise.allSettled([
      operators.update('admin', { disabled: true }),
      operators.remove('second'),
      operators.update('second', { role: 'viewer' }),
    ]);
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected']);
    // A disabled administrator may go: there is another.
    await operators.remove('admin');
    expect(operators.list()).toMatchObject([{ name: 'second', role: 'admin' }]);
  });
});
