import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import type { TestContext } from 'vitest';

export const ROOT = join(import.meta.dirname, '../..');
export const DEPLOY = join(ROOT, 'deploy');

/** A program that is no npm package. Where it is missing the test is skipped with the reason; in CI it fails instead, so that nothing goes unchecked there. */
export function need(context: TestContext, program: string, debianPackage: string, probe = '--version'): void {
  if (spawnSync(program, [...probe.split(' ')], { stdio: 'ignore' }).status === 0) return;
  const reason = `${program} is missing: apt-get install ${debianPackage}`;
  if (process.env.CI !== undefined) throw new Error(reason);
  console.warn(`skipped: ${reason}`);
  context.skip(reason);
}

/** Runs it to its end. Both outputs as one text. */
export function runTool(program: string, words: readonly string[], env: NodeJS.ProcessEnv = process.env) {
  const { status, stdout, stderr } = spawnSync(program, [...words], { cwd: ROOT, env, encoding: 'utf8' });
  return { status, output: `${stdout}${stderr}` };
}
