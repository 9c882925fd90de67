import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { DeviceProtocol } from '#devices-sim/device/index.js';
import { Random } from '#devices-sim/random.js';
import { startTestHub, until, type TestHub } from '#test/support/hub.js';

const MAIN = fileURLToPath(new URL('./device-crash-main.ts', import.meta.url));
const KILLS = 6;
const FINAL: ReadonlySet<string> = new Set(['succeeded', 'failed']);

let hub: TestHub;
const folder = mkdtempSync(join(tmpdir(), 'muster-crash-'));
let running: ChildProcess | null = null;

beforeAll(async () => {
  hub = await startTestHub();
});
afterAll(async () => {
  running?.kill('SIGKILL');
  await hub.close();
  rmSync(folder, { recursive: true, force: true });
});

/** What a run of the device said. */
class Run {
  readonly child: ChildProcess;
  #text = '';

  constructor(words: readonly string[]) {
    this.child = spawn(process.execPath, ['--conditions=muster-source', MAIN, ...words]);
    running = this.child;
    for (const stream of [this.child.stdout!, this.child.stderr!]) {
      stream.on('data', (chunk: Buffer) => (this.#text += chunk.toString()));
    }
  }

  /** Whole lines that begin with the word, without it; a last line without its end was still told. */
  said(word: string): string[] {
    return this.#text.split('\n').flatMap((line) => (line.startsWith(`${word} `) ? [line.slice(word.length + 1)] : []));
  }

  get text(): string {
    return this.#text;
  }
}

/** How often each number is in the hub's log, a merge of equal readings left aside. */
async function logged(device: string): Promise<Map<number, number>> {
  const { body } = await hub.api('GET', '/api/v1/export/log?from=2020-01-01T00:00:00Z');
  const counts = new Map<number, number>();
  for (const line of (body as string).split('\n').filter(Boolean)) {
    const row = JSON.parse(line) as { device?: string; metric?: string; value?: number };
    if (row.device === device && row.metric === 'n') counts.set(row.value!, (counts.get(row.value!) ?? 0) + 1);
  }
  return counts;
}

describe.each<DeviceProtocol>(['cbor', 'mqtt', 'stomp', 'http'])(
  'a device over %s that is killed again and again',
  (protocol) => {
    test('loses nothing that its queue had kept, stores nothing twice, and works on no command twice', async () => {
      const id = `crash-${protocol}`;
      const { token } = (await hub.api('POST', '/api/v1/devices', { id })).body;
      const random = new Random(Date.now(), protocol);
      const kept = new Set<number>();
      const works: string[] = [];
      const commands: string[] = [];
      let next = 1;
      const begin = (last: number): Run =>
        new Run([hub.wsUrl, protocol, id, token, join(folder, id), String(next), String(last)]);
      const note = (run: Run): void => {
        expect(run.said('bad')).toEqual([]);
        for (const n of run.said('kept')) kept.add(Number(n));
        works.push(...run.said('works'));
        // Numbers that were lost with their process, before they were kept, are used again by nobody.
        next = Math.max(next, ...kept) + 1000;
      };

      for (let kill = 0; kill < KILLS; kill++) {
        const run = begin(1_000_000);
        await until(`the device keeps something: ${run.text}`, () => run.said('kept').length > 0);
        for (let i = 0; i < 2; i++) {
          const { body } = await hub.api('POST', `/api/v1/devices/${id}/commands`, { name: 'x', params: null });
          commands.push(body.command.id);
        }
        await new Promise((resolve) => setTimeout(resolve, random.integer(150)));
        const gone = once(run.child, 'exit');
        run.child.kill('SIGKILL');
        await gone;
        note(run);
      }
      const end = begin(next + 5);
      await once(end.child, 'exit');
      note(end);
      expect(end.said('left'), end.text).toEqual(['0']);

      const counts = await logged(id);
      expect([...kept].filter((n) => counts.get(n) !== 1)).toEqual([]);
      expect([...counts].filter(([, count]) => count !== 1)).toEqual([]);
      expect(kept.size).toBeGreaterThan(KILLS * 2);
      expect(new Set(works).size).toBe(works.length);
      for (const commandId of commands) {
        const { state } = (await hub.api('GET', `/api/v1/commands/${commandId}`)).body.command;
        expect(FINAL.has(state), `${commandId}: ${state}`).toBe(true);
      }
      const { body } = await hub.api('GET', `/api/v1/devices/${id}/gaps`);
      expect(body.items).toEqual([]);
    }, 120_000);
  },
);
