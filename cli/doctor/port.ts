import { createServer } from 'node:net';
import type { Config } from '#hub/config.js';
import { ask, readiness } from './ask.ts';
import { fail, ok, warn, type Finding } from './finding.ts';

/** Could a hub listen here, or does one already? */
export async function checkPort({ host, port, tlsCert }: Pick<Config, 'host' | 'port' | 'tlsCert'>): Promise<Finding> {
  if (port === 0) return ok('port', 'the hub will take a free one');
  const code = await triedToListen(host, port);
  switch (code) {
    case null:
      return ok('port', `${port} on ${host} is free`);
    case 'EADDRINUSE':
      return whoListens(host, port, tlsCert === null ? 'http' : 'https');
    case 'EACCES':
    case 'EPERM':
      return fail(
        'port',
        `${port} may not be opened by this user`,
        'choose one above 1023 with --port, or put a proxy in front',
      );
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return fail('port', `this machine has no address ${host}`, 'choose another with --host');
  }
  return fail('port', `${port} on ${host} cannot be opened (${code})`, 'choose others with --port and --host');
}

/** A port beside the one port, on which only a hub that runs already, or another program, can be in the way. */
export async function checkStreamPort(host: string, port: number, flag: string): Promise<Finding> {
  const check = flag.slice('--'.length);
  if (port === 0) return ok(check, 'the hub will take a free one');
  const code = await triedToListen(host, port);
  if (code === null) return ok(check, `${port} on ${host} is free`);
  if (code === 'EADDRINUSE') {
    return warn(check, `${port} on ${host} is in use`, `by this hub, if it runs; else choose another with ${flag}`);
  }
  return fail(check, `${port} on ${host} cannot be opened (${code})`, `choose another with ${flag}`);
}

/** Null: one could. Otherwise the code of the error. */
function triedToListen(host: string, port: number): Promise<string | null> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    probe.listen(port, host, () => probe.close(() => resolve(null)));
  });
}

async function whoListens(host: string, port: number, scheme: string): Promise<Finding> {
  const loopback = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
  const address = loopback.includes(':') ? `[${loopback}]` : loopback;
  const state = await ask(`${scheme}://${address}:${port}/readyz`, { trustAll: true }).then(readiness, () => null);
  if (state === null)
    return fail(
      'port',
      `${port} is in use by another program`,
      'stop that program, or choose another port with --port',
    );
  if (state.ready) return ok('port', `${port}: a hub listens here already, and is ready`);
  return warn('port', `${port}: a hub listens here already, but is not ready: ${state.reasons}`, 'see `muster status`');
}
