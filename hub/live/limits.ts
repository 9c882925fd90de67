/** Bounds of the live feed: what viewers may cost. */
export interface LiveLimits {
  /** Between two flushes to a viewer. */
  readonly flushMs: number;
  /** How long changes are still noted after the last viewer has gone, so that it may come back and go on. */
  readonly keepMs: number;
  /** `liveViewers` of the configuration. */
  readonly maxViewers: number;
  /** Devices that one viewer may select by name. */
  readonly maxSelectedDevices: number;
  /** Things whose last change is known; past it the change that is longest ago is forgotten, and who needed it gets `resync`. */
  readonly journalEntries: number;
  /** Bytes of command results held for viewers, at most. */
  readonly journalBytes: number;
  /** Rough size of one event, in characters of its text. */
  readonly eventCharacters: number;
  /** Longest text value, in characters; longer ones are cut. */
  readonly textCharacters: number;
  /** Longest command result, in characters of JSON; longer ones are left out. */
  readonly resultCharacters: number;
  /** How often the hub's own health is looked at while somebody watches. */
  readonly alarmMs: number;
  /** How often the hub's figures are told while somebody watches. */
  readonly figuresMs: number;
  /** `many_refused`: so many refused handshakes within a minute; it clears below half of it. */
  readonly refusedPerMinute: number;
}

export const LIVE_LIMITS: Omit<LiveLimits, 'maxViewers'> = {
  // Four times a second is what an eye can follow.
  flushMs: 250,
  // A page that is loaded again, a laptop that changes its network.
  keepMs: 60_000,
  // Fits in a URL of 16 KiB with ids of usual length.
  maxSelectedDevices: 500,
  // 20,000 devices with five metrics each; about 10 MB.
  journalEntries: 100_000,
  journalBytes: 8 * 1024 * 1024,
  // Two or three hundred values: large enough for the cost of an event to vanish, and six times (the longest escape of a
  // character in JSON) of it stays below what may wait for one viewer.
  eventCharacters: 24 * 1024,
  textCharacters: 1024,
  resultCharacters: 2048,
  alarmMs: 1000,
  figuresMs: 1000,
  // A device that tries once a second with a wrong password, or a fleet with a wrong subprotocol.
  refusedPerMinute: 60,
};
