/** What one STOMP version does otherwise than the others. Everything else is shared. */
export interface Dialect {
  readonly version: '1.0' | '1.1' | '1.2';
  /** The letter after a backslash → what it stands for (Value Encoding). Null: no escaping, a backslash is a backslash. */
  readonly escapes: ReadonlyMap<string, string> | null;
  /** Any line may end with CR LF. False: all lines of a frame or none, and elsewhere a carriage return is an octet like others. */
  readonly endsLinesWithCr: boolean;
  /** Blanks around a header value mean nothing: the examples of STOMP 1.0 have them. Later versions "MUST never trim or pad". */
  readonly padsHeaders: boolean;
  /** A body where none belongs is ignored (STOMP 1.0, SUBSCRIBE), not refused. */
  readonly ignoresBodies: boolean;
  /** A SUBSCRIBE may have no `id`: its destination stands for it. */
  readonly subscribesByDestination: boolean;
  /** What an ACK repeats of the MESSAGE: its `message-id`, that with `subscription`, or its header `ack`. */
  readonly acknowledgesBy: 'message-id' | 'message-id and subscription' | 'ack';
  readonly hasNack: boolean;
  readonly hasHeartBeats: boolean;
}

const LF_COLON_BACKSLASH = [
  ['n', '\n'],
  ['c', ':'],
  ['\\', '\\'],
] as const;

export const STOMP_1_0: Dialect = {
  version: '1.0',
  escapes: null,
  endsLinesWithCr: false,
  padsHeaders: true,
  ignoresBodies: true,
  subscribesByDestination: true,
  acknowledgesBy: 'message-id',
  hasNack: false,
  hasHeartBeats: false,
};

export const STOMP_1_1: Dialect = {
  version: '1.1',
  escapes: new Map(LF_COLON_BACKSLASH),
  endsLinesWithCr: false,
  padsHeaders: false,
  ignoresBodies: false,
  subscribesByDestination: false,
  acknowledgesBy: 'message-id and subscription',
  hasNack: true,
  hasHeartBeats: true,
};

export const STOMP_1_2: Dialect = {
  ...STOMP_1_1,
  version: '1.2',
  escapes: new Map([['r', '\r'], ...LF_COLON_BACKSLASH]),
  endsLinesWithCr: true,
  acknowledgesBy: 'ack',
};

/** All that are served, the oldest first. */
export const DIALECTS: readonly Dialect[] = [STOMP_1_0, STOMP_1_1, STOMP_1_2];

/**
 * "All frames except the CONNECT and CONNECTED frames" are escaped; a STOMP frame is a CONNECT (STOMP 1.2, CONNECT or STOMP Frame).
 * They are read before the version is known.
 */
export function isEscaped(command: string): boolean {
  return command !== 'CONNECT' && command !== 'STOMP' && command !== 'CONNECTED';
}

/** The escapes that apply to a frame, or null. */
export function escapesOf(dialect: Dialect, command: string): ReadonlyMap<string, string> | null {
  return isEscaped(command) ? dialect.escapes : null;
}

/** Null where a backslash is followed by anything undefined: such a frame "MUST be treated as a fatal protocol error". */
export function unescapeHeader(text: string, escapes: ReadonlyMap<string, string>): string | null {
  let out = '';
  let from = 0;
  for (let at = text.indexOf('\\'); at !== -1; at = text.indexOf('\\', from)) {
    const meant = escapes.get(text.charAt(at + 1));
    if (meant === undefined) return null;
    out += text.slice(from, at) + meant;
    from = at + 2;
  }
  return out + text.slice(from);
}

export function escapeHeader(text: string, escapes: ReadonlyMap<string, string>): string {
  let out = text;
  // The backslash first: the others bring backslashes of their own.
  if (out.includes('\\')) out = out.replaceAll('\\', '\\\\');
  for (const [letter, meant] of escapes) {
    if (meant !== '\\' && out.includes(meant)) out = out.replaceAll(meant, `\\${letter}`);
  }
  return out;
}
