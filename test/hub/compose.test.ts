import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { startHub } from '#hub/compose.js';
import { resolveConfig } from '#hub/config.js';
import { createLog } from '#hub/observe/log.js';

let data: string;
beforeEach(() => {
  data = mkdtempSync(join(tmpdir(), 'muster-test-'));
});
afterEach(() => rmSync(data, { recursive: true, force: true }));

it('a start that fails lets go of the data folder', async () => {
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
  const { port } = other.address() as AddressInfo;
  const start = (on: number) =>
    startHub(resolveConfig({ host: '127.0.0.1', data, port: on }, {}).config, { log: createLog('silent') });
  await expect(start(port)).rejects.toThrow('in use');
  other.close();
  const hub = await start(0);
  await hub.stop();
});
