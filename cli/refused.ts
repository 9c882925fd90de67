import type { Command } from 'commander';
import { clientCommand, clientOf, positive, type CommonOptions } from './client-command.ts';
import { print, printJson, type CliIo } from './io.ts';
import { table } from './table.ts';

const USUAL_LIMIT = 20;
/** The most that the hub gives at once. */
const LARGEST_LIMIT = 1000;

interface Refused {
  readonly items: readonly {
    readonly time: string;
    readonly address: string;
    readonly path: string;
    readonly offered: string | null;
    readonly code: string;
    readonly status: number;
    readonly detail: string;
  }[];
  readonly counts: Readonly<Record<string, number>>;
}

export function addRefusedCommand(program: Command, io: CliIo): void {
  clientCommand(program.command('refused'))
    .description('handshakes that the hub refused, newest first, and how many there were of each kind')
    .option('--limit <n>', 'at most so many', positive, USUAL_LIMIT)
    .action(async (options: CommonOptions & { limit: number }) => {
      const limit = Math.min(options.limit, LARGEST_LIMIT);
      const answer = await clientOf(options, io).call<Refused>('GET', `/refused?limit=${limit}`);
      if (options.json) printJson(io, answer);
      else print(io, refusedText(answer));
    });
}

function refusedText({ items, counts }: Refused): string {
  if (items.length === 0) return 'no handshake was refused since the hub started';
  const list = table(
    ['TIME', 'FROM', 'PATH', 'OFFERED', 'CODE', 'WHY'],
    items.map((r) => [r.time, r.address, r.path, r.offered ?? '(nothing)', r.code, r.detail]),
  );
  const sums = Object.entries(counts)
    .sort(([, a], [, b]) => b - a)
    .map(([code, count]) => `${code} ${count}`);
  return `${list}\n\nsince the hub started: ${sums.join(', ')}`;
}
