import { expect, it } from 'vitest';
import { FakeProcess } from './harness.ts';

async function check(...words: string[]): Promise<{ code: number; out: string; err: string }> {
  const me = new FakeProcess();
  const code = await me.run(['access', 'check', ...words]);
  return { code, out: me.out.trim(), err: me.err };
}

it.each([
  [
    ['device:pump-1', 'publish', 'devices/me/telemetry'],
    0,
    'device:pump-1 may publish on devices/me/telemetry: its own tree',
  ],
  [['device:pump-1', 'subscribe', '$share/g/devices/pump-1/#'], 0, /may subscribe to .*: its own tree/],
  [['device:pump-1', 'publish', 'alarms'], 1, /may not publish on alarms: a device publishes under its own tree/],
  [['device:pump-1', 'publish', 'a/pump-1', '--device-publish', 'a/{id},b'], 0, /devicePublish a\/\{id\}/],
  [['application', 'subscribe', '#'], 0, /without rules/],
  [['application', 'subscribe', '#', '--subscribe', 'home/#'], 1, /no subscribe rule/],
  [['application', 'publish', 'home/x', '--publish', 'home/+'], 0, /publish rule home\/\+/],
  [['anonymous', 'subscribe', 'test/nosubscribe', '--deny-subscribe', 'test/nosubscribe'], 1, /denySubscribe/],
  [['anonymous:d1', 'publish', 'devices/d2/telemetry'], 0, /anonymous mode/],
] as const)('muster access check %j', async (words, code, text) => {
  const result = await check(...words);
  expect(result).toMatchObject({ code, err: '' });
  expect(result.out).toMatch(text);
});

it('tells programs the same as JSON', async () => {
  const { out } = await check('application', 'publish', 'a', '--json');
  expect(JSON.parse(out)).toEqual({
    who: 'application',
    action: 'publish',
    topic: 'a',
    allowed: true,
    why: 'an application without rules may use every topic',
  });
});

it.each([
  [['pump-1', 'publish', 'a'], /is nobody: give device:ID/],
  [['device:me', 'publish', 'a'], /is no device id/],
  [['application', 'publish', 'a/#'], /wildcards are for filters/],
  [['application', 'subscribe', 'a/#/b'], /is no topic filter/],
  [['device:d', 'publish', 'a', '--publish', 'a'], /ask for `application`/],
  [['application', 'publish', 'a', '--publish', 'a/#/b'], /is no topic filter/],
  [['application', 'read', 'a'], /Allowed choices are publish, subscribe/],
] as const)('says what is wrong with %j', async (words, message) => {
  const { code, err } = await check(...words);
  expect(code).not.toBe(0);
  expect(err).toMatch(message);
});
