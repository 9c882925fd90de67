import type { TestHub } from '../../support/hub.ts';

/** A device with its token, through the API as an operator makes one. */
export async function newDevice(hub: TestHub, id: string, protocols?: readonly string[]): Promise<string> {
  const { status, body } = await hub.api('POST', '/api/v1/devices', { id, ...(protocols ? { protocols } : {}) });
  if (status !== 201) throw new Error(`device ${id}: ${status} ${JSON.stringify(body)}`);
  return body.token as string;
}

/** Latest values as metric to value. */
export async function latest(hub: TestHub, device: string): Promise<Record<string, unknown>> {
  const { body } = await hub.api('GET', `/api/v1/devices/${device}/latest`);
  return Object.fromEntries(body.items.map(({ metric, value }: { metric: string; value: unknown }) => [metric, value]));
}

export interface LogLine {
  readonly id: number;
  readonly device: string;
  readonly metric: string;
  readonly timeUs: number;
  readonly value: unknown;
}

/** The device's rows of the NDJSON export, in commit order, unmerged. Fails unless the export says that it is whole. */
export async function exported(hub: TestHub, device: string): Promise<LogLine[]> {
  const { body } = await hub.api('GET', '/api/v1/export/log');
  const lines = (body as string).trimEnd().split('\n');
  const rows = lines.map((line) => JSON.parse(line) as LogLine & { end?: boolean; rows?: number });
  const last = rows.pop();
  if (last?.end !== true || last.rows !== rows.length) throw new Error('the export broke off');
  return rows.filter((row) => row.device === device);
}

/** Rejected payloads, newest first. */
export async function rejected(
  hub: TestHub,
  device: string,
): Promise<{ code: string; topic: string; protocol: string; payload: { text: string | null } }[]> {
  return (await hub.api('GET', `/api/v1/devices/${device}/rejected`)).body.items;
}

/** The device's connections, newest first. */
export async function connectionsOf(
  hub: TestHub,
  device: string,
): Promise<{ epoch: number; protocol: string; reason: string | null }[]> {
  return (await hub.api('GET', `/api/v1/devices/${device}/connections`)).body.items;
}

export async function isOnline(hub: TestHub, device: string): Promise<boolean> {
  return (await hub.api('GET', `/api/v1/devices/${device}`)).body.presence.online;
}

export interface CommandView {
  readonly id: string;
  readonly state: string;
  readonly result: unknown;
  readonly attempts: number;
}

/** Sends a command and waits up to 5 s for its result; rejects when the API refuses it. */
export async function command(hub: TestHub, device: string, name: string, params?: unknown): Promise<CommandView> {
  const { status, body } = await hub.api('POST', `/api/v1/devices/${device}/commands?wait=5`, { name, params });
  if (status !== 201) throw new Error(`command ${name}: ${status} ${JSON.stringify(body)}`);
  return body.command;
}

/** The states that a command went through. */
export async function statesOf(hub: TestHub, commandId: string): Promise<string[]> {
  const { body } = await hub.api('GET', `/api/v1/commands/${commandId}`);
  return body.history.map(({ state }: { state: string }) => state);
}

export interface ConnectionOf {
  readonly id: string;
  readonly clientId: string | null;
  readonly subprotocol: string;
  readonly description: Readonly<Record<string, string>>;
}

/** The open connection of a device. */
export async function connectionNow(hub: TestHub, device: string): Promise<ConnectionOf | undefined> {
  const { body } = await hub.api('GET', '/api/v1/connections');
  const items: (ConnectionOf & { principal: { id: string } | null })[] = body.items;
  return items.find(({ principal }) => principal?.id === device);
}
