/** Is this value of JSON nested deeper than `most` levels of arrays and objects? Looks no deeper than that. */
export function deeperThan(value: unknown, most: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (most === 0) return true;
  return Object.values(value).some((inner) => deeperThan(inner, most - 1));
}
