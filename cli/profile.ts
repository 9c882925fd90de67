import { resolve } from 'node:path';
import type { Command } from 'commander';
import { CliError, print, printJson, type CliIo } from './io.ts';
import { putProfile, readProfiles, removeProfile, useProfile } from './profiles.ts';
import { readSecret } from './secret-file.ts';
import { table } from './table.ts';
import { apiBase } from './target.ts';

interface AddOptions {
  readonly url: string;
  readonly token?: string;
  readonly tokenFile?: string;
}

export function addProfileCommands(program: Command, io: CliIo): void {
  const profile = program
    .command('profile')
    .description('hubs by name: their addresses and tokens, kept in ~/.config/muster/config.yaml');
  addAdd(profile, io);
  profile
    .command('list')
    .description('list profiles; * marks the one in use')
    .option('--json', 'answer as JSON, for programs')
    .action(async ({ json }: { json?: boolean }) => {
      const { current, profiles } = await readProfiles(io);
      const rows = profiles.map(({ name, url, token, tokenFile }) => ({
        name,
        current: name === current,
        url,
        token: tokenFile ?? (token === undefined ? null : 'kept here'),
      }));
      if (json) printJson(io, rows);
      else if (rows.length === 0) print(io, 'no profiles; make one with `muster profile add NAME --url ADDRESS`');
      else
        print(
          io,
          table(
            ['', 'PROFILE', 'URL', 'TOKEN'],
            rows.map((r) => [r.current ? '*' : '', r.name, r.url, r.token ?? 'none']),
          ),
        );
    });
  profile
    .command('use <name>')
    .description('take a profile into use for commands that name no hub')
    .action(async (name: string) => {
      await useProfile(io, name);
      print(io, `profile ${name} is in use`);
    });
  profile
    .command('rm <name>')
    .description('forget a profile; its token stays valid until it is revoked')
    .action(async (name: string) => {
      await removeProfile(io, name);
      print(io, `profile ${name} is forgotten`);
    });
}

function addAdd(profile: Command, io: CliIo): void {
  profile
    .command('add <name>')
    .description('keep the address of a hub, and a token for it, under a name; the first one is taken into use')
    .requiredOption('--url <url>', 'address of the hub')
    .option('--token <token>', 'API token (default: MUSTER_TOKEN, which stays out of the history of the shell)')
    .option('--token-file <file>', 'file that holds the API token: only its path is kept')
    .action(async (name: string, options: AddOptions) => {
      const { token, tokenFile } = options;
      if (token !== undefined && tokenFile !== undefined)
        throw new CliError('--token and --token-file are both given: leave one out');
      const url = apiBase(options.url);
      if (tokenFile !== undefined) {
        readSecret(tokenFile, '--token-file', io);
        await putProfile(io, { name, url, tokenFile: resolve(io.cwd, tokenFile) });
      } else {
        const kept = token ?? (io.env.MUSTER_TOKEN || undefined);
        await putProfile(io, { name, url, ...(kept === undefined ? {} : { token: kept }) });
      }
      const { current } = await readProfiles(io);
      print(
        io,
        `profile ${name} is kept${current === name ? ' and in use' : `; use it with \`muster profile use ${name}\``}`,
      );
    });
}
