import { DeviceClient, type ClientParts } from './client.ts';
import type { OpenChannel } from './channel.ts';
import type { Scheduler } from './core.ts';
import { MemoryQueue } from './memory-queue.ts';
import { CLIENT_RECONNECT, MAX_MESSAGE_BYTES, type CommonOptions } from './options.ts';
import type { QueueBounds } from './queue.ts';

/** Timers take at most 2^31 − 1 ms. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Timers as Node and browsers have them. */
const TIMERS: Scheduler & { everySecond(run: () => void): () => void } = {
  at(atMs, run) {
    const timer = setTimeout(run, Math.min(MAX_TIMER_MS, Math.max(0, atMs - performance.now())));
    return { cancel: () => clearTimeout(timer) };
  },
  everySecond(run) {
    const timer = setInterval(run, 1000);
    return () => clearInterval(timer);
  },
};

/** A queue that is gone with the program. Defaults: 1,000 messages, 1 MiB, `refuse`. */
export function memoryQueue(bounds: Partial<QueueBounds> = {}): MemoryQueue {
  return new MemoryQueue(bounds);
}

/** A client on real timers and clocks. */
export function startClient(options: CommonOptions, openChannel: OpenChannel, hearsPings: boolean): DeviceClient {
  const parts: ClientParts = {
    queue: options.queue ?? memoryQueue(),
    openChannel,
    hearsPings,
    onCommand: options.onCommand ?? null,
    commandsAtOnce: options.commandsAtOnce ?? 1,
    maxMessageBytes: options.maxMessageBytes ?? MAX_MESSAGE_BYTES,
    clock: options.clock ?? 'hub',
    reconnect: options.reconnect ?? CLIENT_RECONNECT,
    random: { next: () => Math.random() },
    schedule: TIMERS,
    monotonicMs: () => performance.now(),
    wallMs: () => Date.now(),
  };
  return new DeviceClient(parts);
}
