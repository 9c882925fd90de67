import type { Command } from 'commander';
import { clientCommand, clientOf, positive, type CommonOptions } from './client-command.ts';
import { print, printJson, type CliIo } from './io.ts';
import { table } from './table.ts';
import { sizeText } from './text.ts';

/** A queue as `GET /api/v1/queues` shows it; what is printed of it. */
interface Queue {
  readonly name: string;
  readonly subscription: {
    readonly principal: { readonly kind: 'device' | 'application'; readonly id: string };
    readonly clientId: string;
    readonly filter: string;
  } | null;
  readonly messages: number;
  readonly bytes: number;
  readonly consumers: number;
  readonly unacknowledged: number;
  readonly deadLetters: number;
  readonly dropped: number;
}

export function addQueueCommands(program: Command, io: CliIo): void {
  const queues = program.command('queues').description('queues of STOMP clients, and their durable subscriptions');
  clientCommand(queues.command('list', { isDefault: true }))
    .description('list queues and durable subscriptions, and what waits in them; `muster queues` alone does so too')
    .option('--limit <n>', 'at most so many', positive, Infinity)
    .action(async (options: CommonOptions & { limit: number }) => {
      const items = await clientOf(options, io).all<Queue>('/queues', {}, options.limit);
      if (options.json) printJson(io, items);
      else if (items.length === 0) print(io, 'no queues; there is one while it has messages or consumers');
      else print(io, queueTable(items));
    });
  clientCommand(queues.command('delete <name>'))
    .description('delete a queue with its messages; nobody may be consuming it')
    .action(async (name: string, options: CommonOptions) => {
      await clientOf(options, io).call('DELETE', `/queues/${encodeURIComponent(name)}`);
      if (!options.json) print(io, `deleted the queue ${name}`);
    });
}

function queueTable(items: readonly Queue[]): string {
  return table(
    ['QUEUE', 'SUBSCRIBED TO', 'WHO', 'WAITING', 'BYTES', 'CONSUMERS', 'UNACKNOWLEDGED', 'DEAD', 'DROPPED'],
    items.map(({ name, subscription, messages, bytes, consumers, unacknowledged, deadLetters, dropped }) => [
      name,
      subscription?.filter ?? '-',
      subscription === null ? '-' : whoText(subscription),
      String(messages),
      sizeText(bytes),
      String(consumers),
      String(unacknowledged),
      String(deadLetters),
      String(dropped),
    ]),
  );
}

function whoText({ principal, clientId }: NonNullable<Queue['subscription']>): string {
  return principal.kind === 'device' ? principal.id : `application ${principal.id}, ${clientId}`;
}
