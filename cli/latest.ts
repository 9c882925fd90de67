import type { Command } from 'commander';
import { clientCommand, clientOf, type CommonOptions } from './client-command.ts';
import { print, printJson, type CliIo } from './io.ts';
import { table } from './table.ts';

interface Latest {
  readonly metric: string;
  readonly value: number | boolean | string;
  readonly unit: string | null;
  readonly time: string;
}

export function addLatestCommand(program: Command, io: CliIo): void {
  clientCommand(program.command('latest <device>'))
    .description('latest value of each metric of a device')
    .action(async (device: string, options: CommonOptions) => {
      const path = `/devices/${encodeURIComponent(device)}/latest`;
      const { items } = await clientOf(options, io).call<{ items: Latest[] }>('GET', path);
      if (options.json) {
        printJson(io, items);
        return;
      }
      if (items.length === 0) {
        print(io, `${device} has sent no readings yet`);
        return;
      }
      print(
        io,
        table(
          ['METRIC', 'VALUE', 'UNIT', 'TIME'],
          items.map((item) => [item.metric, JSON.stringify(item.value), item.unit ?? '', item.time]),
        ),
      );
    });
}
