/** What stands in the field of a command's parameters. Empty: none, which the hub takes as `{}`. */
export type Parameters =
  | { readonly ok: true; readonly given: false }
  | { readonly ok: true; readonly given: true; readonly value: unknown }
  | { readonly ok: false; readonly error: string };

export function readParameters(text: string): Parameters {
  if (text.trim() === '') return { ok: true, given: false };
  try {
    return { ok: true, given: true, value: JSON.parse(text) as unknown };
  } catch (error) {
    return { ok: false, error: `This is not JSON: ${error instanceof Error ? error.message : 'it cannot be read'}` };
  }
}

const NAME = /^[A-Za-z0-9._-]{1,64}$/;

/** What is wrong with the name of a command; null: nothing. */
export function nameFault(name: string): string | null {
  if (name === '') return 'Give the command a name.';
  if (name === 'result') return 'A command cannot be called "result": that is the topic of its answer.';
  return NAME.test(name) ? null : 'A name is 1 to 64 of A-Z a-z 0-9 . _ -';
}

/** A key that makes a repeated request harmless. Not `randomUUID`: browsers keep that from pages without TLS. */
export function newKey(random: (bytes: Uint8Array) => Uint8Array): string {
  return [...random(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}
