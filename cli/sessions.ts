import type { Command } from 'commander';
import { clientCommand, clientOf, positive, type CommonOptions } from './client-command.ts';
import { print, printJson, type CliIo } from './io.ts';
import { table } from './table.ts';
import { sizeText } from './text.ts';

/** A session as `GET /api/v1/sessions` shows it; what is printed of it. */
interface Session {
  readonly principal: { readonly kind: 'device' | 'application'; readonly id: string };
  readonly clientId: string;
  readonly protocol: string;
  readonly lasts: boolean;
  readonly expiryS: number;
  readonly detached: string | null;
  readonly subscriptions: number;
  readonly queuedMessages: number;
  readonly queuedBytes: number;
  readonly inFlight: number;
  readonly dropped: number;
}

export function addSessionCommands(program: Command, io: CliIo): void {
  const sessions = program.command('sessions').description('what the hub keeps for its clients');
  clientCommand(sessions.command('list', { isDefault: true }))
    .description('list sessions and the messages that wait for them; `muster sessions` alone does so too')
    .option('--limit <n>', 'at most so many', positive, Infinity)
    .action(async (options: CommonOptions & { limit: number }) => {
      const items = await clientOf(options, io).all<Session>('/sessions', {}, options.limit);
      if (options.json) printJson(io, items);
      else if (items.length === 0)
        print(io, 'no sessions; a client has one while it is connected, or if it asks to keep it');
      else print(io, sessionTable(items));
    });
}

function sessionTable(items: readonly Session[]): string {
  return table(
    ['WHO', 'CLIENT ID', 'PROTOCOL', 'AWAY SINCE', 'KEPT FOR', 'SUBSCRIBED', 'WAITING', 'SENT', 'DROPPED'],
    items.map((s) => [
      s.principal.kind === 'device' ? s.principal.id : `application ${s.principal.id}`,
      s.clientId,
      s.protocol,
      s.detached ?? '-',
      s.lasts ? `${s.expiryS} s` : '-',
      String(s.subscriptions),
      `${s.queuedMessages} (${sizeText(s.queuedBytes)})`,
      String(s.inFlight),
      String(s.dropped),
    ]),
  );
}
