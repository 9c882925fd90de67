import { ProtocolError } from '../errors.ts';
import { isTopicFilter } from '../topics.ts';
import type { Level } from './packet.ts';

/** A topic filter taken apart; `share` null: it is not shared. */
export interface Filter {
  readonly share: string | null;
  readonly filter: string;
}

const SHARE = '$share/';

/**
 * Takes a filter apart: `$share/{name}/{filter}` is a shared subscription (MQTT 5.0, 4.8.2), and is served to clients of MQTT 3 as
 * well. What is no filter closes (ProtocolError) [MQTT-4.7.1-1, MQTT-4.7.1-2, MQTT-4.7.3-1]; so does what begins like a shared
 * subscription and is none [MQTT-4.8.2-1, MQTT-4.8.2-2], but MQTT 3 knows no such rule: null, and it is refused alone.
 */
export function partsOf(written: string, level: Level): Filter | null {
  if (!isTopicFilter(written)) {
    throw new ProtocolError('malformed', 'a topic filter is empty or has a wildcard in a wrong place [MQTT-4.7.1-1]');
  }
  if (!written.startsWith(SHARE)) return { share: null, filter: written };
  // What was checked above keeps wildcards out of the name but for one that is its whole level.
  const [share = '', ...levels] = written.slice(SHARE.length).split('/');
  const filter = levels.join('/');
  if (share !== '' && share !== '+' && share !== '#' && filter !== '') return { share, filter };
  if (level !== 5) return null;
  throw new ProtocolError('malformed', 'a shared subscription is $share/{name}/{filter} [MQTT-4.8.2-1, MQTT-4.8.2-2]');
}
