import { fileQueue } from '#devices-sim/device/file-queue.js';

/** Keeps one message in a queue and holds it until it is killed: `node file-queue-holder.ts FOLDER`. */
const queue = await fileQueue({ folder: process.argv[2]! });
const message = { timeUs: null, readings: [{ metric: 'n', value: 1 }] };
queue.push(message, 0, { kept: () => console.log('kept'), stored: () => undefined, failed: () => undefined });
setInterval(() => undefined, 1000);
