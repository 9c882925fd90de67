/** What has happened to messages of queues since the start. */
export interface QueueTallies {
  /** Put into a queue. */
  sent: number;
  /** Given to a consumer, and how many of those not for the first time. */
  given: number;
  redelivered: number;
  acknowledged: number;
  /** Not taken, because of a bound: their senders were told. */
  refused: number;
  /** Dropped, because a durable subscription or a temporary queue was full. */
  dropped: number;
  /** Sent to a temporary queue that is not there any more. */
  nobody: number;
  expired: number;
  /** Went to the dead letters, and how many of those found no room there. */
  dead: number;
  deadDropped: number;
}

export function noTallies(): QueueTallies {
  const none = { sent: 0, given: 0, redelivered: 0, acknowledged: 0 };
  return { ...none, refused: 0, dropped: 0, nobody: 0, expired: 0, dead: 0, deadDropped: 0 };
}
