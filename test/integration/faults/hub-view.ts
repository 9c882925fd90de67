import { until } from '../../support/hub.ts';

/** A hub as its API shows it, in this process or another. */
export interface AskableHub {
  api(method: string, path: string): Promise<{ status: number; body: any }>;
}

export interface Presence {
  readonly online: boolean;
  readonly epoch: number;
  readonly protocol: string | null;
  readonly reason: string | null;
  readonly initiator: string | null;
  readonly disconnectedMs: number | null;
}

export async function presenceOf(hub: AskableHub, device: string): Promise<Presence> {
  const { status, body } = await hub.api('GET', `/api/v1/devices/${device}`);
  if (status !== 200) throw new Error(`device ${device}: ${status}`);
  return body.presence;
}

/** Waits until the device is offline; then why. */
export async function offlineReason(hub: AskableHub, device: string, limitMs?: number): Promise<string | null> {
  await until(`${device} is offline`, async () => !(await presenceOf(hub, device)).online, limitMs);
  return (await presenceOf(hub, device)).reason;
}

export interface OpenConnection {
  readonly id: string;
  readonly principal: { readonly id: string } | null;
  readonly epoch: number;
  readonly subprotocol: string;
  readonly messagesIn: number;
  readonly bytesIn: number;
  readonly queuedBytes: number;
  readonly dropped: number;
  readonly paused: boolean;
}

/** All open connections, page by page. */
export async function openConnections(hub: AskableHub): Promise<OpenConnection[]> {
  const all: OpenConnection[] = [];
  for (let after = ''; ;) {
    const { body } = await hub.api('GET', `/api/v1/connections?limit=1000${after}`);
    all.push(...(body.items as OpenConnection[]));
    if (body.next === null) return all;
    after = `&after=${body.next}`;
  }
}

/** The open connection of a device or application. */
export async function connectionOf(hub: AskableHub, id: string): Promise<OpenConnection | undefined> {
  return (await openConnections(hub)).find(({ principal }) => principal?.id === id);
}

export interface PastConnection {
  readonly epoch: number;
  readonly reason: string | null;
  readonly disconnectedUs: number | null;
}

/** A device's connections with their ends, newest first. */
export async function historyOf(hub: AskableHub, device: string): Promise<PastConnection[]> {
  return (await hub.api('GET', `/api/v1/devices/${device}/connections?limit=1000`)).body.items;
}

/** One figure of `/metrics`, labels included in the name; 0 when it is not there. */
export async function figure(hub: AskableHub, name: string): Promise<number> {
  const { body } = await hub.api('GET', '/metrics');
  const line = (body as string).split('\n').find((text) => text.startsWith(`${name} `));
  return line === undefined ? 0 : Number(line.slice(name.length + 1));
}
