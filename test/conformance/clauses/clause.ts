/** Whose duty a statement is. */
export type Who = 'server' | 'client' | 'both';

/** How binding it is, where a standard states more than what is mandatory (RFC 2119). */
export type Force = 'must' | 'should' | 'may';

/** One normative statement of a protocol, in our words. */
export interface Clause {
  /** As the standard numbers it (MQTT, without `MQTT-`: `3.1.0-1`), or by our own count in its chapter (`send-2`). */
  readonly id: string;
  readonly who: Who;
  /** Absent: mandatory, as are all in its table. */
  readonly force?: Force;
  readonly summary: string;
  /** Tests besides those whose names have the tag: `{file under test/}: {name}`. */
  readonly tests?: readonly string[];
  /** Why there is no test; beside tests: what is done otherwise, and why. */
  readonly reason?: string;
}

export type More = Pick<Clause, 'tests' | 'reason'>;

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
