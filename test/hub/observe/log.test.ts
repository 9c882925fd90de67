import { describe, expect, it } from 'vitest';
import { createLog } from '#hub/observe/log.js';
import { redactSecrets, redactUrl } from '#hub/observe/redact.js';

const SECRET = 'c2VjcmV0-part_of-it';
const TOKEN = `mst_0a1b2c_${SECRET}`;

function logged(write: (log: ReturnType<typeof createLog>) => void): string {
  let out = '';
  write(createLog('debug', { write: (line) => void (out += line) }));
  return out;
}

describe('the log', () => {
  it('is one JSON object a line, with level by name and time', () => {
    const line = JSON.parse(logged((log) => log.info({ device: 'a' }, 'hello'))) as Record<string, unknown>;
    expect(line).toMatchObject({ level: 'info', device: 'a', msg: 'hello' });
    expect(line.time).toMatch(/^\d{4}-\d\d-\d\dT/);
  });

  it.each<[string, (log: ReturnType<typeof createLog>) => void]>([
    ['in the message', (log) => log.warn(`refused ${TOKEN} from 10.0.0.1`)],
    ['under a known key', (log) => log.info({ token: TOKEN, password: SECRET })],
    ['in a header', (log) => log.info({ headers: { authorization: `Bearer ${SECRET}` } })],
    ['under an unknown key, deep inside', (log) => log.info({ a: { b: { c: { note: TOKEN } } } })],
    ['in the stack of an error', (log) => log.error(new Error(`cannot use ${TOKEN}`))],
    ['in a URL', (log) => log.info({ url: `/mqtt?a=1&access_token=${SECRET}&b=2` })],
  ])('holds no token %s', (_, write) => {
    const out = logged(write);
    expect(out).not.toBe('');
    expect(out).not.toContain(SECRET);
    for (const line of out.trim().split('\n')) expect(() => JSON.parse(line) as unknown).not.toThrow();
  });
});

describe('redaction', () => {
  it('leaves the rest of a URL as it is', () => {
    expect(redactUrl('/ws?x=1&Access_Token=abc%20d&y=2#z')).toBe('/ws?x=1&Access_Token=[redacted]&y=2#z');
    expect(redactUrl('/ws?mytoken=1')).toBe('/ws?mytoken=1');
  });

  it('keeps the key id, by which an operator finds the token', () => {
    expect(redactSecrets(`token ${TOKEN}, twice ${TOKEN}`)).toBe(
      'token mst_0a1b2c_[redacted], twice mst_0a1b2c_[redacted]',
    );
  });

  it('cuts Basic credentials', () => {
    expect(redactSecrets('authorization: Basic dXNlcjpwYXNzd29yZA==')).toBe('authorization: Basic [redacted]');
  });
});
