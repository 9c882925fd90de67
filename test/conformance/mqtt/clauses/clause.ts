/** Whose duty a statement is. */
export type Who = 'server' | 'client' | 'both';

/** One mandatory normative statement of a version of MQTT, in our words. */
export interface Clause {
  /** As the standard numbers it, without `MQTT-`: `3.1.0-1`. */
  readonly id: string;
  readonly who: Who;
  readonly summary: string;
  /** Tests besides those whose names have the tag: `{file under test/}: {name}`. */
  readonly tests?: readonly string[];
  /** Why there is no test. */
  readonly reason?: string;
}

type More = Pick<Clause, 'tests' | 'reason'>;

export const server = (id: string, summary: string, more: More = {}): Clause => ({
  id,
  who: 'server',
  summary,
  ...more,
});
export const client = (id: string, summary: string, more: More = {}): Clause => ({
  id,
  who: 'client',
  summary,
  ...more,
});
export const both = (id: string, summary: string, more: More = {}): Clause => ({ id, who: 'both', summary, ...more });

/** Reasons that more than one statement has. */
export const REASONS = {
  noUserProperties: 'the hub writes no user properties of its own into this packet',
  noReasonString: 'the hub writes no reason string into this packet',
  noAuth: 'no authentication method is served, so the hub never sends AUTH',
  qos2: 'QoS 2 is served',
  retain: 'retained messages are served',
} as const;
