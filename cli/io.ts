import type { EventEmitter } from 'node:events';

/** What a command may touch of the process; tests give their own. */
export interface CliIo {
  readonly stdout: TextSink;
  readonly stderr: TextSink;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Emits SIGINT and SIGTERM. */
  readonly signals: Pick<EventEmitter, 'on' | 'off'>;
  /** Ends the process at once. */
  readonly exit: (code: number) => void;
  /** Milliseconds, never going back. */
  readonly monotonic: () => number;
}

export interface TextSink {
  write(text: string): unknown;
  readonly isTTY?: boolean;
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
