/** Commands that one answer may hold, and that an event stream may hold unconfirmed: as many as a device must be able to remember. */
export const MOST_HANDED_OUT = 16;

/** Command ids have neither `.` nor anything that a URL or an event stream would have to escape. */
const SEPARATOR = '.';
const CURSOR = new RegExp(`^[A-Za-z0-9-]{1,64}(\\.[A-Za-z0-9-]{1,64}){0,${MOST_HANDED_OUT - 1}}$`);

/**
 * What an answer held, for the device to give back: the ids of its commands. So it means the same to every connection and after a restart of the
 * hub, and nobody has to remember it. Empty: the answer held nothing.
 */
export function encodeCursor(commandIds: Iterable<string>): string {
  return [...commandIds].join(SEPARATOR);
}

/** The ids in a cursor; null: this is none. */
export function decodeCursor(cursor: string): readonly string[] | null {
  if (cursor === '') return [];
  return CURSOR.test(cursor) ? cursor.split(SEPARATOR) : null;
}
