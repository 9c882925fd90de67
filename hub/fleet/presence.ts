import { CLOSE_REASONS, type CloseReason } from '#protocols/close-reasons.js';
import type { RoutedMessage } from '#protocols/message.js';
import { matchesFilter } from '#protocols/topics.js';
import type { Clock } from '#hub/clock.js';
import type { ConnectionRow, StartState } from '#hub/store/port.js';
import type { Telemetry } from '#hub/telemetry/port.js';
import type { PresenceView } from './port.ts';

const NEVER: PresenceView = {
  online: false,
  epoch: 0,
  protocol: null,
  connectedMs: null,
  disconnectedMs: null,
  reason: null,
  initiator: null,
};

/**
 * Who is online. A connection has an epoch, monotonic per device and on disk before the connection counts; the end of
 * an epoch that is not the current one changes nothing. Written by the hub alone.
 */
export class PresenceBook {
  readonly #current = new Map<string, PresenceView>();
  readonly #telemetry: Telemetry;
  readonly #clock: Clock;
  readonly #online = new Map<string, number>();
  readonly #listeners: ((device: string, presence: PresenceView | null) => void)[] = [];

  constructor(telemetry: Telemetry, clock: Clock) {
    this.#telemetry = telemetry;
    this.#clock = clock;
  }

  /** After `connection.recover`: nobody is online, and the store knows why. Connections of deleted devices are history alone. */
  restore(state: StartState): void {
    const devices = new Set(state.devices.map((row) => row.id));
    for (const row of state.lastConnections) {
      if (devices.has(row.device)) this.#current.set(row.device, viewOf(row));
    }
  }

  /** `listener` is called after each change; with null once a device was deleted. */
  onChange(listener: (device: string, presence: PresenceView | null) => void): void {
    this.#listeners.push(listener);
  }

  of(device: string): PresenceView {
    return this.#current.get(device) ?? NEVER;
  }

  counts(): { online: number; onlineByProtocol: Record<string, number> } {
    let online = 0;
    for (const n of this.#online.values()) online += n;
    return { online, onlineByProtocol: Object.fromEntries(this.#online) };
  }

  /**
   * Writes the device's next connection; resolves with its epoch after the commit. The connection counts as online
   * from `begin` on, which the caller calls at once unless the socket has gone meanwhile.
   */
  async open(device: string, protocol: string, address: string, clientId: string): Promise<number> {
    const timeUs = this.#clock.now() * 1000;
    const result = await this.#telemetry.write({
      op: 'connection.open',
      device,
      protocol,
      address,
      clientId,
      timeUs,
    });
    if (!result.ok || result.epoch === undefined) throw new Error(`no epoch for ${device}`);
    return result.epoch;
  }

  begin(device: string, epoch: number, protocol: string): void {
    const before = this.of(device);
    if (epoch <= before.epoch) return;
    if (before.online) this.#count(before.protocol, -1);
    this.#count(protocol, 1);
    this.#set(device, {
      online: true,
      epoch,
      protocol,
      connectedMs: this.#clock.now(),
      disconnectedMs: null,
      reason: null,
      initiator: null,
    });
  }

  /** The end of a connection goes to disk in any case; only the current epoch changes what is shown. */
  end(device: string, epoch: number, reason: CloseReason, detail: string): void {
    const nowMs = this.#clock.now();
    const { initiator } = CLOSE_REASONS[reason];
    const before = this.of(device);
    if (before.online && before.epoch === epoch) {
      this.#count(before.protocol, -1);
      this.#set(device, { ...before, online: false, disconnectedMs: nowMs, reason, initiator });
    }
    this.#writeEnd(device, epoch, reason, detail, nowMs);
  }

  /** An epoch that was over before its connection counted: never online, and yet the last that is known of the device. */
  passed(device: string, epoch: number, protocol: string, reason: CloseReason): void {
    const nowMs = this.#clock.now();
    const { initiator } = CLOSE_REASONS[reason];
    const before = this.of(device);
    if (epoch > before.epoch && reason !== 'device_deleted') {
      if (before.online) this.#count(before.protocol, -1);
      const at = { connectedMs: nowMs, disconnectedMs: nowMs };
      this.#set(device, { online: false, epoch, protocol, ...at, reason, initiator });
    }
    this.#writeEnd(device, epoch, reason, '', nowMs);
  }

  forget(device: string): void {
    const before = this.#current.get(device);
    if (before?.online === true) this.#count(before.protocol, -1);
    this.#current.delete(device);
    // One that never connected has gone as well.
    this.#tell(device, null);
  }

  /** Retained presence messages that match a filter; made from the table instead of being kept by the router. */
  retained(filter: string): RoutedMessage[] {
    if (!couldMatchPresence(filter)) return [];
    const one = /^devices\/([^/+#]+)\/presence$/.exec(filter)?.[1];
    if (one !== undefined) {
      const presence = this.#current.get(one);
      return presence === undefined ? [] : [presenceMessage(one, presence, true)];
    }
    const messages: RoutedMessage[] = [];
    for (const [device, presence] of this.#current) {
      const topic = presenceTopic(device);
      if (matchesFilter(filter, topic)) messages.push(presenceMessage(device, presence, true));
    }
    return messages;
  }

  #writeEnd(device: string, epoch: number, reason: CloseReason, detail: string, nowMs: number): void {
    const { initiator } = CLOSE_REASONS[reason];
    this.#telemetry
      .write({ op: 'connection.close', device, epoch, reason, initiator, detail, timeUs: nowMs * 1000 })
      .catch(() => {
        // The hub stops with a disk that refuses: the next start finds the connection open and calls it hub_crashed.
      });
  }

  #count(protocol: string | null, by: number): void {
    if (protocol !== null) this.#online.set(protocol, (this.#online.get(protocol) ?? 0) + by);
  }

  #set(device: string, presence: PresenceView): void {
    this.#current.set(device, presence);
    this.#tell(device, presence);
  }

  #tell(device: string, presence: PresenceView | null): void {
    for (const listener of this.#listeners) listener(device, presence);
  }
}

export function presenceTopic(device: string): string {
  return `devices/${device}/presence`;
}

export function presenceMessage(device: string, presence: PresenceView, retain: boolean): RoutedMessage {
  const body = {
    device,
    online: presence.online,
    epoch: presence.epoch,
    protocol: presence.protocol,
    connectedAt: iso(presence.connectedMs),
    disconnectedAt: iso(presence.disconnectedMs),
    reason: presence.reason,
    initiator: presence.initiator,
  };
  return Object.freeze({
    topic: presenceTopic(device),
    payload: Buffer.from(JSON.stringify(body)),
    qos: 1,
    retain,
    contentType: 'application/json',
    headers: [],
  });
}

function iso(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString();
}

/** Quick no for the many filters that have nothing to do with presence. */
function couldMatchPresence(filter: string): boolean {
  const levels = filter.split('/');
  const [first, , third] = levels;
  if (first !== 'devices') return false;
  if (levels[1] === '#') return true;
  return third === 'presence' || third === '+' || third === '#';
}

function viewOf(row: ConnectionRow): PresenceView {
  return {
    online: false,
    epoch: row.epoch,
    protocol: row.protocol,
    connectedMs: Math.floor(row.connectedUs / 1000),
    disconnectedMs: row.disconnectedUs === null ? null : Math.floor(row.disconnectedUs / 1000),
    reason: row.reason,
    initiator: row.initiator,
  };
}
