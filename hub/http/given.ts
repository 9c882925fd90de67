type Given<T> = { [K in keyof T]: Exclude<T[K], undefined> };

/** Without the keys whose value is undefined: "not given" and "set to nothing" must not be mixed up. */
export function given<T extends object>(object: T): Given<T> {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as Given<T>;
}
