import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { SIM_OPTION_TABLE } from '#devices-sim/options.js';
import { resolveConfig } from '#hub/config.js';
import { need, ROOT, runTool } from './tool.ts';

interface Service {
  readonly build?: string;
  readonly image: string;
  readonly profiles?: readonly string[];
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
  readonly command?: readonly string[];
  readonly user?: string;
  readonly privileged?: boolean;
  readonly stop_grace_period?: string;
}
const compose = parse(readFileSync(join(ROOT, 'docker-compose.yml'), 'utf8')) as {
  services: Readonly<Record<string, Service>>;
  volumes: Readonly<Record<string, unknown>>;
};
const service = (name: string): Service => compose.services[name]!;

describe('docker-compose.yml', () => {
  it('is valid for docker compose, the simulator included', (context) => {
    const plugin = spawnSync('docker', ['compose', 'version'], { stdio: 'ignore' }).status === 0;
    if (!plugin) need(context, 'docker-compose', 'docker-compose');
    const words = ['--profile', 'sim', 'config', '--quiet'];
    const checked = plugin ? runTool('docker', ['compose', ...words]) : runTool('docker-compose', words);
    expect(checked).toEqual({ status: 0, output: '' });
  });

  it('runs hub and simulator from one image, and the simulator only when asked', () => {
    expect(service('hub').build).toBe('.');
    expect(service('simulator').image).toBe(service('hub').image);
    expect(service('simulator').profiles).toEqual(['sim']);
    expect(service('hub').profiles).toBeUndefined();
  });

  it('gives the simulator flags that it has', () => {
    const [command, ...words] = service('simulator').command!;
    expect(command).toBe('sim');
    const known: readonly string[] = SIM_OPTION_TABLE.map(({ flag }) => flag);
    const given = words.filter((word) => word.startsWith('--'));
    expect(given.filter((flag) => !known.includes(flag))).toEqual([]);
    expect(given.length).toBeGreaterThan(1);
  });

  it('mounts folders that are there and volumes that are declared', () => {
    const sources = Object.values(compose.services).flatMap(({ volumes = [] }) => volumes.map((v) => v.split(':')[0]!));
    expect(sources.length).toBeGreaterThan(4);
    for (const source of sources) {
      if (source.startsWith('.')) expect(existsSync(join(ROOT, source)), source).toBe(true);
      else expect(Object.keys(compose.volumes)).toContain(source);
    }
  });

  it('opens only the hub to the network, pins its images and gives nobody privileges', () => {
    for (const [name, { ports = [], image, build, privileged, user }] of Object.entries(compose.services)) {
      if (name !== 'hub') expect(ports.filter((port) => !port.startsWith('127.0.0.1:'))).toEqual([]);
      if (build === undefined && image !== service('hub').image) expect(image).toMatch(/:v?\d+\.\d+\.\d+$/);
      expect(privileged ?? false).toBe(false);
      expect(user ?? '').not.toMatch(/^(root|0)\b/);
    }
  });

  it('waits longer for the hub to stop than the hub itself does', () => {
    const graceMs = Number(/^(\d+)s$/.exec(service('hub').stop_grace_period!)![1]) * 1000;
    expect(graceMs).toBeGreaterThan(resolveConfig({}, {}).config.shutdownTimeoutMs);
  });
});
