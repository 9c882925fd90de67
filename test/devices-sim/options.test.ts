import { describe, expect, test } from 'vitest';
import { optionKey, parseSimOptions, SIM_OPTION_TABLE, SimOptionError } from '#devices-sim/main.js';

describe('simulator options', () => {
  test('without any, the defaults of the table hold', () => {
    expect(parseSimOptions({})).toEqual({
      url: 'ws://127.0.0.1:8080',
      devices: 100,
      mix: { mqtt: 60, stomp: 20, cbor: 20, http: 0 },
      intervalMs: 10_000,
      durationMs: 60_000,
      seed: 1,
      token: null,
      rampPerSecond: 500,
      commandsPerMinute: 0,
      spawnHub: false,
      killAfterMs: null,
      cuts: null,
      dataDir: null,
      hubCommand: null,
      verify: true,
      drainMs: 15_000,
      json: false,
    });
  });

  test('the line of the issue is understood', () => {
    const options = parseSimOptions({
      url: 'ws://127.0.0.1:9000',
      devices: '5000',
      mix: 'mqtt=60,stomp=20,cbor=20',
      interval: '10s',
      duration: '1.5m',
      seed: '7',
      ramp: '200/s',
      spawnHub: true,
      killAfter: '30s',
      data: '/tmp/x',
      hubCommand: 'node dist/cli/main.js',
      verify: false,
      json: true,
    });
    expect(options).toMatchObject({
      devices: 5000,
      durationMs: 90_000,
      seed: 7,
      rampPerSecond: 200,
      spawnHub: true,
      killAfterMs: 30_000,
      cuts: null,
      dataDir: '/tmp/x',
      hubCommand: ['node', 'dist/cli/main.js'],
      verify: false,
      json: true,
    });
  });

  test('forever is a duration', () => {
    expect(parseSimOptions({ duration: 'forever' }).durationMs).toBe(Infinity);
  });

  test('a protocol may be left out of the mix', () => {
    expect(parseSimOptions({ mix: 'cbor=1' }).mix).toEqual({ mqtt: 0, stomp: 0, cbor: 1, http: 0 });
  });

  test('--protocols is an equal share of each, and stands in place of --mix', () => {
    expect(parseSimOptions({ protocols: 'cbor, http' }).mix).toEqual({ mqtt: 0, stomp: 0, cbor: 1, http: 1 });
    expect(() => parseSimOptions({ protocols: 'cbor,coap' })).toThrow('mqtt, stomp, cbor, http');
    expect(() => parseSimOptions({ protocols: 'cbor', mix: 'cbor=1' })).toThrow('give one of them');
  });

  test('--cuts is a share of what passes, up to half of it', () => {
    expect(parseSimOptions({}).cuts).toBeNull();
    expect(parseSimOptions({ cuts: '0%' }).cuts).toBe(0);
    expect(parseSimOptions({ cuts: '12.5%' }).cuts).toBe(0.125);
    expect(parseSimOptions({ cuts: '50%' }).cuts).toBe(0.5);
  });

  test.each([
    [{ url: 'http://hub' }, '--url must be a ws:// or wss:// address'],
    [{ url: 'nonsense' }, '--url must be'],
    [{ url: 'ws://127.0.0.1:0' }, 'port 0 needs --spawn-hub'],
    [{ url: 'ws://hub.example:8080', spawnHub: true }, '--spawn-hub starts a hub on this machine'],
    [{ url: 'wss://127.0.0.1:8080', spawnHub: true }, '--spawn-hub starts a hub on this machine'],
    [{ devices: '0' }, '--devices must be a whole number from 1 to 200000, not "0"'],
    [{ devices: '1e3' }, '--devices must be a whole number'],
    [{ devices: '200001' }, '--devices must be'],
    [{ mix: 'mqtt' }, '--mix must read like'],
    [{ mix: 'amqp=5' }, '--mix must read like'],
    [{ mix: 'mqtt=-1' }, '--mix must read like'],
    [{ mix: 'mqtt=0,cbor=0' }, '--mix has no share above 0'],
    [{ interval: '10' }, '--interval must be a number with a unit (ms, s, m, h) such as 10s, not "10"'],
    [{ interval: '19ms' }, '--interval must be at least 20 ms'],
    [{ duration: '0s' }, '--duration must be at least 1 ms'],
    [{ seed: '4294967296' }, '--seed must be'],
    [{ token: 'secret' }, '--token must look like mst_'],
    [{ ramp: '0/s' }, '--ramp must be devices per second'],
    [{ killAfter: '5s' }, '--kill-after needs --spawn-hub'],
    [{ data: 'x' }, '--data needs --spawn-hub'],
    [{ spawnHub: true, killAfter: '60s' }, '--kill-after must be shorter than --duration'],
    [{ commandsPerMinute: '6' }, '--commands-per-minute needs --token'],
    [{ cuts: '20' }, '--cuts must be a share from 0% to 50% such as 20%, not "20"'],
    [{ cuts: '50.1%' }, '--cuts must be a share'],
    [{ cuts: '20%', url: 'wss://hub.example' }, '--cuts needs a ws:// address'],
    [{ devices: true }, '--devices needs a value'],
    [{ colour: 'red' }, '"colour" is no option of the simulator'],
  ])('%o is refused in words', (raw, words) => {
    expect(() => parseSimOptions(raw as Record<string, string>)).toThrow(SimOptionError);
    expect(() => parseSimOptions(raw as Record<string, string>)).toThrow(words);
  });

  test('every row of the table is an option that can be given', () => {
    for (const { flag, value, default: typed } of SIM_OPTION_TABLE) {
      const raw = { [optionKey(flag)]: value === null ? true : (typed ?? undefined) };
      expect(() => parseSimOptions(raw)).not.toThrow();
    }
  });

  test('keys are those that commander makes of the flags', () => {
    expect(SIM_OPTION_TABLE.map((option) => optionKey(option.flag))).toContain('commandsPerMinute');
    expect(optionKey('--no-verify')).toBe('verify');
  });
});
