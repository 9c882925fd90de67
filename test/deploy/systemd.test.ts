import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { resolveConfig } from '#hub/config.js';
import { DEPLOY, need, runTool } from './tool.ts';

/** On systemd's scale from 0 (locked up) to 10 (everything allowed); units without any hardening have 9.6. */
const MOST_EXPOSED = 2;

describe('muster.service', () => {
  const unit = readFileSync(join(DEPLOY, 'systemd/muster.service'), 'utf8');
  const setting = (name: string): string | undefined => new RegExp(`^${name}=(.*)$`, 'm').exec(unit)?.[1];
  let folder: string;
  let installed: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'muster-unit-'));
    installed = join(folder, 'muster.service');
    // Muster is not installed where the tests run, and systemd checks that its program is there.
    writeFileSync(installed, unit.replace('/usr/local/bin/muster', process.execPath));
  });
  afterAll(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  it('is valid for systemd', (context) => {
    need(context, 'systemd-analyze', 'systemd');
    expect(runTool('systemd-analyze', ['verify', '--man=no', installed])).toEqual({ status: 0, output: '' });
  });

  it('is hardened, by the measure of systemd-analyze security', (context) => {
    need(context, 'systemd-analyze', 'systemd');
    const words = ['security', '--offline=yes', '--no-pager', `--threshold=${MOST_EXPOSED * 10}`, installed];
    const { status, output } = runTool('systemd-analyze', words);
    expect(Number(/exposure level for muster\.service: (\d+\.\d+)/.exec(output)?.[1])).toBeLessThanOrEqual(
      MOST_EXPOSED,
    );
    expect(status).toBe(0);
  });

  it('lets the hub compile to memory, open its connections, write its data and take new certificates', () => {
    expect(setting('MemoryDenyWriteExecute')).toBeUndefined();
    expect(Number(setting('LimitNOFILE'))).toBeGreaterThan(resolveConfig({}, {}).config.maxConnections);
    expect(unit).toContain(`MUSTER_DATA=/var/lib/${setting('StateDirectory')}`);
    expect(setting('ExecReload')).toBe('/bin/kill -HUP $MAINPID');
  });

  it('waits longer for the hub to stop than the hub itself does', () => {
    expect(Number(setting('TimeoutStopSec')) * 1000).toBeGreaterThan(resolveConfig({}, {}).config.shutdownTimeoutMs);
  });
});
