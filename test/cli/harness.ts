import { EventEmitter } from 'node:events';
import { run } from '#cli/run.js';
import type { StartHub } from '#cli/serve.js';

/** A process made of plain objects. */
export class FakeProcess {
  out = '';
  err = '';
  readonly env: Record<string, string | undefined> = {};
  readonly signals = new EventEmitter();
  readonly exits: number[] = [];
  nowMs = 0;
  wallMs = Date.UTC(2026, 0, 1);
  /** A folder that does not exist, unless a test gives another. */
  cwd = '/nonexistent/muster-test';
  /** Called after each piece of output. */
  onOutput: () => void = () => undefined;

  readonly stdout: { isTTY?: boolean; write: (text: string) => void } = {
    write: (text: string) => {
      this.out += text;
      this.onOutput();
    },
  };
  readonly stderr = { write: (text: string) => void (this.err += text) };
  readonly exit = (code: number) => void this.exits.push(code);
  readonly monotonic = () => this.nowMs;
  readonly now = () => this.wallMs;

  /** Runs a command line and returns its exit code. */
  run(
    words: readonly string[],
    startHub: StartHub = () => Promise.reject(new Error('no hub in this test')),
  ): Promise<number> {
    return run(words, this, () => Promise.resolve(startHub));
  }
}
