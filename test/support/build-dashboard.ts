import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

/** Before the end-to-end tests, once for all of them: the hubs that they start serve the dashboard as it is now. */
export default function buildDashboard(): void {
  const build = join(import.meta.dirname, '../../dashboard/build.ts');
  execFileSync(process.execPath, [build, '--if-needed'], { stdio: 'inherit' });
}
