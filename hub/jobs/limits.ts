/** How gently the jobs go about it. */
export interface JobLimits {
  /** Most rows that one write of a retention job removes. */
  readonly sliceRows: number;
  /** Pause between two such writes. */
  readonly slicePauseMs: number;
  /** Most such writes in one run. */
  readonly maxSlices: number;
}

export const JOB_LIMITS: JobLimits = {
  // A few milliseconds in the writer, which no device notices while it waits for its acknowledgement.
  sliceRows: 500,
  // So that readings have the writer most of the time.
  slicePauseMs: 25,
  // Half a million rows in half a minute; what is left goes with the next run.
  maxSlices: 1000,
};
