import type { EventEmitter } from 'node:events';

/** What a command may touch of the process; tests give their own. */
export interface CliIo {
  readonly stdout: TextSink;
  readonly stderr: TextSink;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Folder from which relative paths are seen. */
  readonly cwd: string;
  /** Emits SIGINT and SIGTERM. */
  readonly signals: Pick<EventEmitter, 'on' | 'off'>;
  /** Ends the process at once. */
  readonly exit: (code: number) => void;
  /** Milliseconds, never going back. */
  readonly monotonic: () => number;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

export interface TextSink {
  /** False, from a stream: wait for `drain` before the next. */
  write(text: string): unknown;
  readonly isTTY?: boolean;
  once?(event: 'drain', listener: () => void): unknown;
}

/** What the command ends with. */
export type ExitCode = number;

/** Something the user can put right: one clear sentence that says what to do, no stack. */
export class CliError extends Error {
  override readonly name = 'CliError';
}

export function print(io: CliIo, text: string): void {
  io.stdout.write(`${text}\n`);
}

export function printJson(io: CliIo, value: unknown): void {
  print(io, JSON.stringify(value, null, 2));
}

/** Writes; what it returns resolves when the reader has room for more. */
export function writeOut(sink: TextSink, text: string): Promise<void> | undefined {
  if (sink.write(text) !== false || sink.once === undefined) return undefined;
  return new Promise((resolve) => sink.once!('drain', resolve));
}
