import { resolve } from 'node:path';
import { Option, type Command } from 'commander';
import { clientOf, targetOptions } from './client-command.ts';
import { WholeFile } from './export/file.ts';
import { EXPORT_FORMATS, FORMATS, type ExportFormat, type FormatName } from './export/format.ts';
import { deviceRows, logRows, type ExportRow } from './export/rows.ts';
import { CliError, print, writeOut, type CliIo } from './io.ts';
import { stopSignal } from './signals.ts';
import type { TargetOptions } from './target.ts';

const AGO_MS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

interface ExportOptions extends TargetOptions {
  readonly device?: string;
  readonly metric?: string;
  readonly from?: string;
  readonly to?: string;
  readonly format?: FormatName;
  readonly out?: string;
}

export function addExportCommand(program: Command, io: CliIo): void {
  const instant = 'RFC 3339, milliseconds since 1970, or how long ago (90m, 24h, 7d)';
  targetOptions(program.command('export'))
    .description('write readings as NDJSON or CSV: all in commit order, or those of one device in order of time')
    .option('--device <device>', 'only this device; equal readings are written once')
    .option('--metric <metric>', 'with --device: only this metric')
    .option('--from <time>', `first time: ${instant}`)
    .option('--to <time>', 'time before which to end, in the same words')
    .addOption(new Option('--format <format>', 'default: by the name of the file, else ndjson').choices(FORMATS))
    .option('--out <file>', 'write this file, whole or not at all, instead of standard output')
    .action(async (options: ExportOptions) => {
      const stop = stopSignal(io);
      try {
        await exportReadings(options, io, stop.signal);
      } catch (error) {
        if (!stop.signal.aborted) throw error;
        throw new CliError(
          options.out === undefined ? 'stopped before the end' : `stopped; ${options.out} is not written`,
        );
      } finally {
        stop.dispose();
      }
    });
}

async function exportReadings(options: ExportOptions, io: CliIo, signal: AbortSignal): Promise<void> {
  const { device, metric, out } = options;
  if (metric !== undefined && device === undefined) throw new CliError('--metric needs --device: give both');
  const client = clientOf(options, io);
  const span = { from: instantOf(options.from, io), to: instantOf(options.to, io) };
  const rows =
    device === undefined ? logRows(client, span, signal) : deviceRows(client, device, { ...span, metric }, signal);
  const format = EXPORT_FORMATS[options.format ?? (out?.endsWith('.csv') === true ? 'csv' : 'ndjson')];
  if (out === undefined) {
    await writeRows(rows, format, async (text) => writeOut(io.stdout, text));
    return;
  }
  const file = await WholeFile.open(resolve(io.cwd, out));
  try {
    const count = await writeRows(rows, format, (text) => file.write(text));
    await file.finish();
    print(io, `${count} readings are in ${out}`);
  } catch (error) {
    await file.discard();
    throw error;
  }
}

/** How many were written. */
async function writeRows(
  pages: AsyncIterable<readonly ExportRow[]>,
  format: ExportFormat,
  write: (text: string) => Promise<void>,
): Promise<number> {
  let count = 0;
  if (format.head !== '') await write(format.head);
  for await (const rows of pages) {
    count += rows.length;
    await write(rows.map((row) => format.line(row)).join(''));
  }
  return count;
}

/** `24h` becomes the instant so long ago; everything else is left to the hub, which says what is wrong with it. */
function instantOf(text: string | undefined, io: CliIo): string | undefined {
  const ago = /^(\d{1,6})([smhd])$/.exec(text ?? '');
  return ago === null ? text : new Date(io.now() - Number(ago[1]) * AGO_MS[ago[2]!]!).toISOString();
}
