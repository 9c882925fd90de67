/** A place in the feed of one run of the hub, as ids of events name it: `<run>-<n>`. */
export interface Position {
  readonly run: string;
  readonly n: number;
}

/** Null: this is no id of a live event. */
export function parsePosition(text: string): Position | null {
  const match = /^([A-Za-z0-9]{1,32})-(\d{1,15})$/.exec(text);
  return match === null ? null : { run: match[1]!, n: Number(match[2]) };
}
