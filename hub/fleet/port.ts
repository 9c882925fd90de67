import type { CloseReason, Initiator } from '#protocols/close-reasons.js';
import type { CommandRow, CommandState, DeviceRow } from '#hub/store/port.js';

/** What people and programs may ask of the fleet (REST, command line, later the dashboard). Times are milliseconds since 1970 here. */

export class FleetError extends Error {
  override readonly name = 'FleetError';
  readonly code: 'not_found' | 'exists' | 'invalid' | 'limit' | 'conflict' | 'unavailable';
  constructor(code: FleetError['code'], message: string) {
    super(message);
    this.code = code;
  }
}

export interface PresenceView {
  readonly online: boolean;
  /** Of its last connection; 0: it never connected. */
  readonly epoch: number;
  readonly protocol: string | null;
  readonly connectedMs: number | null;
  readonly disconnectedMs: number | null;
  readonly reason: CloseReason | null;
  readonly initiator: Initiator | null;
}

export interface DeviceView extends DeviceRow {
  readonly presence: PresenceView;
}

export interface Devices {
  /** Rejects with FleetError `exists` or `invalid`. Resolves after the commit, with a first token. */
  create(input: {
    id: string;
    name?: string | null;
    protocols?: readonly string[] | null;
  }): Promise<{ device: DeviceView; token: string }>;
  get(id: string): DeviceView | undefined;
  /** By id, ascending. `prefix` filters ids. */
  list(query: { after: string | null; limit: number; prefix?: string; online?: boolean }): {
    items: readonly DeviceView[];
    next: string | null;
  };
  update(
    id: string,
    change: { name?: string | null; protocols?: readonly string[] | null; disabled?: boolean },
  ): Promise<DeviceView>;
  /** Closes its connection with `device_deleted`, revokes its tokens. */
  remove(id: string): Promise<void>;
  /** A new token; the older ones stay valid until revoked. */
  issueToken(id: string): Promise<{ keyId: string; token: string }>;
  tokens(id: string): readonly { keyId: string; createdMs: number }[];
  revokeToken(id: string, keyId: string): Promise<void>;
  counts(): { devices: number; online: number; onlineByProtocol: Readonly<Record<string, number>> };
}

export interface CommandInput {
  readonly device: string;
  readonly name: string;
  readonly params: unknown;
  /** Time to live while no device has received it. */
  readonly ttlMs?: number;
  /** How long a device that received it may take. */
  readonly responseTimeoutMs?: number;
}

export interface Commands {
  /** Stored before it returns. Rejects with FleetError `not_found`, `invalid`, `limit` (too many unfinished), `unavailable` (the store cannot write). */
  create(input: CommandInput): Promise<CommandRow>;
  /** Resolves when the command has ended or after `waitMs`, with the row as it is then. */
  wait(id: string, waitMs: number): Promise<CommandRow>;
  /** Only `queued` and `sent` can be cancelled; else `conflict`. */
  cancel(id: string): Promise<CommandRow>;
  counts(): Readonly<Record<CommandState, number>>;
}
