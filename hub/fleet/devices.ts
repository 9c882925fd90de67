import { isDeviceId } from '#protocols/principal.js';
import type { Clock } from '#hub/clock.js';
import { StoreError, type ControlResult, type ControlWrite, type DeviceRow, type StartState } from '#hub/store/port.js';
import type { Telemetry } from '#hub/telemetry/port.js';
import { FleetError, type Devices, type DeviceView } from './port.ts';
import type { PresenceBook } from './presence.ts';
import { mintToken, type TokenBook } from './tokens.ts';

export interface DevicesOptions {
  readonly maxDevices: number;
  readonly maxAnonymousDevices: number;
}

const NAME_MAX = 256;

/** The devices that exist. Every change is on disk before it is told. */
export class DeviceBook implements Devices {
  readonly #rows = new Map<string, DeviceRow>();
  readonly #creating = new Set<string>();
  readonly #registering = new Map<string, Promise<boolean>>();
  readonly #telemetry: Telemetry;
  readonly #tokens: TokenBook;
  readonly #presence: PresenceBook;
  readonly #clock: Clock;
  readonly #options: DevicesOptions;
  /** Ids in order, for lists; null: to be sorted again. */
  #sorted: string[] | null = null;
  /** Devices that registered by themselves: after a start, those without a token. */
  #anonymous = 0;
  /** Called after a device was removed or disabled: its connection ends, its commands are cancelled. */
  onGone: (id: string, why: 'device_deleted' | 'device_disabled') => void = () => undefined;

  /** Called after its policy was changed or a token was revoked: its connection stays only if it would be let in now. */
  onChange: (id: string) => void = () => undefined;

  constructor(telemetry: Telemetry, tokens: TokenBook, presence: PresenceBook, clock: Clock, options: DevicesOptions) {
    this.#telemetry = telemetry;
    this.#tokens = tokens;
    this.#presence = presence;
    this.#clock = clock;
    this.#options = options;
  }

  restore(state: StartState): void {
    for (const row of state.devices) this.#rows.set(row.id, row);
    const withToken = new Set<string>();
    for (const token of state.tokens) {
      this.#tokens.add(token);
      if (token.kind === 'device') withToken.add(token.subject);
    }
    this.#anonymous = state.devices.filter((row) => !withToken.has(row.id)).length;
    this.#sorted = null;
  }

  row(id: string): DeviceRow | undefined {
    return this.#rows.get(id);
  }

  async create(input: {
    id: string;
    name?: string | null;
    protocols?: readonly string[] | null;
  }): Promise<{ device: DeviceView; token: string }> {
    if (!isDeviceId(input.id)) {
      throw new FleetError('invalid', 'a device id is 1 to 128 of A-Z a-z 0-9 . _ : - and never "me", "." or ".."');
    }
    checkName(input.name);
    if (this.#rows.size + this.#creating.size >= this.#options.maxDevices) {
      throw new FleetError('limit', `this hub takes ${this.#options.maxDevices} devices (maxDevices)`);
    }
    const row = await this.#insert(input.id, input.name ?? null, input.protocols ?? null);
    const { token } = await this.issueToken(row.id);
    return { device: this.#view(row), token };
  }

  /** Anonymous mode: a device registers by connecting. False: the cap is reached. */
  register(id: string): Promise<boolean> {
    if (this.#rows.has(id)) return Promise.resolve(true);
    // Two connections of a new device at once wait for the same row.
    const underWay = this.#registering.get(id);
    if (underWay !== undefined) return underWay;
    if (this.#anonymous >= this.#options.maxAnonymousDevices) return Promise.resolve(false);
    if (this.#rows.size + this.#creating.size >= this.#options.maxDevices) return Promise.resolve(false);
    this.#anonymous++;
    const registering = this.#registerNew(id).finally(() => this.#registering.delete(id));
    this.#registering.set(id, registering);
    return registering;
  }

  get(id: string): DeviceView | undefined {
    const row = this.#rows.get(id);
    return row === undefined ? undefined : this.#view(row);
  }

  list(query: { after: string | null; limit: number; prefix?: string; online?: boolean }): {
    items: readonly DeviceView[];
    next: string | null;
  } {
    this.#sorted ??= [...this.#rows.keys()].sort();
    const prefix = query.prefix ?? '';
    const from = query.after !== null && query.after >= prefix ? query.after : prefix;
    const items: DeviceView[] = [];
    for (let i = lowerBound(this.#sorted, from); i < this.#sorted.length; i++) {
      const id = this.#sorted[i]!;
      if (id === query.after) continue;
      if (!id.startsWith(prefix)) break;
      if (query.online !== undefined && this.#presence.of(id).online !== query.online) continue;
      if (items.length === query.limit) return { items, next: items.at(-1)!.id };
      items.push(this.#view(this.#rows.get(id)!));
    }
    return { items, next: null };
  }

  async update(
    id: string,
    change: { name?: string | null; protocols?: readonly string[] | null; disabled?: boolean },
  ): Promise<DeviceView> {
    this.#must(id);
    checkName(change.name);
    const result = await writeNow(this.#telemetry, { op: 'device.update', id, ...change });
    if (!result.ok) throw new FleetError('not_found', `there is no device ${id}`);
    const row = { ...this.#must(id), ...change };
    this.#rows.set(id, row);
    if (row.disabled) this.onGone(id, 'device_disabled');
    else if (change.protocols !== undefined) this.onChange(id);
    return this.#view(row);
  }

  async remove(id: string): Promise<void> {
    this.#must(id);
    const result = await writeNow(this.#telemetry, { op: 'device.delete', id });
    if (!result.ok) throw new FleetError('not_found', `there is no device ${id}`);
    this.#rows.delete(id);
    this.#sorted = null;
    if (this.#tokens.of('device', id).length === 0) this.#anonymous--;
    this.#tokens.removeOf('device', id);
    this.onGone(id, 'device_deleted');
  }

  async issueToken(id: string): Promise<{ keyId: string; token: string }> {
    this.#must(id);
    const minted = mintToken('device', id, this.#nowUs());
    const result = await writeNow(this.#telemetry, { op: 'token.create', token: minted.row });
    if (!result.ok) throw new FleetError('unavailable', result.message);
    // It may have been deleted while the token was written.
    this.#must(id);
    this.#tokens.add(minted.row);
    return { keyId: minted.row.keyId, token: minted.token };
  }

  tokens(id: string): readonly { keyId: string; createdMs: number }[] {
    this.#must(id);
    const rows = this.#tokens.of('device', id);
    return rows.map((row) => ({ keyId: row.keyId, createdMs: Math.floor(row.createdUs / 1000) }));
  }

  async revokeToken(id: string, keyId: string): Promise<void> {
    const known = this.tokens(id).some((token) => token.keyId === keyId);
    if (!known) throw new FleetError('not_found', `device ${id} has no token ${keyId}`);
    await writeNow(this.#telemetry, { op: 'token.delete', keyId });
    this.#tokens.remove(keyId);
    this.onChange(id);
  }

  counts(): { devices: number; online: number; onlineByProtocol: Readonly<Record<string, number>> } {
    return { devices: this.#rows.size, ...this.#presence.counts() };
  }

  async #registerNew(id: string): Promise<boolean> {
    try {
      await this.#insert(id, null, null);
      return true;
    } catch (error) {
      this.#anonymous--;
      throw error;
    }
  }

  async #insert(id: string, name: string | null, protocols: readonly string[] | null): Promise<DeviceRow> {
    if (this.#rows.has(id) || this.#creating.has(id)) throw new FleetError('exists', `device ${id} exists`);
    const row: DeviceRow = { id, name, protocols, disabled: false, createdUs: this.#nowUs() };
    this.#creating.add(id);
    try {
      const result = await writeNow(this.#telemetry, { op: 'device.create', device: row });
      if (!result.ok) throw new FleetError(result.code === 'exists' ? 'exists' : 'unavailable', result.message);
    } finally {
      this.#creating.delete(id);
    }
    this.#rows.set(id, row);
    this.#sorted = null;
    return row;
  }

  #must(id: string): DeviceRow {
    const row = this.#rows.get(id);
    if (row === undefined) throw new FleetError('not_found', `there is no device ${id}`);
    return row;
  }

  #view(row: DeviceRow): DeviceView {
    return { ...row, presence: this.#presence.of(row.id) };
  }

  #nowUs(): number {
    return this.#clock.now() * 1000;
  }
}

/** While the store cannot write, what somebody asks for is refused at once, not kept with what waits for the disk. Throws FleetError `unavailable`. */
export function mustBeWritable(telemetry: Telemetry): void {
  const { writable, error } = telemetry.health;
  if (!writable) throw new FleetError('unavailable', `the store cannot write: ${error ?? 'no reason is known'}`);
}

/** A write that somebody waits for. Throws FleetError `unavailable`. */
export async function writeNow(telemetry: Telemetry, control: ControlWrite): Promise<ControlResult> {
  mustBeWritable(telemetry);
  try {
    return await telemetry.write(control);
  } catch (cause) {
    // One that the hub gave up on is the store's fault, not the caller's.
    if (cause instanceof StoreError) throw new FleetError('unavailable', cause.message);
    throw cause;
  }
}

function checkName(name: string | null | undefined): void {
  if (typeof name === 'string' && (name.length === 0 || name.length > NAME_MAX)) {
    throw new FleetError('invalid', `a device name has 1 to ${NAME_MAX} characters`);
  }
}

/** Index of the first element that is not below `value`. */
function lowerBound(sorted: readonly string[], value: string): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sorted[middle]! < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
