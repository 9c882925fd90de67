import { readFile } from 'node:fs/promises';
import type { Config, FlagValue } from '#hub/config.js';
import { painter } from './colour.ts';
import { checkData } from './doctor/data.ts';
import { fail, ok, type Finding } from './doctor/finding.ts';
import { checkHub } from './doctor/hub.ts';
import { checkClock, checkFileLimit, checkNode, checkSqlite } from './doctor/machine.ts';
import { checkPort, checkStreamPort } from './doctor/port.ts';
import { checkTls } from './doctor/tls.ts';
import { loadConfig } from './hub-config.ts';
import { CliError, print, printJson, type CliIo, type ExitCode } from './io.ts';
import { resolveTarget, type TargetOptions } from './target.ts';
import { plain } from './text.ts';

export interface DoctorOptions extends TargetOptions {
  readonly config?: string;
  readonly json?: boolean;
}

/** Looks whether a hub can run here and keep its promises; exit code 1 when something would prevent that. */
export async function doctor(
  flags: Readonly<Record<string, FlagValue>>,
  options: DoctorOptions,
  io: CliIo,
): Promise<ExitCode> {
  const findings = await examine(flags, options, io);
  if (options.json) printJson(io, findings);
  else print(io, reportText(findings, io));
  return findings.some(({ level }) => level === 'fail') ? 1 : 0;
}

async function examine(
  flags: Readonly<Record<string, FlagValue>>,
  options: DoctorOptions,
  io: CliIo,
): Promise<Finding[]> {
  const machine = [checkNode(process.versions.node), await checkSqlite(), checkClock(io.now())];
  const { finding, config } = await configuration(flags, options.config, io);
  // Without a configuration nobody knows which folder and port are meant.
  const ofHub = config === null ? [] : await checkConfigured(config, io);
  return [...machine, finding, ...ofHub, ...(await checkClient(options, config, io))];
}

async function configuration(
  flags: Readonly<Record<string, FlagValue>>,
  file: string | undefined,
  io: CliIo,
): Promise<{ finding: Finding; config: Config | null }> {
  try {
    const { config, file: found } = await loadConfig(flags, file, io);
    return { finding: ok('config', found ?? 'no file; flags, environment and defaults'), config };
  } catch (error) {
    if (!(error instanceof Error) || (error.name !== 'ConfigError' && !(error instanceof CliError))) throw error;
    const problems = error.message.replaceAll('\n', '; ');
    return { finding: fail('config', problems, 'correct it; docs/configuration.md has every option'), config: null };
  }
}

async function checkConfigured(config: Config, io: CliIo): Promise<Finding[]> {
  const limits = await readFile('/proc/self/limits', 'utf8').catch(() => null);
  const tls = await checkTls(config, io.cwd, io.now());
  return [
    checkFileLimit(limits, config.maxConnections),
    await checkPort(config),
    ...(await checkStreams(config)),
    ...(tls === null ? [] : [tls]),
    ...(await checkData(config.data, io.cwd, io.monotonic)),
  ];
}

async function checkStreams(config: Config): Promise<Finding[]> {
  const found: Finding[] = [];
  for (const scheme of ['mqtt', 'mqtts', 'stomp', 'stomps'] as const) {
    const port = config[`${scheme}Port`];
    if (port !== null) found.push(await checkStreamPort(config.host, port, `--${scheme}-port`));
  }
  return found;
}

/** Only when a hub is named: by flag, environment or profile. */
async function checkClient(options: TargetOptions, config: Config | null, io: CliIo): Promise<Finding[]> {
  try {
    const target = await resolveTarget(options, io);
    if (!target.named) return [];
    const { DEFAULT_LIMITS } = await import('#protocols/limits.js');
    return await checkHub(target, config?.limits ?? DEFAULT_LIMITS, io.now);
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    return [fail('hub', error.message, 'correct that, or name a hub by --url and --token')];
  }
}

const COLOURS = { ok: 'green', warn: 'yellow', fail: 'red' } as const;

function reportText(findings: readonly Finding[], io: CliIo): string {
  const paint = painter(io);
  const width = Math.max(...findings.map(({ check }) => check.length));
  const lines = findings.flatMap(({ check, level, text, advice }) => {
    const line = `${paint(COLOURS[level], level.padEnd(4))}  ${check.padEnd(width)}  ${plain(text)}`;
    return advice === null ? [line] : [line, `${' '.repeat(width + 8)}-> ${plain(advice)}`];
  });
  const failed = findings.filter(({ level }) => level === 'fail').length;
  const warned = findings.filter(({ level }) => level === 'warn').length;
  const verdict =
    failed > 0
      ? `${failed} of ${findings.length} checks failed`
      : warned > 0
        ? 'the hub can run; it could run better'
        : 'all is well';
  return [...lines, '', verdict].join('\n');
}
