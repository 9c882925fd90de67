import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FakeApi } from './fake-api.ts';
import { FakeProcess } from './harness.ts';

let api: FakeApi;
let me: FakeProcess;

beforeEach(async () => {
  api = await FakeApi.start();
  me = new FakeProcess();
  me.env.MUSTER_URL = api.url;
  me.env.MUSTER_TOKEN = 'mst_00_x';
});
afterEach(() => api.close());

const lastAsked = () => {
  const { method, path, body } = api.asked.at(-1)!;
  return [method, path, body];
};

describe('muster connections', () => {
  const connection = {
    id: 'c1',
    principal: { kind: 'device', id: 'pump', anonymous: false },
    clientId: 'pump',
    subprotocol: 'mqtt',
    address: '10.0.0.7',
    connected: '2026-01-01T00:00:00.000Z',
    messagesIn: 12,
    messagesOut: 3,
    bytesIn: 2048,
    bytesOut: 10,
    dropped: 0,
    paused: true,
  };

  it('lists who is connected, with traffic', async () => {
    const unidentified = { ...connection, id: 'c2', principal: null, clientId: null, paused: false };
    api.answers['GET /connections'] = () => ({ body: { items: [connection, unidentified], next: null } });
    expect(await me.run(['connections'])).toBe(0);
    expect(me.out).toMatch(/^c1 +pump +mqtt +10\.0\.0\.7 +2026\S+ +12 \(2\.0 KiB\) +3 \(10 B\) +0 +paused$/m);
    expect(me.out).toMatch(/^c2 +\(not identified\)/m);
    me.out = '';
    await me.run(['connections', '--json', '--limit', '1']);
    expect(JSON.parse(me.out)).toHaveLength(2);
    expect(lastAsked()[1]).toBe('/connections?limit=1');
  });

  it('shows what a client sends as text, and never lets the terminal obey it', async () => {
    const evil = { ...connection, principal: { kind: 'application', id: '\u001b[2J\u202eevil\r\n' } };
    api.answers['GET /connections'] = () => ({ body: { items: [evil], next: null } });
    await me.run(['connections']);
    expect(me.out).toContain('application \\x1b[2J\\u202eevil\\x0d\\x0a');
    // eslint-disable-next-line no-control-regex -- they are what is looked for
    expect(me.out).not.toMatch(/[\u001b\u202e\r]/);
  });

  it('closes one', async () => {
    api.answers['DELETE /connections/c1'] = () => ({ status: 204 });
    expect(await me.run(['connections', 'close', 'c1'])).toBe(0);
    expect(me.out).toContain('`muster device disable`');
  });
});

describe('muster sessions', () => {
  it('lists what is kept for whom, and what waits', async () => {
    const away = {
      principal: { kind: 'device', id: 'pump', anonymous: false },
      clientId: 'pump-1',
      protocol: 'mqtt',
      lasts: true,
      expiryS: 3600,
      detached: '2026-01-01T00:00:00.000Z',
      subscriptions: 2,
      queuedMessages: 7,
      queuedBytes: 2048,
      inFlight: 0,
      dropped: 3,
    };
    const here = { ...away, principal: { kind: 'application', id: 'app' }, lasts: false, detached: null, inFlight: 1 };
    api.answers['GET /sessions'] = () => ({ body: { items: [away, here], next: null } });
    expect(await me.run(['sessions'])).toBe(0);
    expect(me.out).toMatch(/^pump +pump-1 +mqtt +2026\S+ +3600 s +2 +7 \(2\.0 KiB\) +0 +3$/m);
    expect(me.out).toMatch(/^application app +pump-1 +mqtt +- +- +2 +7 \(2\.0 KiB\) +1 +3$/m);
    api.answers['GET /sessions'] = () => ({ body: { items: [], next: null } });
    me.out = '';
    await me.run(['sessions', 'list']);
    expect(me.out).toContain('no sessions');
  });
});

describe('muster queues', () => {
  it('lists queues and durable subscriptions, and what waits in them', async () => {
    const queue = {
      name: 'jobs/new',
      subscription: null,
      messages: 3,
      bytes: 2048,
      consumers: 1,
      unacknowledged: 2,
      deadLetters: 4,
      dropped: 0,
    };
    const principal = { kind: 'application', id: 'shop' };
    const durable = { ...queue, name: 'news', subscription: { principal, clientId: 'c1', filter: 'news/#' } };
    const own = { ...durable, subscription: { principal: { kind: 'device', id: 'pump' }, clientId: 'p', filter: 'a' } };
    api.answers['GET /queues'] = () => ({ body: { items: [queue, durable, own], next: null } });
    expect(await me.run(['queues'])).toBe(0);
    expect(me.out).toMatch(/^jobs\/new +- +- +3 +2\.0 KiB +1 +2 +4 +0$/m);
    expect(me.out).toMatch(/^news +news\/# +application shop, c1 +3 /m);
    expect(me.out).toMatch(/^news +a +pump +3 /m);
    api.answers['GET /queues'] = () => ({ body: { items: [], next: null } });
    me.out = '';
    await me.run(['queues', 'list']);
    expect(me.out).toContain('no queues');
  });

  it('deletes one by its name', async () => {
    api.answers['DELETE /queues/jobs%2Fnew'] = () => ({ status: 204 });
    expect(await me.run(['queues', 'delete', 'jobs/new'])).toBe(0);
    expect(me.out).toContain('deleted the queue jobs/new');
  });
});

describe('muster refused', () => {
  it('lists who was turned away and why, and how many of each', async () => {
    const item = {
      time: 'T',
      address: 'A',
      path: '/x',
      offered: null,
      code: 'no_subprotocol',
      status: 400,
      detail: 'offer one',
    };
    api.answers['GET /refused'] = () => ({
      body: { items: [item], counts: { bad_credentials: 2, no_subprotocol: 7 } },
    });
    expect(await me.run(['refused', '--limit', '5'])).toBe(0);
    expect(lastAsked()[1]).toBe('/refused?limit=5');
    expect(me.out).toMatch(/^T +A +\/x +\(nothing\) +no_subprotocol +offer one$/m);
    expect(me.out).toContain('since the hub started: no_subprotocol 7, bad_credentials 2');
  });
});

describe('muster status', () => {
  const status = {
    version: '0.1.0',
    phase: 'running',
    started: '2026-01-01T00:00:00.000Z',
    uptimeSeconds: 93_784,
    counts: {
      devices: 5,
      online: 3,
      onlineByProtocol: { mqtt: 2, stomp: 0, cbor: 1 },
      commands: { queued: 1, sent: 0 },
    },
    store: {
      facts: { engine: 'sqlite', version: '3.54.1' },
      writable: true,
      notWritableSince: null,
      error: null,
      backlogRows: 3,
      backlogBytes: 3072,
    },
  };

  it('says how the hub is', async () => {
    api.answers['GET /status'] = () => ({ body: status });
    expect(await me.run(['status'])).toBe(0);
    expect(me.out).toBe(
      [
        'running',
        'version   0.1.0',
        'started   2026-01-01T00:00:00.000Z (1 d 2 h ago)',
        'devices   5, 3 online (mqtt 2, cbor 1)',
        'commands  queued 1',
        'store     sqlite 3.54.1',
        'waiting   3 readings, 3.0 KiB, for their commit',
        '',
      ].join('\n'),
    );
  });

  it('fails when the hub cannot write, and colours that on a terminal alone', async () => {
    const store = { ...status.store, writable: false, notWritableSince: 'T', error: 'disk full' };
    api.answers['GET /status'] = () => ({ body: { ...status, store } });
    expect(await me.run(['status'])).toBe(1);
    expect(me.out).toMatch(/^cannot write since T: disk full; .*free disk space/);
    me.out = '';
    me.stdout.isTTY = true;
    await me.run(['status']);
    expect(me.out.startsWith('\u001b[31mcannot write')).toBe(true);
    me.out = '';
    me.env.NO_COLOR = '1';
    await me.run(['status']);
    expect(me.out).toMatch(/^cannot write/);
  });
});

describe('what the hub refuses', () => {
  it.each([
    [
      403,
      { detail: 'the scope admin is missing' },
      'the scope admin is missing; ask for a token with more scopes (`muster token create --scopes …`)',
    ],
    [429, { detail: 'too many requests' }, 'too many requests; try again in 7 s'],
    [503, { detail: 'the store cannot write' }, 'the store cannot write; try again in 7 s'],
    [500, 'no problem document', 'the answer was HTTP 500: is this the address of a hub?'],
  ])('%i is said with what to do', async (code, body, words) => {
    api.answers['GET /status'] = (_, response) => {
      response.writeHead(code, { 'retry-after': '7' });
      response.end(JSON.stringify(body));
      return null;
    };
    expect(await me.run(['status'])).toBe(1);
    expect(me.err).toBe(`muster: ${words}\n`);
  });

  it('an answer that breaks off is no stack', async () => {
    api.answers['GET /status'] = (_, response) => {
      response.writeHead(200, { 'content-length': '100' });
      response.write('{');
      response.destroy();
      return null;
    };
    expect(await me.run(['status'])).toBe(1);
    expect(me.err).toMatch(/^muster: no hub answers/);
    expect(me.err.trimEnd().split('\n')).toHaveLength(1);
  });
});
