import type { Command } from 'commander';
import { clientCommand, clientOf, type CommonOptions } from './client-command.ts';
import { painter } from './colour.ts';
import { print, printJson, type CliIo, type ExitCode } from './io.ts';
import { fields } from './table.ts';
import { sizeText, spanText } from './text.ts';

interface Status {
  readonly version: string;
  readonly phase: string;
  readonly started: string;
  readonly uptimeSeconds: number;
  readonly counts: {
    readonly devices: number;
    readonly online: number;
    readonly onlineByProtocol: Readonly<Record<string, number>>;
    readonly commands: Readonly<Record<string, number>>;
  };
  readonly store: {
    readonly facts: { readonly engine: string; readonly version: string };
    readonly writable: boolean;
    readonly notWritableSince: string | null;
    readonly error: string | null;
    readonly backlogRows: number;
    readonly backlogBytes: number;
  };
}

export function addStatusCommand(program: Command, io: CliIo, ended: (code: ExitCode) => void): void {
  clientCommand(program.command('status'))
    .description('version, counts and health of a hub')
    .addHelpText('after', '\nExit code: 0 the hub takes work; 1 it does not, or an error.')
    .action(async (options: CommonOptions) => {
      const status = await clientOf(options, io).call<Status>('GET', '/status');
      if (options.json) printJson(io, status);
      else print(io, statusText(status, io));
      ended(status.phase === 'running' && status.store.writable ? 0 : 1);
    });
}

function statusText({ version, phase, started, uptimeSeconds, counts, store }: Status, io: CliIo): string {
  const paint = painter(io);
  const running = phase === 'running' && store.writable;
  const rows = fields([
    ['version', version],
    ['started', `${started} (${spanText(uptimeSeconds)} ago)`],
    ['devices', `${counts.devices}, ${counts.online} online${listed(counts.onlineByProtocol, ' (', ')')}`],
    ['commands', listed(counts.commands) || 'none'],
    ['store', `${store.facts.engine} ${store.facts.version}`],
    ['waiting', `${store.backlogRows} readings, ${sizeText(store.backlogBytes)}, for their commit`],
  ]);
  const trouble = store.writable
    ? phase
    : `cannot write since ${store.notWritableSince ?? '?'}${store.error === null ? '' : `: ${store.error}`}; ` +
      'nothing is acknowledged until it can: free disk space, or look at the disk';
  return `${running ? paint('green', 'running') : paint('red', trouble)}\n${rows}`;
}

/** What is not 0. */
function listed(counts: Readonly<Record<string, number>>, before = '', after = ''): string {
  const some = Object.entries(counts).filter(([, count]) => count > 0);
  return some.length === 0 ? '' : `${before}${some.map(([name, count]) => `${name} ${count}`).join(', ')}${after}`;
}
