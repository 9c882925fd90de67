/** `engines` in package.json says the same (tested). */
const OLDEST_NODE = 24;
/** A small young generation: 13.7 instead of 20.2 KB for an idle connection (bench/results.md). */
const HEAP_FLAG = '--max-semi-space-size';
const HEAP_FLAG_MIB = 8;
/** Those that run a hub or a fleet. The others are over before the heap matters, and start faster as they are. */
const LONG_RUNNING = ['serve', 'demo', 'sim'];

/** What is looked at of the process. */
export interface Launching {
  readonly version: string;
  readonly argv: readonly string[];
  readonly execArgv: readonly string[];
  readonly execPath: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stderr: { write(text: string): unknown };
  readonly exit: (code: number) => void;
  /** Puts another program in the place of this one. Windows has no such thing. */
  readonly execve?: ((file: string, args: readonly string[], env?: NodeJS.ProcessEnv) => unknown) | undefined;
}

/**
 * Loads the command line. On a Node that is too old it says so in one sentence and exits with 1. A hub gets its heap flag
 * first, by starting this process anew in its own place, where that can be done; a heap flag of the user's own stands.
 */
export function launch(me: Launching, load: () => Promise<unknown>): void {
  if (Number(me.version.slice(1).split('.')[0]) < OLDEST_NODE) {
    me.stderr.write(`muster needs Node ${OLDEST_NODE} or newer, and this is ${me.version}: see https://nodejs.org\n`);
    me.exit(1);
  } else if (me.execve !== undefined && wantsHeapFlag(me)) {
    const flags = [...me.execArgv, `${HEAP_FLAG}=${HEAP_FLAG_MIB}`];
    me.execve(me.execPath, [me.execPath, ...flags, ...me.argv.slice(1)], me.env);
  } else {
    void load();
  }
}

function wantsHeapFlag(me: Launching): boolean {
  const given = [...me.execArgv, me.env.NODE_OPTIONS].some((text) => text !== undefined && text.includes(HEAP_FLAG));
  return !given && me.argv.slice(2).some((word) => LONG_RUNNING.includes(word));
}
