import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** One system call that has returned, or that was begun: as strace saw it. */
export interface SystemCall {
  readonly name: string;
  /** What its first argument, a file descriptor, stands for: a path, or `socket:[…]`. */
  readonly file: string;
  /** All bytes of its buffers, as far as strace prints them. */
  readonly bytes: Buffer;
  /** Place of the line at which it was begun, and of that at which it returned. */
  readonly begun: number;
  readonly returned: number;
}

const CALLS = 'fsync,fdatasync,pwrite64,read,recvfrom,recvmsg,write,writev,sendto,sendmsg';

/**
 * The command under which a program's system calls are written to `output`. Null, after saying why on the console: there is
 * no strace here, or it may not trace. Throws instead where tests must not be left out (the variable CI is set).
 */
export function straceTo(output: string): readonly string[] | null {
  const tried = spawnSync('strace', ['-f', '-e', 'trace=none', 'true'], { encoding: 'utf8' });
  if (tried.status === 0) {
    // -D: the program is the child, not strace; -y, -xx, -s: files by name, bytes in hexadecimal, enough of them.
    return ['strace', '-D', '-f', '-y', '-xx', '-s', '512', '-e', `trace=${CALLS}`, '-o', output];
  }
  const why = tried.error === undefined ? tried.stderr.trim() : 'there is no strace';
  const help = `the durability trace needs strace: apt-get install strace (${why})`;
  if (process.env.CI !== undefined) throw new Error(help);
  console.warn(`not run: ${help}`);
  return null;
}

/** The calls in the order in which they returned. */
export function readSystemCalls(output: string): SystemCall[] {
  const calls: SystemCall[] = [];
  const unfinished = new Map<string, { name: string; text: string; begun: number }>();
  readFileSync(output, 'latin1')
    .split('\n')
    .forEach((line, at) => {
      const whole = /^(\d+) +(\w+)\((.*)$/.exec(line);
      const resumed = /^(\d+) +<\.\.\. (\w+) resumed>(.*)$/.exec(line);
      if (resumed !== null) {
        const [, pid, name, text] = resumed as unknown as [string, string, string, string];
        const start = unfinished.get(pid);
        unfinished.delete(pid);
        if (start?.name === name) calls.push(call(name, start.text + text, start.begun, at));
      } else if (whole !== null) {
        const [, pid, name, text] = whole as unknown as [string, string, string, string];
        if (text.endsWith('<unfinished ...>')) unfinished.set(pid, { name, text, begun: at });
        else calls.push(call(name, text, at, at));
      }
    });
  return calls;
}

function call(name: string, text: string, begun: number, returned: number): SystemCall {
  const file = /^\d+<([^>]*)>/.exec(text)?.[1] ?? '';
  const buffers = [...text.matchAll(/"([^"]*)"/g)].map((match) => match[1]!);
  return { name, file: unescaped(file).toString(), bytes: Buffer.concat(buffers.map(unescaped)), begun, returned };
}

function unescaped(text: string): Buffer {
  return Buffer.from(text.replaceAll('\\x', ''), 'hex');
}
