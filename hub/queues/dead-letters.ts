import type { RoutedMessage } from '#protocols/message.js';
import { QUEUE_ROOT } from '#protocols/queues.js';

/** Takes the dead messages of durable subscriptions, and of queues whose own dead letters cannot be had. */
export const DEAD_LETTERS = 'dead-letters';

const PREFIX = `${DEAD_LETTERS}/`;

/** The queue of the dead messages of a queue. */
export function deadLettersOf(name: string): string {
  return PREFIX + name;
}

/** What is refused there stays there. */
export function isDeadLetters(name: string): boolean {
  return name === DEAD_LETTERS || name.startsWith(PREFIX);
}

/** Said of a dead message by the hub alone: the first of repeated headers counts. */
const SAID: ReadonlySet<string> = new Set(['original-topic', 'dead-in', 'refused']);

/** A dead message as it stands in `queue`: what it was is said in headers. It does not expire any more, so that somebody can look at it. */
export function deadLetter(message: RoutedMessage, queue: string, refused: number, from: string): RoutedMessage {
  const { properties, headers } = message;
  const { expiresMs: _, ...kept } = properties ?? {};
  return {
    ...message,
    topic: QUEUE_ROOT + queue,
    headers: [
      ...headers.filter(([name]) => !SAID.has(name)),
      ['original-topic', message.topic],
      ['dead-in', from],
      ['refused', String(refused)],
    ],
    ...(properties === undefined ? {} : { properties: kept }),
  };
}
