import { expect, it } from 'vitest';
import { newDevice } from '../../integration/clients/hub-view.ts';
import { frame } from './frames.ts';
import { oneHub, overEveryTransport, overEveryWire } from './wires.ts';

oneHub();

overEveryWire((stomp) => {
  it('CONNECT is answered by CONNECTED, with version, session and server [1.2: connect-1, connect-2, connect-9, connect-10, connect-11] [1.1: same-1] [1.0: connect-1]', async () => {
    const [first, second] = [await stomp.connect(), await stomp.connect()];
    for (const { connected } of [first, second]) {
      expect(connected.headers['version']).toBe(stomp.version);
      expect(connected.headers['server']).toMatch(/^[!#$%&'*+.^_`|~\w-]+(\/[!#$%&'*+.^_`|~\w-]+)?( .*)?$/);
      expect(connected.headers['session']).not.toBe('');
      expect(connected.headers['heart-beat']).toBe(stomp.version === '1.0' ? undefined : '0,0');
      expect(connected.body).toHaveLength(0);
    }
    expect(first.connected.headers['session']).not.toBe(second.connected.headers['session']);
  });

  it('STOMP is the same as CONNECT [1.2: connect-4] [1.1: connect-1]', async () => {
    const raw = await stomp.open();
    raw.frame('STOMP', { 'accept-version': stomp.version, host: 'hub' });
    expect((await raw.next('CONNECTED')).headers['version']).toBe(stomp.version);
  });

  it('CONNECT may end its lines with CR LF, whatever the version [1.2: frame-2]', async () => {
    const raw = await stomp.open();
    raw.send(`CONNECT\r\naccept-version:${stomp.version}\r\nhost:hub\r\n\r\n\0`);
    expect((await raw.next('CONNECTED')).headers['version']).toBe(stomp.version);
  });

  it('line ends before the NUL of CONNECT are no body, as old clients send them [1.2: body-1] [1.0: body-1]', async () => {
    for (const blank of ['\n', '\r\n\n']) {
      const raw = await stomp.open();
      raw.send(`CONNECT\naccept-version:${stomp.version}\nhost:hub\n\n${blank}\0`);
      await raw.next('CONNECTED');
    }
    const raw = await stomp.open();
    raw.send(`CONNECT\naccept-version:${stomp.version}\nhost:hub\n\n\nSEND\n\0`);
    expect((await raw.refused()).headers['message']).toBe('malformed');
  });

  it('line ends before CONNECT are taken, and frames right behind it wait for CONNECTED [1.2: frame-3]', async () => {
    const raw = await stomp.open();
    const destination = `/topic/${stomp.own('t')}`;
    raw.send(
      '\n\r\n',
      frame('CONNECT', { 'accept-version': stomp.version, host: 'hub' }),
      frame('SUBSCRIBE', { destination, id: 's', receipt: 'a' }),
      frame('SEND', { destination }, 'early'),
      frame('DISCONNECT', { receipt: 'b' }),
    );
    const { said } = await raw.closed();
    expect(said.map(({ command }) => command)).toEqual(['CONNECTED', 'RECEIPT', 'MESSAGE', 'RECEIPT']);
    expect(said[2]!.body.toString()).toBe('early');
  });
});

overEveryTransport((stomp) => {
  const overWebSocket = stomp.wire.transport === 'WebSocket';

  it.each(['SEND', 'SUBSCRIBE', 'BEGIN', 'DISCONNECT', 'ACK'])(
    'a first frame %s is refused [1.2: connect-1]',
    async (command) => {
      const raw = await stomp.open();
      raw.frame(command, { destination: '/topic/a', id: '1', transaction: 't', receipt: 'r' });
      const error = await raw.refused();
      expect(error.headers).toMatchObject({ message: 'protocol_error', 'receipt-id': 'r' });
      expect(error.body.toString()).toContain('CONNECT');
    },
  );

  it.each(['CONNECT', 'STOMP'])('a second frame %s is refused [1.2: connect-1]', async (command) => {
    const { raw } = await stomp.connect();
    raw.frame(command, { 'accept-version': stomp.version, host: 'hub' });
    expect((await raw.refused()).headers['message']).toBe('protocol_error');
  });

  it.each([{}, { host: '' }, { host: 'nobody.example' }, { host: '/' }])(
    'any virtual host is this one: %j [1.2: connect-6]',
    async (host) => {
      const raw = await stomp.open();
      raw.frame('CONNECT', { 'accept-version': stomp.version, ...host });
      await raw.next('CONNECTED');
    },
  );

  it('login and passcode identify, and a wrong one is told so and closed [1.2: connect-3, connect-7, error-2]', async () => {
    const id = stomp.own('device');
    const token = await newDevice(stomp.hub, id);
    const device = await stomp.connect({ login: id, passcode: token });
    await device.send('/devices/me/telemetry', '{"x":1}');
    const { body } = await stomp.hub.api('GET', `/api/v1/devices/${id}/latest`);
    expect(body.items).toMatchObject([{ metric: 'x', value: 1 }]);
    const raw = await stomp.open();
    raw.frame('CONNECT', { 'accept-version': stomp.version, host: 'hub', login: id, passcode: `${token}x` });
    const error = await raw.refused();
    expect(error.headers['message']).toBe('bad_credentials');
    expect(error.body.toString()).toContain('unknown or were revoked');
  });

  it('a header that CONNECT has twice counts as the first [1.2: repeat-1]', async () => {
    const raw = await stomp.open();
    raw.frame('CONNECT', [`accept-version:${stomp.version}`, 'accept-version:9.9', 'host:a', 'host:b']);
    await raw.next('CONNECTED');
  });

  it('the highest version that both know is spoken, over WebSocket that of the subprotocol [1.2: version-2]', async () => {
    const lists: readonly (readonly [string, string])[] = [
      [`1.0,1.1,2.0`, '1.1'],
      ['1.0,1.1,1.2', '1.2'],
      ['1.2,1.0', '1.2'],
      ['1.0', '1.0'],
      ['1.1, 1.0', '1.1'],
      ['3.7,1.2,9', '1.2'],
    ];
    for (const [accepted, expected] of lists) {
      const raw = await stomp.open();
      raw.frame('CONNECT', { 'accept-version': accepted, host: 'hub' });
      if (!overWebSocket) expect((await raw.next('CONNECTED')).headers['version']).toBe(expected);
      else if (accepted.includes(stomp.version)) {
        expect((await raw.next('CONNECTED')).headers['version']).toBe(stomp.version);
      } else expect((await raw.refused()).headers).toMatchObject({ version: stomp.version });
    }
  });

  it('without accept-version it is 1.0 [1.2: version-1] [1.0: connect-1]', async () => {
    const raw = await stomp.open();
    raw.frame('CONNECT');
    if (!overWebSocket || stomp.version === '1.0') {
      expect((await raw.next('CONNECTED')).headers['version']).toBe('1.0');
      return;
    }
    const error = await raw.refused();
    expect(error.headers).toMatchObject({ message: 'unsupported_version', version: stomp.version });
    expect(error.body.toString()).toContain('no accept-version');
  });

  it('no common version: an ERROR with those that are served, and the close [1.2: version-3, connect-3] [1.1: same-1]', async () => {
    for (const accepted of ['2.0', '9.9,3', '', 'one', '1.20']) {
      const raw = await stomp.open();
      raw.frame('CONNECT', { 'accept-version': accepted, host: 'hub' });
      const error = await raw.refused();
      expect(error.headers).toMatchObject({
        message: 'unsupported_version',
        version: overWebSocket ? stomp.version : '1.0,1.1,1.2',
        'content-type': 'text/plain;charset=utf-8',
      });
      expect(error.body.toString()).toContain(JSON.stringify(accepted));
    }
  });

  it('a malformed heart-beat is refused, in STOMP 1.0 it means nothing [1.2: beat-1] [1.0: beat-1]', async () => {
    for (const beat of ['', '1', '1,2,3', '-1,5', 'a,b', '1.5,2', '1 000,2']) {
      const raw = await stomp.open();
      raw.frame('CONNECT', { 'accept-version': stomp.version, host: 'hub', 'heart-beat': beat });
      if (stomp.version === '1.0') await raw.next('CONNECTED');
      else expect((await raw.refused()).headers['message']).toBe('malformed');
    }
  });

  it('clients that connect and leave rapidly all get their answers [1.2: linger-1]', async () => {
    const leave = async (): Promise<void> => {
      const client = await stomp.connect();
      await client.does('DISCONNECT');
      await client.raw.closed();
    };
    for (let round = 0; round < 3; round++) await Promise.all(Array.from({ length: 10 }, leave));
  });
});
