import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { API_TOKEN, commandRow, deviceView, FakeHub, serveApi } from '../hub/http/fakes.ts';
import { FakeProcess } from './harness.ts';

let hub: FakeHub;
let api: Awaited<ReturnType<typeof serveApi>>;
let me: FakeProcess;

beforeEach(async () => {
  hub = new FakeHub();
  api = await serveApi(hub);
  me = new FakeProcess();
  me.env.MUSTER_URL = api.url;
  me.env.MUSTER_TOKEN = API_TOKEN;
});
afterEach(() => api.close());

describe('muster device', () => {
  it('add prints the token once, and says it is shown once', async () => {
    expect(await me.run(['device', 'add', 'a1', '--name', 'Pump', '--protocols', 'mqtt, cbor'])).toBe(0);
    expect(me.out).toBe('device a1 is registered\ntoken (shown once): mst_aa_bb\n');
    expect(hub.calls).toEqual([['create', { id: 'a1', name: 'Pump', protocols: ['mqtt', 'cbor'] }]]);
  });

  it('list shows what is online, by columns or as JSON', async () => {
    hub.devices = {
      ...hub.devices,
      list: ({ after }) =>
        after === null
          ? { items: [deviceView('pump', { name: 'Pump 1' })], next: 'pump' }
          : { items: [deviceView('valve-with-long-name', { disabled: true })], next: null },
    };
    expect(await me.run(['device', 'list'])).toBe(0);
    expect(me.out).toBe(
      [
        'DEVICE                STATE     PROTOCOL  SINCE  NAME',
        'pump                  new       -         -      Pump 1',
        'valve-with-long-name  disabled  -         -',
        '',
      ].join('\n'),
    );
    me.out = '';
    await me.run(['device', 'list', '--json', '--limit', '1']);
    expect(JSON.parse(me.out)).toMatchObject([{ id: 'pump' }]);
  });

  it('show, rm and token', async () => {
    expect(await me.run(['device', 'show', 'pump'])).toBe(0);
    expect(me.out).toMatch(/state +new\n/);
    expect(await me.run(['device', 'token', 'create', 'pump'])).toBe(0);
    expect(me.out).toContain('token (shown once): mst_0a_x\n');
    expect(await me.run(['device', 'token', 'list', 'pump'])).toBe(0);
    expect(me.out).toMatch(/KEY +CREATED\n0a +2026/);
    expect(await me.run(['device', 'token', 'revoke', 'pump', '0a'])).toBe(0);
    expect(await me.run(['device', 'rm', 'pump'])).toBe(0);
    expect(hub.stored.has('pump')).toBe(false);
  });

  it('says what the hub says when it refuses', async () => {
    expect(await me.run(['device', 'show', 'nobody'])).toBe(1);
    expect(me.err).toBe('muster: there is no device nobody\n');
  });
});

describe('muster latest', () => {
  it('prints metric, value, unit and time', async () => {
    expect(await me.run(['latest', 'pump'])).toBe(0);
    expect(me.out).toBe('METRIC  VALUE  UNIT  TIME\ntemp    21.5   Cel   2026-01-01T00:00:00.000001Z\n');
  });
});

describe('muster send', () => {
  it('sends parameters, waits, prints state and result', async () => {
    expect(await me.run(['send', 'pump', 'reboot', '{"delay":5}', '--wait', '7', '--ttl', '20'])).toBe(0);
    expect(me.out).toBe('succeeded {"ok":true}\n');
    expect(hub.calls).toEqual([
      ['command', { device: 'pump', name: 'reboot', params: { delay: 5 }, ttlMs: 20_000 }],
      ['wait', { id: 'c-1', waitMs: 7000 }],
    ]);
  });

  it.each([
    ['succeeded', 0],
    ['failed', 1],
    ['rejected', 1],
    ['expired', 1],
    ['cancelled', 1],
    ['timed_out', 1],
    ['queued', 2],
    ['sent', 2],
    ['received', 2],
  ] as const)('that ends %s has the exit code %i', async (state, code) => {
    hub.commands = { ...hub.commands, wait: async () => commandRow({ state }) };
    expect(await me.run(['send', 'pump', 'reboot'])).toBe(code);
    expect(me.out).toContain(state);
  });

  it('asks for JSON where none came', async () => {
    expect(await me.run(['send', 'pump', 'reboot', '{delay:5}'])).toBe(1);
    expect(me.err).toContain('quote them for the shell, such as \'{"level":3}\'');
    expect(hub.calls).toEqual([]);
  });

  it('waits no longer than the hub would', async () => {
    expect(await me.run(['send', 'pump', 'reboot', '--wait', '61'])).toBe(1);
    expect(me.err).toContain('0 to 60');
  });
});

describe('what can go wrong on the way', () => {
  it('no token', async () => {
    delete me.env.MUSTER_TOKEN;
    expect(await me.run(['device', 'list'])).toBe(1);
    expect(me.err).toContain('give --token or set MUSTER_TOKEN');
  });

  it('a token that the hub does not know', async () => {
    expect(await me.run(['device', 'list', '--token', 'mst_00_nonsense'])).toBe(1);
    expect(me.err).toContain('does not accept this token');
    expect(me.err).not.toContain('nonsense');
  });

  it('no hub there', async () => {
    await api.close();
    expect(await me.run(['device', 'list'])).toBe(1);
    expect(me.err).toMatch(
      /no hub answers at http:\/\/127\.0\.0\.1:\d+ \(ECONNREFUSED\): start one with `muster serve`/,
    );
    api = await serveApi(hub);
  });

  it('an address that is none', async () => {
    expect(await me.run(['device', 'list', '--url', 'hub.example:80'])).toBe(1);
    expect(me.err).toContain('is no address of a hub');
  });

  it('a ws address is taken for the same port', async () => {
    expect(await me.run(['latest', 'pump', '--url', api.url.replace('http', 'ws')])).toBe(0);
  });
});
