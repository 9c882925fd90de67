/** The run cannot go on (or not start); the message says what to do about it. */
export class SimError extends Error {
  override readonly name = 'SimError';
}
