import { InvalidArgumentError, Option, type Command } from 'commander';
import type { Scope } from '#hub/fleet/scopes.js';
import { clientCommand, clientOf, commaList, type CommonOptions } from './client-command.ts';
import { CliError, print, printJson, type CliIo } from './io.ts';
import { table } from './table.ts';

const SCOPES = ['read', 'commands', 'devices', 'admin'] as const satisfies readonly Scope[];
const UNIT_MS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

interface Token {
  readonly keyId: string;
  readonly kind: 'api' | 'application';
  readonly label: string;
  readonly scopes: readonly Scope[] | null;
  readonly topics: { readonly publish: readonly string[]; readonly subscribe: readonly string[] } | null;
  readonly created: string;
  readonly expires: string | null;
  readonly createdBy: string | null;
}

interface CreateOptions extends CommonOptions {
  readonly application?: boolean;
  readonly scopes?: readonly string[];
  readonly publish?: readonly string[];
  readonly subscribe?: readonly string[];
  readonly ttl?: number;
}

export function addTokenCommands(program: Command, io: CliIo): void {
  const token = program
    .command('token')
    .description('tokens of programs: for the API, or for MQTT and STOMP clients that are no devices');
  addCreate(token, io);
  clientCommand(token.command('list'))
    .description('list tokens by key id; the tokens themselves are never shown again')
    .action(async (options: CommonOptions) => {
      const tokens = await clientOf(options, io).all<Token>('/tokens', {}, Infinity);
      if (options.json) printJson(io, tokens);
      else if (tokens.length === 0) print(io, 'no tokens; make one with `muster token create LABEL`');
      else print(io, tokenTable(tokens));
    });
  clientCommand(token.command('revoke <key>'))
    .description('revoke a token by its key id (the part between the underscores); its connections are closed')
    .action(async (key: string, options: CommonOptions) => {
      await clientOf(options, io).call('DELETE', `/tokens/${encodeURIComponent(key)}`);
      if (options.json) printJson(io, { revoked: key });
      else print(io, `token ${key} is revoked`);
    });
}

function addCreate(token: Command, io: CliIo): void {
  clientCommand(token.command('create <label>'))
    .description('make a token and print it; the label says for whom')
    .addOption(
      new Option('--scopes <list>', `API: what it may do, of ${SCOPES.join(',')} (default: all)`).argParser(scopes),
    )
    .option('--application', 'a token for an MQTT or STOMP client that is no device, instead of the API')
    .option(
      '--publish <filters>',
      'application: topics it may publish to, such as plant/+/set (default: all; none beside --subscribe)',
      commaList,
    )
    .option(
      '--subscribe <filters>',
      'application: topics it may subscribe to, such as devices/# (default: all; none beside --publish)',
      commaList,
    )
    .option('--ttl <duration>', 'how long it is valid, such as 12h or 90d (default: until it is revoked)', ttl)
    .action(async (label: string, options: CreateOptions) => {
      const answer = await clientOf(options, io).call<{ token: string }>('POST', '/tokens', request(label, options));
      if (options.json) printJson(io, answer);
      else print(io, `token (shown once): ${answer.token}`);
    });
}

function request(label: string, { application, scopes, publish, subscribe, ttl }: CreateOptions): object {
  if (application !== true && (publish !== undefined || subscribe !== undefined))
    throw new CliError('--publish and --subscribe are for tokens of applications: add --application');
  if (application === true && scopes !== undefined)
    throw new CliError('--scopes are for API tokens: leave out --application, or give --publish and --subscribe');
  const topics =
    publish === undefined && subscribe === undefined
      ? undefined
      : { publish: publish ?? [], subscribe: subscribe ?? [] };
  return { kind: application === true ? 'application' : 'api', label, scopes, topics, ttlMs: ttl };
}

function tokenTable(tokens: readonly Token[]): string {
  const may = (t: Token): string =>
    t.kind === 'api'
      ? (t.scopes?.join(',') ?? 'all')
      : t.topics === null
        ? 'all topics'
        : `publish ${t.topics.publish.join(',') || 'nothing'}; subscribe ${t.topics.subscribe.join(',') || 'nothing'}`;
  return table(
    ['KEY', 'KIND', 'LABEL', 'MAY', 'EXPIRES', 'CREATED', 'BY'],
    tokens.map((t) => [t.keyId, t.kind, t.label, may(t), t.expires ?? 'never', t.created, t.createdBy ?? '-']),
  );
}

function scopes(text: string): string[] {
  const names = commaList(text);
  const wrong = names.find((name) => !(SCOPES as readonly string[]).includes(name));
  if (wrong !== undefined || names.length === 0)
    throw new InvalidArgumentError(`It must be of ${SCOPES.join(', ')}, separated by commas.`);
  return names;
}

function ttl(text: string): number {
  const match = /^([1-9]\d{0,5})([smhd])$/.exec(text);
  if (match === null) throw new InvalidArgumentError('It must be a duration, such as 30m, 12h or 90d.');
  return Number(match[1]) * UNIT_MS[match[2]!]!;
}
