import type { Clock } from '#hub/clock.js';
import type { ControlWrite, OperatorRow, SignInRow, StartState } from '#hub/store/port.js';
import type { Telemetry } from '#hub/telemetry/port.js';
import { csrfOf } from './csrf.ts';
import { mustBeWritable, writeNow } from './devices.ts';
import { ACCESS_LIMITS } from './limits.ts';
import { OneAtATime } from './one-at-a-time.ts';
import { Guard } from './operators/guard.ts';
import { Links } from './operators/links.ts';
import { checkPassword, Passwords, SCRYPT_COST, type ScryptCost } from './operators/passwords.ts';
import { deletionOf, SignIns } from './operators/sign-ins.ts';
import { FleetError, type Caller, type Operators, type OperatorView, type SignedIn } from './port.ts';
import { scopesOf, type Role } from './scopes.ts';

export interface OperatorsOptions {
  readonly signInSessionMs: number;
}

const NAME = /^[A-Za-z0-9._@-]{1,64}$/;
/** The administrator whom the first start makes. */
const FIRST = 'admin';

type OperatorCaller = Caller & { readonly kind: 'operator' };

/** The people who may use the hub. Changes are made one at a time, so that none is decided on what another is about to change. */
export class OperatorBook implements Operators {
  readonly #rows = new Map<string, OperatorRow>();
  readonly #telemetry: Telemetry;
  readonly #clock: Clock;
  readonly #passwords: Passwords;
  readonly #guard: Guard;
  readonly #links: Links;
  readonly #signIns: SignIns;
  readonly #changes = new OneAtATime();

  constructor(telemetry: Telemetry, clock: Clock, options: OperatorsOptions, cost: ScryptCost = SCRYPT_COST) {
    this.#telemetry = telemetry;
    this.#clock = clock;
    this.#passwords = new Passwords(cost);
    this.#guard = new Guard(clock);
    this.#links = new Links(clock);
    this.#signIns = new SignIns(clock, options.signInSessionMs);
  }

  restore(state: StartState): void {
    for (const row of state.operators) this.#rows.set(row.name, row);
    this.#signIns.restore(state.signIns);
  }

  bootstrapLink(): Promise<string | null> {
    return this.#changes.run(async () => {
      if (this.#rows.size === 0) await this.#insert(FIRST, 'admin');
      const admins = this.#enabledAdmins();
      const someoneGetsIn = admins.some((row) => row.passwordHash !== null || this.#signIns.of(row.name).length > 0);
      if (someoneGetsIn) return null;
      return this.#links.issue((admins.find(({ name }) => name === FIRST) ?? admins[0]!).name);
    });
  }

  issueLink(name: string): Promise<string> {
    return this.#changes.run(() => {
      if (this.#must(name).disabled) throw new FleetError('conflict', `operator ${name} is disabled: enable it first`);
      return Promise.resolve(this.#links.issue(name));
    });
  }

  signInByLink(secret: string): Promise<SignedIn> {
    return this.#changes.run(async () => {
      const name = this.#links.find(secret);
      const row = name === null ? undefined : this.#rows.get(name);
      if (row === undefined || row.disabled) {
        throw new FleetError('denied', 'this link is unknown, was used, or has expired: ask for a new one');
      }
      const signedIn = await this.#begin(row);
      this.#links.end(row.name);
      return signedIn;
    });
  }

  async signIn(name: string, password: string, address: string): Promise<SignedIn> {
    const row = this.#rows.get(name);
    const hash = row === undefined || row.disabled ? null : row.passwordHash;
    // Names that nobody can have share one place in what is remembered.
    if (!(await this.#isRight(NAME.test(name) ? name : '', address, password, hash))) throw wrong();
    return this.#changes.run(() => {
      const now = this.#rows.get(name);
      if (now === undefined || now.disabled || now.passwordHash !== hash) throw wrong();
      return this.#begin(now);
    });
  }

  session(secret: string): OperatorCaller | null {
    const signIn = this.#signIns.find(secret);
    const row = signIn === null ? undefined : this.#rows.get(signIn.operator);
    return row === undefined || row.disabled ? null : callerOf(row);
  }

  async signOut(secret: string): Promise<void> {
    const row = this.#signIns.find(secret);
    if (row === null) return;
    this.#signIns.remove(row);
    const deleted = this.#telemetry.write(deletionOf(row));
    // With a disk that refuses it waits with all else for the disk; here it has ended already.
    if (this.#telemetry.health.writable) await deleted;
    else deleted.catch(() => undefined);
  }

  async setPassword(name: string, password: string, current?: string, keep?: string): Promise<void> {
    mustBeWritable(this.#telemetry);
    const { passwordHash: before } = this.#must(name);
    checkPassword(password);
    if (current !== undefined && before !== null && !(await this.#isRight(name, null, current, before))) throw wrong();
    const passwordHash = await this.#passwords.hash(password);
    await this.#changes.run(async () => {
      const row = this.#must(name);
      if (row.passwordHash !== before) throw new FleetError('conflict', 'the password was changed meanwhile');
      const kept = keep === undefined ? null : this.#signIns.find(keep);
      const ended = this.#signIns.of(name).filter((signIn) => signIn !== kept);
      await this.#replace({ ...row, passwordHash }, ended);
      this.#links.end(name);
    });
  }

  create({ name, role }: { readonly name: string; readonly role: Role }): Promise<OperatorView> {
    return this.#changes.run(async () => {
      if (!NAME.test(name) || name === '.' || name === '..') {
        throw new FleetError('invalid', 'an operator name is 1 to 64 of A-Z a-z 0-9 . _ @ - and never "." or ".."');
      }
      if (this.#rows.has(name)) throw new FleetError('exists', `operator ${name} exists`);
      if (this.#rows.size >= ACCESS_LIMITS.maxOperators) {
        throw new FleetError('limit', `this hub takes ${ACCESS_LIMITS.maxOperators} operators`);
      }
      return viewOf(await this.#insert(name, role));
    });
  }

  update(name: string, change: { readonly role?: Role; readonly disabled?: boolean }): Promise<OperatorView> {
    return this.#changes.run(async () => {
      const before = this.#must(name);
      const row = { ...before, role: change.role ?? before.role, disabled: change.disabled ?? before.disabled };
      if (row.role !== 'admin' || row.disabled) this.#mustNotBeLastAdmin(name);
      await this.#replace(row, row.disabled ? this.#signIns.of(name) : []);
      if (row.disabled) this.#links.end(name);
      return viewOf(this.#must(name));
    });
  }

  remove(name: string): Promise<void> {
    return this.#changes.run(async () => {
      this.#must(name);
      this.#mustNotBeLastAdmin(name);
      await this.#write([{ op: 'operator.delete', name }]);
      this.#rows.delete(name);
      this.#links.end(name);
      for (const row of this.#signIns.of(name)) this.#signIns.remove(row);
    });
  }

  get(name: string): OperatorView | undefined {
    const row = this.#rows.get(name);
    return row === undefined ? undefined : viewOf(row);
  }

  list(): readonly OperatorView[] {
    return [...this.#rows.values()].sort(byName).map(viewOf);
  }

  removeExpired(): Promise<number> {
    return this.#changes.run(async () => {
      const rows = this.#signIns.expired();
      await this.#write(rows.map(deletionOf));
      for (const row of rows) this.#signIns.remove(row);
      return rows.length + this.#links.removeExpired();
    });
  }

  /** Rejects with FleetError `slow_down` before anything is checked. `hash` null: as much work, and false. */
  async #isRight(name: string, address: string | null, password: string, hash: string | null): Promise<boolean> {
    const attempt = this.#guard.begin(name, address);
    let right: boolean;
    try {
      right = await this.#passwords.verify(password, hash);
    } catch (error) {
      attempt.takeBack();
      throw error;
    }
    if (right) attempt.succeeded();
    return right;
  }

  /**
   * Within `#changes`. While the store cannot write, the sign-in is kept in memory alone: whoever comes to see what is
   * wrong gets in.
   */
  async #begin(operator: OperatorRow): Promise<SignedIn> {
    const { name } = operator;
    const { secret, row } = this.#signIns.make(name);
    const over = this.#signIns.tooMany(name);
    if (this.#telemetry.health.writable) {
      await this.#write([...over.map(deletionOf), { op: 'signIn.create', signIn: row }]);
    }
    for (const ended of over) this.#signIns.remove(ended);
    this.#signIns.add(row);
    return { secret, caller: callerOf(operator), expiresMs: row.expiresUs / 1000, csrf: csrfOf(secret) };
  }

  async #insert(name: string, role: Role): Promise<OperatorRow> {
    const nowUs = this.#clock.now() * 1000;
    const row = { name, role, passwordHash: null, disabled: false, createdUs: nowUs, updatedUs: nowUs };
    await this.#write([{ op: 'operator.create', operator: row }]);
    this.#rows.set(name, row);
    return row;
  }

  async #replace(row: OperatorRow, ended: readonly SignInRow[]): Promise<void> {
    const operator = { ...row, updatedUs: this.#clock.now() * 1000 };
    await this.#write([{ op: 'operator.update', operator }, ...ended.map(deletionOf)]);
    this.#rows.set(row.name, operator);
    for (const signIn of ended) this.#signIns.remove(signIn);
  }

  /** Handed over together, so that one commit takes them. Rejects with FleetError `unavailable`. */
  async #write(writes: readonly ControlWrite[]): Promise<void> {
    const results = await Promise.all(writes.map((write) => writeNow(this.#telemetry, write)));
    for (const [i, result] of results.entries()) {
      // A sign-in that was kept in memory alone is not there.
      if (!result.ok && writes[i]!.op !== 'signIn.delete') throw new FleetError('unavailable', result.message);
    }
  }

  #enabledAdmins(): OperatorRow[] {
    return [...this.#rows.values()].filter((row) => row.role === 'admin' && !row.disabled).sort(byName);
  }

  #mustNotBeLastAdmin(name: string): void {
    const admins = this.#enabledAdmins();
    if (admins.length === 1 && admins[0]!.name === name) {
      throw new FleetError('conflict', `${name} is the last enabled administrator: make another one first`);
    }
  }

  #must(name: string): OperatorRow {
    const row = this.#rows.get(name);
    if (row === undefined) throw new FleetError('not_found', `there is no operator ${name.slice(0, 64)}`);
    return row;
  }
}

/** One text for all that can be wrong: it tells nobody which names there are. */
function wrong(): FleetError {
  return new FleetError('denied', 'name or password is not right');
}

function callerOf({ name, role }: OperatorRow): OperatorCaller {
  return { kind: 'operator', name, role, scopes: scopesOf(role) };
}

function viewOf({ name, role, disabled, passwordHash, createdUs, updatedUs }: OperatorRow): OperatorView {
  const times = { createdMs: Math.floor(createdUs / 1000), updatedMs: Math.floor(updatedUs / 1000) };
  return { name, role, disabled, hasPassword: passwordHash !== null, ...times };
}

function byName(a: OperatorRow, b: OperatorRow): number {
  return a.name < b.name ? -1 : 1;
}
