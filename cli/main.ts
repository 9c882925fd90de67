#!/usr/bin/env node
import { run } from './run.ts';

const code = await run(
  process.argv.slice(2),
  {
    stdout: process.stdout,
    stderr: process.stderr,
    env: process.env,
    signals: process,
    exit: (code) => process.exit(code),
    monotonic: () => performance.now(),
  },
  async () => (await import('#hub/compose.js')).startHub,
);
// Nothing that is still open (a keep-alive connection, a worker that could not start) may hold the process.
process.exit(code);
