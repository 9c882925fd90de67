import { CliError, type CliIo } from './io.ts';
import { profilesFile, readProfiles, type Profile } from './profiles.ts';
import { readSecret } from './secret-file.ts';

export const DEFAULT_URL = 'http://127.0.0.1:8080';

/** How a command may be told which hub it talks to, and as whom. */
export interface TargetOptions {
  readonly url?: string;
  readonly token?: string;
  readonly tokenFile?: string;
  readonly profile?: string;
}

/** A hub, and the token for it. */
export interface Target {
  /** Origin, without a path. */
  readonly base: string;
  readonly token: string | null;
  /** False: nobody named a hub, so it is the one at the usual address. */
  readonly named: boolean;
}

/**
 * Flags go before the environment, that before the profile in use; a profile named by `--profile` goes before the
 * environment. A profile's token is given to the profile's own address and to no other. Throws CliError.
 */
export async function resolveTarget(options: TargetOptions, io: CliIo): Promise<Target> {
  const env = (name: string): string | undefined => io.env[name] || undefined;
  const named = options.profile !== undefined;
  const flagToken = oneOf('--token', options.token, '--token-file', options.tokenFile, io);
  const envToken = (): string | null =>
    oneOf('MUSTER_TOKEN', env('MUSTER_TOKEN'), 'MUSTER_TOKEN_FILE', env('MUSTER_TOKEN_FILE'), io);
  const url = options.url ?? (named ? undefined : env('MUSTER_URL'));
  const settled = url !== undefined && (flagToken ?? envToken()) !== null;
  const profile = settled && !named ? null : await profileInUse(options.profile ?? env('MUSTER_PROFILE'), io);

  const base = apiBase(url ?? profile?.url ?? DEFAULT_URL);
  const own = profile !== null && apiBase(profile.url) === base ? profile : null;
  const profileToken = (): string | null =>
    own === null ? null : oneOf('token', own.token, 'tokenFile', own.tokenFile, io);
  const token = flagToken ?? (named ? (profileToken() ?? envToken()) : (envToken() ?? profileToken()));
  return { base, token: token === null ? null : usableToken(token), named: url !== undefined || profile !== null };
}

async function profileInUse(name: string | undefined, io: CliIo): Promise<Profile | null> {
  const profiles = await readProfiles(io);
  const wanted = name ?? profiles.current;
  if (wanted === null) return null;
  const found = profiles.profiles.find((profile) => profile.name === wanted);
  if (found !== undefined) return found;
  const others = profiles.profiles.map((profile) => profile.name);
  throw new CliError(
    `there is no profile ${wanted} in ${profilesFile(io) ?? 'the home folder'}: ` +
      (others.length === 0 ? 'add it with `muster profile add`' : `there are ${others.join(', ')}`),
  );
}

function oneOf(
  name: string,
  value: string | undefined,
  fileName: string,
  file: string | undefined,
  io: CliIo,
): string | null {
  if (value !== undefined && file !== undefined)
    throw new CliError(`${name} and ${fileName} are both given: leave one out`);
  return value ?? (file === undefined ? null : readSecret(file, fileName, io));
}

/** What cannot stand in a header cannot be a token; said before it is sent. */
function usableToken(token: string): string {
  if (/^[\x21-\x7e]+$/.test(token)) return token;
  throw new CliError('the API token has spaces or characters that no token has: copy it again, as it was shown');
}

/** Origin of a hub's address. A ws address is as good as an http one: it is the same port. Throws CliError. */
export function apiBase(text: string): string {
  const url = URL.parse(text.replace(/^ws(s?):/, 'http$1:'));
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw new CliError(`"${text}" is no address of a hub: give one such as ${DEFAULT_URL}`);
  }
  return url.origin;
}
