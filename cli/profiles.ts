import { chmodSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { Document } from 'yaml';
import { CliError, type CliIo } from './io.ts';
import { fileProblem } from './secret-file.ts';

/** A hub that the command line knows by a name. */
export interface Profile {
  readonly name: string;
  readonly url: string;
  readonly token?: string;
  readonly tokenFile?: string;
}

export interface Profiles {
  /** In use when no other is named. */
  readonly current: string | null;
  readonly profiles: readonly Profile[];
}

const NONE: Profiles = { current: null, profiles: [] };
const NAME = /^[A-Za-z0-9._-]{1,64}$/;

/** `$XDG_CONFIG_HOME/muster/config.yaml`, else `~/.config/muster/config.yaml`; null: this user has no home. */
export function profilesFile(io: CliIo): string | null {
  const { XDG_CONFIG_HOME, HOME, APPDATA } = io.env;
  const folder = XDG_CONFIG_HOME || (HOME ? join(HOME, '.config') : APPDATA);
  return folder ? join(folder, 'muster', 'config.yaml') : null;
}

export async function readProfiles(io: CliIo): Promise<Profiles> {
  const document = await readDocument(io);
  return document === null ? NONE : profilesIn(document, profilesFile(io)!);
}

/** Adds a profile or replaces it. The first one is taken into use. */
export async function putProfile(io: CliIo, { name, ...settings }: Profile): Promise<void> {
  if (!NAME.test(name)) throw new CliError(`"${name}" is no name for a profile: use 1 to 64 of A-Z a-z 0-9 . _ -`);
  await change(io, (document) => {
    document.setIn(['profiles', name], document.createNode(settings));
    if (typeof document.get('current') !== 'string') document.set('current', name);
  });
}

/** Takes a profile into use, or removes it. Throws CliError when there is none of that name. */
export async function useProfile(io: CliIo, name: string): Promise<void> {
  await change(io, (document) => {
    mustHave(document, name, io);
    document.set('current', name);
  });
}

export async function removeProfile(io: CliIo, name: string): Promise<void> {
  await change(io, (document) => {
    mustHave(document, name, io);
    document.deleteIn(['profiles', name]);
    // Not deleted: the comments before the key would go with it.
    if (document.get('current') === name) document.set('current', null);
  });
}

function mustHave(document: Document, name: string, io: CliIo): void {
  if (document.hasIn(['profiles', name])) return;
  throw new CliError(
    `there is no profile ${name} in ${profilesFile(io)!}: \`muster profile list\` shows what there is`,
  );
}

/** Null: there is no file. `yaml` is loaded only when there is one, since most commands need none. */
async function readDocument(io: CliIo): Promise<Document | null> {
  const path = profilesFile(io);
  if (path === null) return null;
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw new CliError(fileProblem(error, path));
  }
  const { parseDocument } = await import('yaml');
  const document = parseDocument(text);
  const [error] = document.errors;
  if (error !== undefined) throw new CliError(`${path} cannot be read: ${error.message.split('\n')[0]!}`);
  return document;
}

async function change(io: CliIo, edit: (document: Document) => void): Promise<void> {
  const path = profilesFile(io);
  if (path === null) throw new CliError('there is no home folder for profiles: set HOME or XDG_CONFIG_HOME');
  const { Document } = await import('yaml');
  const document = (await readDocument(io)) ?? new Document({});
  if (document.contents === null) document.contents = document.createNode({});
  profilesIn(document, path);
  edit(document);
  writePrivately(path, document.toString());
}

/** For its owner alone, since it may hold tokens; whole or not at all. */
function writePrivately(path: string, text: string): void {
  const next = `${path}.new`;
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    writeFileSync(next, text, { mode: 0o600 });
    chmodSync(next, 0o600);
    renameSync(next, path);
  } catch (error) {
    throw new CliError(fileProblem(error, path));
  }
}

function profilesIn(document: Document, path: string): Profiles {
  const wrong = (what: string): CliError => new CliError(`${path}: ${what}`);
  const top: unknown = document.toJS();
  if (top === null || top === undefined) return NONE;
  if (!isObject(top)) throw wrong('expected `profiles:` with a name and a url for each');
  const { current = null, profiles = {}, ...unknown } = top;
  const [key] = Object.keys(unknown);
  if (key !== undefined) throw wrong(`unknown key ${key}: there are current and profiles`);
  if (current !== null && typeof current !== 'string') throw wrong('current must be the name of a profile');
  if (!isObject(profiles)) throw wrong('profiles must have a name and a url for each');
  const entries = Object.entries(profiles).map(([name, value]) => profileOf(name, value, path));
  return { current, profiles: entries };
}

function profileOf(name: string, value: unknown, path: string): Profile {
  const wrong = (what: string): CliError => new CliError(`${path}: profile ${name}${what}`);
  if (!isObject(value)) throw wrong(' must have a url');
  const { url, token, tokenFile, ...unknown } = value;
  const [key] = Object.keys(unknown);
  if (key !== undefined) throw wrong(`: unknown key ${key}: there are url, token and tokenFile`);
  if (typeof url !== 'string') throw wrong(': url is missing');
  if (!isTextOrNothing(token) || !isTextOrNothing(tokenFile))
    throw wrong(': token and tokenFile must be text; put the value in quotes');
  return {
    name,
    url,
    ...(token === undefined ? {} : { token }),
    // A relative path is seen from this file: the folder of the command would change with every call.
    ...(tokenFile === undefined ? {} : { tokenFile: resolve(dirname(path), tokenFile) }),
  };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isTextOrNothing(value: unknown): value is string | undefined {
  return value === undefined || typeof value === 'string';
}
