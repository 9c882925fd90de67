import { isUtf8 } from 'node:buffer';
import type { CloseReason } from '../close-reasons.ts';
import { ProtocolError } from '../errors.ts';
import { escapesOf, isEscaped, unescapeHeader, type Dialect } from './dialect.ts';
import { COMMANDS_WITH_BODY, excerpt, LIMIT_HEADER, receiptContext, type StompFrame } from './frame.ts';

export interface DecoderOptions {
  /** What the other side may send. Everything else is a ProtocolError. */
  readonly commands: ReadonlySet<string>;
  readonly dialect: Dialect;
  readonly maxHeaders: number;
  /** One header line, its line end not counted. */
  readonly maxHeaderBytes: number;
  /** A whole frame, from the first octet of its command to the NUL that ends it. */
  readonly maxFrameBytes: number;
  /** What `maxFrameBytes` is called where it comes from, for the ERROR. */
  readonly frameLimit?: string;
}

const NUL = 0x00;
const LF = 0x0a;
const CR = 0x0d;
const COLON = 0x3a;
const BACKSLASH = 0x5c;

/** Longer than any command of any STOMP version: what has no line end within it is no STOMP. */
const MAX_COMMAND_BYTES = 32;
const NO_HEADERS: ReadonlyMap<string, string> = new Map();
const NO_BODY = Buffer.alloc(0);

type Part = 'between' | 'command' | 'headers' | 'body';

interface Fault {
  readonly reason: CloseReason;
  readonly message: string;
  /** Name of the limit that was passed. */
  readonly limit: string | null;
}

/**
 * Bytes → frames, by the grammar of all STOMP versions (Augmented BNF) as `dialect` has it; frames may be cut anywhere. Holds nothing between
 * frames, and of an unfinished line or body a copy, never the buffer it was fed.
 *
 * Faults of syntax inside a header block are thrown at its end, so that the ERROR can name the frame's receipt wherever
 * it stood; limits are thrown with the byte that breaks them. After a ProtocolError the decoder is of no more use.
 */
export class StompDecoder {
  /** Of frames that begin from now on; CONNECT decides it. */
  dialect: Dialect;
  /** May be raised or lowered at any time, the frame under way included. */
  maxFrameBytes: number;
  /** Its name in errors. */
  frameLimit: string;
  readonly #options: DecoderOptions;
  #position = 0;
  #part: Part = 'between';
  #carriageReturn = false;
  /** The command line ended with CR LF, so all lines of the frame do. */
  #crLf = false;
  #command = '';
  #headers: Map<string, string> | null = null;
  #headerLines = 0;
  #fault: Fault | null = null;
  #frameBytes = 0;
  /** From content-length; -1: the body ends at the first NUL. */
  #bodyBytes = -1;
  /** The unfinished line or body. */
  #held: Buffer | null = null;
  #heldBytes = 0;

  constructor(options: DecoderOptions) {
    this.#options = options;
    this.dialect = options.dialect;
    this.maxFrameBytes = options.maxFrameBytes;
    this.frameLimit = options.frameLimit ?? 'maxFrameBytes';
  }

  /** Where the last `read` stopped in its chunk. */
  get position(): number {
    return this.#position;
  }

  /** True between frames. */
  get idle(): boolean {
    return this.#part === 'between' && !this.#carriageReturn;
  }

  /**
   * Reads `chunk` from `from` to the end of one frame, at `position`; null when the chunk ended before. The caller goes
   * on at `position`, or stops between two frames. Throws ProtocolError.
   */
  read(chunk: Buffer, from: number): StompFrame | null {
    this.#position = from;
    while (this.#position < chunk.length) {
      if (this.#part === 'between') this.#skipLineEnds(chunk);
      else if (this.#part !== 'body') this.#readLine(chunk);
      else {
        const body = this.#bodyBytes >= 0 ? this.#readCountedBody(chunk) : this.#readBodyToNul(chunk);
        if (body !== null) return this.#finish(body);
      }
    }
    return null;
  }

  /**
   * EOLs between frames are heart-beats, or the optional ones behind a frame. NUL there means nothing: firmware that counts the
   * end of its C string ends its frames twice.
   */
  #skipLineEnds(chunk: Buffer): void {
    while (this.#position < chunk.length) {
      const byte = chunk[this.#position]!;
      if (byte === LF) this.#carriageReturn = false;
      else if (this.#carriageReturn) this.#fail('malformed', 'a carriage return between frames is not followed by LF');
      else if (byte === CR) this.#carriageReturn = true;
      else if (byte !== NUL) {
        this.#part = 'command';
        this.#headers = new Map();
        this.#headerLines = 0;
        this.#frameBytes = 0;
        return;
      }
      this.#position++;
    }
  }

  #readLine(chunk: Buffer): void {
    const from = this.#position;
    const lineEnd = chunk.indexOf(LF, from);
    const to = lineEnd === -1 ? chunk.length : lineEnd;
    this.#count(lineEnd === -1 ? to - from : to - from + 1);
    const last = to > from ? chunk[to - 1] : this.#heldBytes > 0 ? this.#held![this.#heldBytes - 1] : LF;
    this.#checkLine(this.#heldBytes + to - from - (last === CR ? 1 : 0));
    this.#position = to;
    if (lineEnd === -1) {
      // Now and not at the line's end: a client that forgot the blank line waits for an answer.
      if (chunk.includes(NUL, from)) this.#failOnNul();
      this.#hold(chunk, from, to);
      return;
    }
    this.#position++;
    if (this.#heldBytes === 0) {
      this.#takeLine(chunk, from, to);
    } else {
      this.#hold(chunk, from, to);
      const end = this.#heldBytes;
      this.#heldBytes = 0;
      this.#takeLine(this.#held!, 0, end);
    }
  }

  #checkLine(length: number): void {
    if (this.#part === 'command') {
      if (length > MAX_COMMAND_BYTES) this.#fail('malformed', 'this is no STOMP frame: no command begins like this');
    } else if (length > this.#options.maxHeaderBytes) {
      const message = `a header line is longer than ${this.#options.maxHeaderBytes} bytes`;
      this.#fail('limit_exceeded', message, 'maxHeaderBytes');
    }
  }

  /** `buffer[from, to)` is the line, its LF left out. */
  #takeLine(buffer: Buffer, from: number, to: number): void {
    const end = to > from && buffer[to - 1] === CR ? to - 1 : to;
    if (this.#part === 'command') {
      this.#crLf = end < to;
      this.#takeCommand(buffer, from, end);
    } else if (end > from) this.#takeHeader(buffer, from, this.#endsLinesWithCr ? end : to);
    else this.#endHeaders();
  }

  /** CR before LF belongs to the line end, not to the header. */
  get #endsLinesWithCr(): boolean {
    return this.dialect.endsLinesWithCr || this.#crLf || !isEscaped(this.#command);
  }

  #takeCommand(buffer: Buffer, from: number, end: number): void {
    const command = buffer.toString('latin1', from, end);
    if (!this.#options.commands.has(command)) {
      const message = `${excerpt(command)} is no command that is served; these are: ${[...this.#options.commands].join(', ')}`;
      if (!/^[A-Za-z_]+$/.test(command)) this.#fail('malformed', message);
      this.#flaw(message);
    }
    this.#command = command;
    this.#part = 'headers';
  }

  #takeHeader(buffer: Buffer, from: number, end: number): void {
    let colon = -1;
    let ascii = true;
    let escaped = false;
    for (let i = from; i < end; i++) {
      const byte = buffer[i]!;
      if (byte === COLON) {
        if (colon === -1) colon = i;
      } else if (byte === BACKSLASH) escaped = true;
      else if (byte >= 0x80) ascii = false;
      else if (byte === NUL) this.#failOnNul();
      else if (byte === CR && this.dialect.endsLinesWithCr) {
        this.#flaw('a header holds a bare carriage return; it is written \\r');
      }
    }
    if (++this.#headerLines > this.#options.maxHeaders) {
      this.#flaw(`a frame has more than ${this.#options.maxHeaders} headers`, 'limit_exceeded', 'maxHeaders');
    }
    if (colon === -1) this.#flaw(`header line ${this.#headerLines} has no ':'`);
    else if (colon === from) this.#flaw(`header line ${this.#headerLines} has an empty name`);
    else if (!ascii && !isUtf8(buffer.subarray(from, end))) {
      this.#flaw(`header line ${this.#headerLines} is not valid UTF-8`);
    } else {
      const encoding = ascii ? 'latin1' : 'utf8';
      const name = buffer.toString(encoding, from, colon);
      const value = buffer.toString(encoding, colon + 1, end);
      this.#addHeader(name, value, escaped);
    }
  }

  #addHeader(rawName: string, rawValue: string, escaped: boolean): void {
    let name: string | null = rawName;
    let value: string | null = rawValue;
    const escapes = escaped ? escapesOf(this.dialect, this.#command) : null;
    if (escapes !== null) {
      name = unescapeHeader(rawName, escapes);
      value = unescapeHeader(rawValue, escapes);
      if (name === null || value === null) {
        const known = [...escapes.keys()].map((letter) => `\\${letter}`).join(' ');
        this.#flaw(
          `header line ${this.#headerLines} has an undefined escape; STOMP ${this.dialect.version} knows ${known}`,
        );
        return;
      }
    }
    // Of a faulty frame only the receipt still counts.
    if (this.#fault !== null && name !== 'receipt') return;
    if (this.#headers!.has(name)) return;
    this.#headers!.set(name, this.dialect.padsHeaders && isEscaped(this.#command) ? value.trim() : value);
  }

  #endHeaders(): void {
    if (this.#fault !== null) this.#fail(this.#fault.reason, this.#fault.message, this.#fault.limit);
    this.#part = 'body';
    this.#bodyBytes = -1;
    const length = this.#headers!.get('content-length');
    if (length === undefined) return;
    if (!/^[0-9]{1,15}$/.test(length)) this.#fail('malformed', `content-length is no number of octets`);
    this.#bodyBytes = Number(length);
    if (this.#bodyBytes > 0) this.#checkBodyAllowed();
    // Before a byte of the body is kept.
    this.#count(this.#bodyBytes + 1);
  }

  #readCountedBody(chunk: Buffer): Buffer | null {
    const from = this.#position;
    const missing = this.#bodyBytes - this.#heldBytes;
    if (chunk.length - from <= missing) {
      this.#hold(chunk, from, chunk.length);
      this.#position = chunk.length;
      return null;
    }
    if (chunk[from + missing] !== NUL) {
      this.#fail('malformed', `no NUL follows the ${this.#bodyBytes} octets of content-length`);
    }
    this.#position = from + missing + 1;
    return this.#body(chunk, from, from + missing);
  }

  #readBodyToNul(chunk: Buffer): Buffer | null {
    const from = this.#position;
    const end = chunk.indexOf(NUL, from);
    const to = end === -1 ? chunk.length : end;
    // Old clients have a line end before the NUL of their CONNECT.
    if (to > from && (isEscaped(this.#command) || !isBlank(chunk, from, to))) this.#checkBodyAllowed();
    this.#count(end === -1 ? to - from : to - from + 1);
    if (end === -1) {
      this.#hold(chunk, from, to);
      this.#position = to;
      return null;
    }
    this.#position = to + 1;
    return this.#body(chunk, from, to);
  }

  #checkBodyAllowed(): void {
    if (COMMANDS_WITH_BODY.has(this.#command)) return;
    if (this.dialect.ignoresBodies && isEscaped(this.#command)) return;
    this.#fail('malformed', `a ${this.#command} frame has no body (is the NUL missing that ends it?)`);
  }

  /** The held part with the chunk's, without a copy when nothing was held. */
  #body(chunk: Buffer, from: number, to: number): Buffer {
    if (this.#heldBytes === 0) return to === from ? NO_BODY : chunk.subarray(from, to);
    this.#hold(chunk, from, to);
    return this.#held!.subarray(0, this.#heldBytes);
  }

  #finish(body: Buffer): StompFrame {
    const frame: StompFrame = { command: this.#command, headers: this.#headers!, body };
    this.#reset();
    return frame;
  }

  #reset(): void {
    this.#part = 'between';
    this.#command = '';
    this.#headers = null;
    this.#held = null;
    this.#heldBytes = 0;
  }

  /** Copies into a buffer of its own that doubles, so that feeding byte by byte stays linear. Unpooled: it pins nothing else. */
  #hold(chunk: Buffer, from: number, to: number): void {
    const needed = this.#heldBytes + to - from;
    if (this.#held === null || this.#held.length < needed) {
      // The limit bounds what can ever be held, but it may have been lowered.
      const grown = Math.max(needed, Math.min(Math.max(64, 2 * this.#heldBytes), this.maxFrameBytes));
      const larger = Buffer.allocUnsafeSlow(grown);
      this.#held?.copy(larger, 0, 0, this.#heldBytes);
      this.#held = larger;
    }
    chunk.copy(this.#held, this.#heldBytes, from, to);
    this.#heldBytes = needed;
  }

  /** Notes the first fault of a header block; `#endHeaders` throws it. */
  #flaw(message: string, reason: CloseReason = 'malformed', limit: string | null = null): void {
    this.#fault ??= { reason, message, limit };
  }

  #count(bytes: number): void {
    this.#frameBytes += bytes;
    if (this.#frameBytes > this.maxFrameBytes) {
      this.#fail('too_large', `a frame is larger than ${this.maxFrameBytes} bytes`, this.frameLimit);
    }
  }

  #failOnNul(): never {
    return this.#fail('malformed', 'NUL inside a command or header (is the blank line missing that ends the headers?)');
  }

  #fail(reason: CloseReason, message: string, limit: string | null = null): never {
    const receipt = receiptContext(this.#headers ?? NO_HEADERS);
    this.#reset();
    if (limit === null) throw new ProtocolError(reason, message, receipt);
    throw new ProtocolError(reason, `${message} (${limit})`, { ...receipt, [LIMIT_HEADER]: limit });
  }
}

/** Nothing but line ends. */
function isBlank(chunk: Buffer, from: number, to: number): boolean {
  for (let i = from; i < to; i++) if (chunk[i] !== LF && chunk[i] !== CR) return false;
  return true;
}
