/** A reader and a writer of STOMP frames for tests, written from the specification and not from the hub's code. */

export type Version = '1.0' | '1.1' | '1.2';
export type Headers = Readonly<Record<string, string>>;

/** A frame that came from the hub. */
export interface Received {
  readonly command: string;
  /** Unescaped; of repeated headers the first. */
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: Buffer;
  readonly raw: Buffer;
}

const ESCAPES: Readonly<Record<Version, Readonly<Record<string, string>>>> = {
  '1.0': {},
  '1.1': { n: '\n', c: ':', '\\': '\\' },
  '1.2': { r: '\r', n: '\n', c: ':', '\\': '\\' },
};

/** How a header says this text in that version. */
export function escaped(version: Version, text: string): string {
  if (version === '1.0') return text;
  const letters = Object.entries(ESCAPES[version]);
  return text.replaceAll(/[\r\n:\\]/g, (character) => {
    const letter = letters.find(([, meant]) => meant === character)?.[0];
    return letter === undefined ? character : `\\${letter}`;
  });
}

function unescaped(version: Version, text: string): string {
  if (version === '1.0') return text;
  return text.replaceAll(/\\([\s\S]?)/g, (_, letter: string) => {
    const meant = ESCAPES[version][letter];
    if (meant === undefined) throw new Error(`the hub sent the escape \\${letter} in STOMP ${version}`);
    return meant;
  });
}

/** A frame as bytes; names and values are written as they are. */
export function frame(command: string, headers: Headers | readonly string[] = {}, body: string | Buffer = ''): Buffer {
  const lines = Array.isArray(headers)
    ? (headers as readonly string[])
    : Object.entries(headers as Headers).map(([name, value]) => `${name}:${value}`);
  const head = Buffer.from([command, ...lines, '', ''].join('\n'));
  return Buffer.concat([head, Buffer.from(body), Buffer.from([0])]);
}

/** Whole frames and line ends taken off the front of `bytes`. */
export interface Taken {
  readonly frames: readonly Received[];
  /** Line ends between frames: heart-beats. */
  readonly beats: number;
  readonly rest: Buffer;
}

export function take(version: Version, bytes: Buffer): Taken {
  const frames: Received[] = [];
  let beats = 0;
  let at = 0;
  while (at < bytes.length) {
    if (bytes[at] === 0x0a) {
      beats++;
      at++;
      continue;
    }
    const found = frameAt(version, bytes, at);
    if (found === null) break;
    frames.push(found);
    at += found.raw.length;
  }
  return { frames, beats, rest: bytes.subarray(at) };
}

function frameAt(version: Version, bytes: Buffer, at: number): Received | null {
  const blank = bytes.indexOf('\n\n', at);
  if (blank === -1) return null;
  const [command = '', ...lines] = bytes.toString('utf8', at, blank).split('\n');
  const plain = command === 'CONNECTED';
  const headers: Record<string, string> = Object.create(null) as Record<string, string>;
  for (const line of lines) {
    const colon = line.indexOf(':');
    if (colon < 1) throw new Error(`the hub sent the header line ${JSON.stringify(line)}`);
    const [name, value] = [line.slice(0, colon), line.slice(colon + 1)].map((text) =>
      plain ? text : unescaped(version, text),
    );
    headers[name!] ??= value!;
  }
  const from = blank + 2;
  const length = headers['content-length'];
  const end = length === undefined ? bytes.indexOf(0, from) : from + Number(length);
  if (end === -1 || end >= bytes.length) return null;
  if (bytes[end] !== 0) throw new Error(`no NUL behind the body of a ${command}`);
  return { command, headers, body: bytes.subarray(from, end), raw: bytes.subarray(at, end + 1) };
}
