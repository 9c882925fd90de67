import type { Counters, Tally } from './counters.ts';
import type { SysReading } from './sys-topics.ts';

/** What of a reading is no counter. */
export type SysLevels = Pick<
  SysReading,
  | 'connected'
  | 'disconnected'
  | 'expired'
  | 'subscriptions'
  | 'sharedSubscriptions'
  | 'retained'
  | 'queued'
  | 'queuedBytes'
  | 'heapBytes'
>;

export function sysReading(counters: Counters, levels: SysLevels): SysReading {
  const { retained: _delivered, ...dropped } = counters.messagesDropped;
  return {
    ...levels,
    connections: sum(counters.connectionsOpened),
    messagesReceived: counters.unitsReceived,
    messagesSent: counters.unitsSent,
    publishesReceived: counters.publishesReceived,
    publishesSent: counters.publishesSent,
    // What was not retained was delivered all the same.
    publishesDropped: sum(dropped),
    bytesReceived: counters.bytesReceived,
    bytesSent: counters.bytesSent,
  };
}

function sum(tally: Readonly<Tally>): number {
  return Object.values(tally).reduce((total, n) => total + n, 0);
}
