import type { Command } from 'commander';
import { clientCommand, clientOf, positive, type CommonOptions } from './client-command.ts';
import { print, printJson, type CliIo } from './io.ts';
import { table } from './table.ts';
import { sizeText } from './text.ts';

/** An open connection as `GET /api/v1/connections` shows it; what is printed of it. */
interface Connection {
  readonly id: string;
  readonly principal: { readonly kind: 'device' | 'application'; readonly id: string } | null;
  readonly clientId: string | null;
  readonly subprotocol: string;
  readonly address: string;
  readonly connected: string;
  readonly messagesIn: number;
  readonly messagesOut: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly dropped: number;
  readonly paused: boolean;
}

export function addConnectionCommands(program: Command, io: CliIo): void {
  const connections = program.command('connections').description('list open connections, and close them');
  clientCommand(connections.command('list', { isDefault: true }))
    .description('list open connections with their traffic; `muster connections` alone does so too')
    .option('--limit <n>', 'at most so many', positive, Infinity)
    .action(async (options: CommonOptions & { limit: number }) => {
      const items = await clientOf(options, io).all<Connection>('/connections', {}, options.limit);
      if (options.json) printJson(io, items);
      else if (items.length === 0) print(io, 'no connections; `muster refused` shows who was turned away');
      else print(io, connectionTable(items));
    });
  clientCommand(connections.command('close <connection>'))
    .description('close a connection; its client may connect again')
    .action(async (id: string, options: CommonOptions) => {
      await clientOf(options, io).call('DELETE', `/connections/${encodeURIComponent(id)}`);
      if (options.json) printJson(io, { closed: id });
      else print(io, `connection ${id} is closed; to keep a device out, \`muster device disable\` it`);
    });
}

function connectionTable(items: readonly Connection[]): string {
  return table(
    ['CONNECTION', 'WHO', 'PROTOCOL', 'FROM', 'SINCE', 'IN', 'OUT', 'DROPPED', ''],
    items.map((c) => [
      c.id,
      whoIs(c),
      c.subprotocol,
      c.address,
      c.connected,
      `${c.messagesIn} (${sizeText(c.bytesIn)})`,
      `${c.messagesOut} (${sizeText(c.bytesOut)})`,
      String(c.dropped),
      c.paused ? 'paused' : '',
    ]),
  );
}

function whoIs({ principal, clientId }: Connection): string {
  if (principal === null) return clientId ?? '(not identified)';
  return principal.kind === 'device' ? principal.id : `application ${principal.id}`;
}
