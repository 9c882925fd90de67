import type { Hub, HubOptions } from '#hub/compose.js';
import type { Config, FlagValue } from '#hub/config.js';
import type { Log } from '#hub/observe/log.js';
import { loadConfig } from './hub-config.ts';
import { CliError, print, type CliIo, type ExitCode } from './io.ts';
import { aborted, stopSignal } from './signals.ts';
import { startupError } from './startup-error.ts';

export type StartHub = (config: Config, options: HubOptions) => Promise<Hub>;

/**
 * Runs a hub until SIGINT or SIGTERM. A second signal does not wait for the goodbye. SIGHUP reads the certificate files
 * anew, as for other services; on a terminal it keeps its first meaning, that the terminal has gone, and ends the process.
 */
export async function serve(
  flags: Readonly<Record<string, FlagValue>>,
  configFile: string | undefined,
  io: CliIo,
  startHub: StartHub,
): Promise<ExitCode> {
  const { createLog } = await import('#hub/observe/log.js');
  const { VERSION } = await import('#hub/version.js');
  const { config, file } = await loadConfig(flags, configFile, io);
  const log = createLog(config.logLevel);
  const stop = stopSignal(io);
  let hub: Hub | null = null;
  const reload = (): void => void hub?.reload();
  if (io.stdout.isTTY !== true) io.signals.on('SIGHUP', reload);
  try {
    hub = await start(config, log, startHub);
    print(io, `muster ${VERSION} listening on ${webSocketUrl(hub.url)} (API and metrics: ${hub.url})`);
    if (hub.streamUrls.length > 0) print(io, `also listening on ${hub.streamUrls.join(' and ')}`);
    print(io, `Dashboard: ${hub.url}/dashboard/`);
    if (file !== null) print(io, `configuration: ${file}`);
    if (hub.bootstrapToken !== null) print(io, `API token (shown once): ${hub.bootstrapToken}`);
    if (hub.signInLink !== null) print(io, `Sign in (once): ${hub.signInLink}`);
    if (config.allowAnonymous) print(io, 'anonymous mode: whoever reaches this port may use every topic');
    await aborted(stop.signal);
    await hub.stop();
    return 0;
  } finally {
    stop.dispose();
    io.signals.off('SIGHUP', reload);
  }
}

/** Throws CliError when the hub does not come up. */
export async function start(config: Config, log: Log, startHub: StartHub): Promise<Hub> {
  try {
    // Crash loud: a service manager starts it anew, and what was acknowledged is on disk.
    return await startHub(config, { log, onFatal: () => process.exit(1) });
  } catch (error) {
    log.debug({ err: error }, 'cannot start');
    throw new CliError(`cannot start: ${startupError(error, config)}`);
  }
}

export function webSocketUrl(url: string): string {
  return url.replace(/^http/, 'ws');
}
