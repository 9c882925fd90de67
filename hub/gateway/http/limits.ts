/** Bounds of what devices do over HTTP that no option changes. Times in milliseconds. */
export interface HttpDeviceLimits {
  /** How long a request is held back while the backlog is high, and how long an answer waits for the disk; pauseLimitMs may say less. */
  readonly waitMs: number;
  /** Devices whose rate is remembered; the one that came first goes first, and begins anew. */
  readonly countedDevices: number;
}

export const HTTP_DEVICE_LIMITS: HttpDeviceLimits = {
  // Below the 15 to 30 s after which HTTP clients give up by themselves and would send everything once more.
  waitMs: 10_000,
  // Some 100 bytes each.
  countedDevices: 100_000,
};
