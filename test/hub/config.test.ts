import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ALL_OPTIONS, ConfigError, configSchema, resolveConfig } from '#hub/config.js';
import { configurationMarkdown } from '#hub/config/markdown.js';
import { parseText } from '#hub/config/parse.js';
import { DEFAULT_LIMITS } from '#protocols/limits.js';

function problemsOf(flags: Parameters<typeof resolveConfig>[0], env: Parameters<typeof resolveConfig>[1] = {}) {
  try {
    resolveConfig(flags, env);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

describe('the effective configuration', () => {
  it('is the defaults when nothing is given, and the protocol limits are those of protocols/limits.ts', () => {
    const { config, sources } = resolveConfig({}, {});
    expect(config.port).toBe(8080);
    expect(config.limits).toEqual(DEFAULT_LIMITS);
    expect(new Set(Object.values(sources))).toEqual(new Set(['default']));
    expect(Object.keys(sources)).toEqual(ALL_OPTIONS.map((option) => option.key));
  });

  it('takes a flag before the environment, and the environment before the default', () => {
    const env = { MUSTER_PORT: '9000', MUSTER_MAX_CONNECTIONS: '5', MUSTER_LIMITS_MAX_DEPTH: '4' };
    const { config, sources } = resolveConfig({ port: '9100' }, env);
    expect(config.port).toBe(9100);
    expect(sources.port).toBe('flag');
    expect(config.maxConnections).toBe(5);
    expect(sources.maxConnections).toBe('environment');
    expect(config.limits.maxDepth).toBe(4);
    expect(sources['limits.maxDepth']).toBe('environment');
  });

  it('takes values that are no text as they are', () => {
    const { config } = resolveConfig({ port: 0, allowAnonymous: true, paths: ['/a'], limitsMaxDepth: 3 }, {});
    expect(config).toMatchObject({ port: 0, allowAnonymous: true, paths: ['/a'], limits: { maxDepth: 3 } });
  });

  it('listens on the loopback address alone in anonymous mode, unless a host is given', () => {
    expect(resolveConfig({}, {}).config.host).toBe('0.0.0.0');
    expect(resolveConfig({ allowAnonymous: true }, {}).config.host).toBe('127.0.0.1');
    expect(resolveConfig({ allowAnonymous: true, host: '0.0.0.0' }, {}).config.host).toBe('0.0.0.0');
    expect(resolveConfig({ allowAnonymous: true }, { MUSTER_HOST: '10.0.0.1' }).config.host).toBe('10.0.0.1');
  });

  it('can turn a switch of the environment off by flag', () => {
    expect(resolveConfig({ enableEcho: false }, { MUSTER_ENABLE_ECHO: 'true' }).config.enableEcho).toBe(false);
  });
});

describe('what is refused', () => {
  it('an unknown MUSTER_ variable, with the nearest name', () => {
    expect(problemsOf({}, { MUSTER_MAX_CONECTIONS: '5' })).toEqual([
      'unknown environment variable MUSTER_MAX_CONECTIONS: did you mean MUSTER_MAX_CONNECTIONS?',
    ]);
    expect(problemsOf({}, { MUSTER_PROT: '5' })[0]).toContain('did you mean MUSTER_PORT?');
    expect(problemsOf({}, { MUSTER_COFFEE_PLEASE: '1' })[0]).toContain('muster config');
  });

  it('but not the variables of the client commands, nor those of others', () => {
    expect(
      problemsOf(
        {},
        {
          MUSTER_URL: 'http://x',
          MUSTER_TOKEN: 'mst_a_b',
          MUSTER_TOKEN_FILE: 't',
          MUSTER_PROFILE: 'p',
          MUSTER_CONFIG: 'c',
          PATH: '/bin',
        },
      ),
    ).toEqual([]);
  });

  it('an unknown flag, with the nearest name', () => {
    expect(problemsOf({ pingIntervallMs: 1 })).toEqual([
      'unknown option pingIntervallMs: did you mean pingIntervalMs?',
    ]);
  });

  it('every wrong value at once, each by the name that was used', () => {
    const problems = problemsOf(
      { port: '70000', logLevel: 'loud' },
      { MUSTER_DATA: '', MUSTER_PING_INTERVAL_MS: 'soon' },
    );
    expect(problems).toHaveLength(4);
    expect(problems.join('\n')).toMatch(/--port: .*65535/);
    expect(problems.join('\n')).toMatch(/--log-level: .*info/);
    expect(problems.join('\n')).toMatch(/MUSTER_DATA: /);
    expect(problems.join('\n')).toMatch(/MUSTER_PING_INTERVAL_MS: expected a duration.*got "soon"/);
  });

  it.each([
    ['one half of TLS', { tlsCert: 'a.pem' }, 'tlsKey'],
    ['paths without a slash', { paths: 'mqtt' }, 'paths'],
    ['no path', { paths: '' }, 'paths'],
    ['water marks upside down', { outboxLowWaterBytes: '64KiB' }, 'outboxLowWaterBytes'],
    ['an outbox too small for a message', { outboxMaxBytes: '128KiB' }, 'outboxMaxBytes'],
    ['a WebSocket message too small for a message', { maxWebSocketMessageBytes: '128KiB' }, 'maxWebSocketMessageBytes'],
    ['backlog marks upside down', { backlogLowRows: 200_000 }, 'backlogLowRows'],
    ['more before identification than after', { limitsMaxUnidentifiedBytes: '1MiB' }, 'maxUnidentifiedBytes'],
    ['more rejected payloads of one device than of all', { rejectedInAll: 10 }, 'rejectedPerDevice'],
  ])('%s', (_, flags, word) => {
    expect(problemsOf(flags)).toHaveLength(1);
    expect(problemsOf(flags)[0]).toContain(word);
  });

  it('unknown keys, by the schema itself', () => {
    const { config } = resolveConfig({}, {});
    expect(configSchema.safeParse({ ...config, colour: 'red' }).success).toBe(false);
    expect(configSchema.safeParse(config).success).toBe(true);
  });
});

describe('the text of options', () => {
  it.each([
    ['duration', '500', 500],
    ['duration', '500ms', 500],
    ['duration', '1.5s', 1500],
    ['duration', '5m', 300_000],
    ['duration', '1h', 3_600_000],
    ['duration', '1d', 86_400_000],
    ['bytes', '64KiB', 65_536],
    ['bytes', '1 MiB', 1_048_576],
    ['integer', ' 12 ', 12],
    ['flag', 'ON', true],
    ['flag', '0', false],
    ['list', ' a, b,,', ['a', 'b']],
  ] as const)('reads %s %j', (kind, text, value) => {
    expect(parseText(kind, text)).toEqual(value);
  });

  it.each([
    ['duration', '10 parsecs'],
    ['duration', '-5s'],
    ['duration', '5constructor'],
    ['bytes', '64kb'],
    ['integer', '1e3'],
    ['integer', '5s'],
    ['integer', ''],
    ['flag', 'maybe'],
  ] as const)('refuses %s %j with words', (kind, text) => {
    expect(() => parseText(kind, text)).toThrow(/^expected /);
  });

  it('does not take a fraction where whole numbers are counted', () => {
    expect(problemsOf({ maxConnections: '1.5' })[0]).toContain('--max-connections');
  });
});

describe('docs/configuration.md', () => {
  it('is what the schema says (make it anew with `npm run --silent muster -- config --markdown > docs/configuration.md`)', () => {
    expect(readFileSync(new URL('../../docs/configuration.md', import.meta.url), 'utf8')).toBe(configurationMarkdown());
  });

  it('every option has a text, a reason, and a default that its own schema takes', () => {
    for (const option of ALL_OPTIONS) {
      expect(option.text.length, option.key).toBeGreaterThan(9);
      expect(option.reason.length, option.key).toBeGreaterThan(9);
      expect(option.schema.safeParse(option.default).success, option.key).toBe(true);
      if (/Ms$|Bytes$/.test(option.key))
        expect(option.unit, option.key).toBe(option.key.endsWith('Ms') ? 'ms' : 'bytes');
    }
  });
});
