/** Topics of queues: `$queue/{name}` is what access rules, MQTT clients and the hub call STOMP's `/queue/{name}`. */
export const QUEUE_ROOT = '$queue/';

/** Topics of temporary queues, as `SessionHost.temporaryQueue` gives them; STOMP's `/reply-queue/…`. */
export const REPLY_ROOT = '$reply/';

/** What is sent there goes into a queue and to nobody's topic subscription. */
export function isQueueTopic(topic: string): boolean {
  return topic.startsWith(QUEUE_ROOT) || topic.startsWith(REPLY_ROOT);
}
