import type { Qos } from '#protocols/message.js';
import { levelCount } from '#protocols/topics.js';

/** The matcher under aedes throws past 100 levels; sessions allow far fewer (`maxTopicLevels`). */
const MAX_LEVELS = 100;

/** Past the level limit of the matcher is a caller's mistake: throws RangeError before anything was changed. */
export function checkLevels(topicOrFilter: string): void {
  if (levelCount(topicOrFilter) > MAX_LEVELS) {
    throw new RangeError(
      `the router takes at most ${MAX_LEVELS} topic levels; check the limit where the topic came in`,
    );
  }
}

export function lowerQos(a: Qos, b: Qos): Qos {
  return a < b ? a : b;
}
