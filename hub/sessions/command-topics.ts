const DEVICES = 'devices/';

/**
 * Does the topic stand under `devices/{device}/commands/`? Commands come from their own table, and to their device not as messages. Nothing is made
 * for the answer, not even the prefix, which each session would keep.
 */
export function isCommandTopicOf(topic: string, device: string): boolean {
  return (
    topic.startsWith(DEVICES) &&
    topic.startsWith(device, DEVICES.length) &&
    topic.startsWith('/commands/', DEVICES.length + device.length)
  );
}
