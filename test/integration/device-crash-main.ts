import { writeSync } from 'node:fs';
import { connect, fileQueue, type DeviceProtocol } from '#devices-sim/device/index.js';

/**
 * A device that counts, and may be killed at any moment: `<url> <protocol> <id> <token> <folder> <first number> <last number>`. Says on stdout which
 * numbers its queue has kept (`kept 17`) and which commands it works on (`works <id>`). With a last number it goes when the hub has everything.
 */
const [url, protocol, deviceId, token, folder, first, last] = process.argv.slice(2) as [
  ...[string, DeviceProtocol, string, string, string, string, string],
];
const say = (text: string): void => void writeSync(1, `${text}\n`);
const client = connect({
  url,
  protocol,
  deviceId,
  token,
  queue: await fileQueue({ folder }),
  reconnect: { baseMs: 20, capMs: 100 },
  onCommand: async ({ id }) => {
    say(`works ${id}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
    return { id };
  },
});
for (const name of ['fault', 'lost', 'refused'] as const) {
  client.on(name, (...what: unknown[]) => say(`bad ${name} ${JSON.stringify(what)}`));
}
for (let n = Number(first); n <= Number(last); n++) {
  await client.send({ n }, Date.now()).kept;
  say(`kept ${n}`);
}
const left = await client.close({ timeoutMs: 20_000 });
say(`left ${left}`);
