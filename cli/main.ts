#!/usr/bin/env node
import { run } from './run.ts';

// Whoever reads the output may stop before its end, as `head` does.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  process.exit(error.code === 'EPIPE' ? 0 : 1);
});

const code = await run(
  process.argv.slice(2),
  {
    stdout: process.stdout,
    stderr: process.stderr,
    env: process.env,
    cwd: process.cwd(),
    signals: process,
    exit: (code) => process.exit(code),
    monotonic: () => performance.now(),
    now: () => Date.now(),
  },
  async () => (await import('#hub/compose.js')).startHub,
);
// Nothing that is still open (a keep-alive connection, a worker that could not start) may hold the process.
process.exit(code);
