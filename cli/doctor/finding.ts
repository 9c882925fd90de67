/** What a check found, in a line, and what to do about it unless it is well. */
export interface Finding {
  readonly check: string;
  readonly level: 'ok' | 'warn' | 'fail';
  readonly text: string;
  readonly advice: string | null;
}

export function ok(check: string, text: string): Finding {
  return { check, level: 'ok', text, advice: null };
}

/** It works, but not as well as it could. */
export function warn(check: string, text: string, advice: string): Finding {
  return { check, level: 'warn', text, advice };
}

/** The hub would not start, or not keep its promises. */
export function fail(check: string, text: string, advice: string): Finding {
  return { check, level: 'fail', text, advice };
}
