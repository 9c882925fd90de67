import { describe, expect, it, vi } from 'vitest';
import type { Hub } from '#hub/compose.js';
import type { Config } from '#hub/config.js';
import { StoreError } from '#hub/store/port.js';
import { FakeProcess } from './harness.ts';

function runningHub(change: Partial<Hub> = {}): Hub {
  return {
    port: 8080,
    url: 'http://localhost:8080',
    bootstrapToken: null,
    signInLink: null,
    streamUrls: [],
    reload: vi.fn(async () => undefined),
    stop: vi.fn(async () => undefined),
    ...change,
  };
}

/** Starts `muster serve` and resolves once it has said that it listens. */
async function served(me: FakeProcess, hub: Hub, words: string[] = []) {
  let seen: Config | undefined;
  const listening = new Promise<void>((resolve) => (me.onOutput = resolve));
  const code = me.run(['serve', '--log-level', 'silent', ...words], async (config) => {
    seen = config;
    return hub;
  });
  await listening;
  return { code, config: () => seen! };
}

describe('muster serve', () => {
  it('gives the flags to the hub, says where it listens, and shows the first token once', async () => {
    const me = new FakeProcess();
    const { code, config } = await served(me, runningHub({ bootstrapToken: 'mst_0a_x' }), [
      '--port',
      '0',
      '--data',
      '/tmp/x',
    ]);
    me.signals.emit('SIGTERM');
    expect(await code).toBe(0);
    expect(me.out).toBe(
      'muster 0.1.0 listening on ws://localhost:8080 (API and metrics: http://localhost:8080)\nDashboard: http://localhost:8080/dashboard/\nAPI token (shown once): mst_0a_x\n',
    );
    expect(config()).toMatchObject({ port: 0, data: '/tmp/x', host: '0.0.0.0' });
  });

  it('says nothing of tokens at later starts, and says wss with TLS', async () => {
    const me = new FakeProcess();
    const { code } = await served(me, runningHub({ url: 'https://[::1]:8443' }), ['--tls-cert', 'a', '--tls-key', 'b']);
    me.signals.emit('SIGINT');
    await code;
    expect(me.out).toContain('listening on wss://[::1]:8443 ');
    expect(me.out).not.toContain('token');
  });

  it.each(['SIGINT', 'SIGTERM'])('%s stops the hub once, then it exits with 0', async (signal) => {
    const me = new FakeProcess();
    const hub = runningHub();
    const { code } = await served(me, hub);
    expect(hub.stop).not.toHaveBeenCalled();
    me.signals.emit(signal);
    expect(await code).toBe(0);
    expect(hub.stop).toHaveBeenCalledTimes(1);
    expect(me.exits).toEqual([]);
    expect(me.signals.listenerCount(signal)).toBe(0);
  });

  it('shows the link that signs an administrator in, as long as there is one', async () => {
    const me = new FakeProcess();
    const { code } = await served(me, runningHub({ signInLink: 'http://localhost:8080/sign-in#secret' }));
    me.signals.emit('SIGTERM');
    await code;
    expect(me.out).toContain('Sign in (once): http://localhost:8080/sign-in#secret\n');
  });

  it('SIGHUP has the certificate read anew and stops nothing', async () => {
    const me = new FakeProcess();
    const hub = runningHub();
    const { code } = await served(me, hub);
    me.signals.emit('SIGHUP');
    expect(hub.reload).toHaveBeenCalledTimes(1);
    expect(hub.stop).not.toHaveBeenCalled();
    me.signals.emit('SIGTERM');
    await code;
    expect(me.signals.listenerCount('SIGHUP')).toBe(0);
  });

  it('a second signal does not wait for the goodbye; the echo that npm sends of the first one does', async () => {
    const me = new FakeProcess();
    const goodbye = Promise.withResolvers<undefined>();
    const { code } = await served(me, runningHub({ stop: () => goodbye.promise }));
    me.signals.emit('SIGINT');
    me.nowMs += 20;
    me.signals.emit('SIGINT');
    expect(me.exits).toEqual([]);
    me.nowMs += 1000;
    me.signals.emit('SIGINT');
    expect(me.exits).toEqual([130]);
    goodbye.resolve(undefined);
    expect(await code).toBe(0);
  });

  it.each<[string, Error, string]>([
    ['a port in use', errno('EADDRINUSE'), 'port 8080 is in use: stop what uses it, or choose another with --port'],
    ['a privileged port', errno('EACCES'), 'choose one above 1023 with --port'],
    ['a folder of another user', errno('EACCES', '/data'), '/data may not be used by this user'],
    ['an address that is not ours', errno('EADDRNOTAVAIL'), 'choose another with --host'],
    ['a missing file', errno('ENOENT', '/etc/cert.pem'), '/etc/cert.pem does not exist'],
    ['a key that does not belong', errno('ERR_OSSL_X509_KEY_VALUES_MISMATCH'), 'belong together'],
    [
      'a store with its own words',
      new StoreError('locked', 'another hub uses ./data: stop it'),
      'another hub uses ./data: stop it',
    ],
  ])('%s is one line that says what to do, and exit code 1', async (_, error, words) => {
    const me = new FakeProcess();
    expect(await me.run(['serve', '--log-level', 'silent'], () => Promise.reject(error))).toBe(1);
    expect(me.err).toMatch(/^muster: cannot start: [^\n]+\n$/);
    expect(me.err).toContain(words);
    expect(me.out).toBe('');
    expect(me.signals.listenerCount('SIGINT')).toBe(0);
  });

  it('does not start with a wrong option', async () => {
    const me = new FakeProcess();
    const start = vi.fn();
    expect(await me.run(['serve', '--port', '99999'], start)).toBe(1);
    expect(me.err).toContain('--port');
    expect(start).not.toHaveBeenCalled();
  });
});

function errno(code: string, path?: string): Error {
  return Object.assign(new Error(`${code}: failed`), { code, ...(path === undefined ? {} : { path }) });
}
