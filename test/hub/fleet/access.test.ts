import { describe, expect, it } from 'vitest';
import type { Principal } from '#protocols/principal.js';
import { TopicAccess } from '#hub/fleet/access.js';

const device: Principal = { kind: 'device', id: 'pump-1', anonymous: false };
const application: Principal = { kind: 'application', id: 'home', anonymous: false, keyId: 'aa' };
const stranger: Principal = { kind: 'application', id: 'anonymous', anonymous: true };
const anonymousDevice: Principal = { kind: 'device', id: 'pump-1', anonymous: true };

const closed = new TopicAccess({ devicePublish: [], deviceSubscribe: [], denySubscribe: [] });
const open = new TopicAccess({
  devicePublish: ['sites/+/{id}/#', 'alarms'],
  deviceSubscribe: ['sites/+/{id}/#', 'broadcast/#'],
  denySubscribe: ['test/nosubscribe', 'secret/#'],
});

describe('a device', () => {
  it.each([
    ['devices/pump-1/telemetry', true],
    ['devices/me/telemetry', true],
    ['devices/pump-1/commands/c1/result', true],
    ['devices/pump-2/telemetry', false],
    ['devices/pump-1/presence', false],
    ['alarms', false],
    ['$SYS/broker/version', false],
  ])('publishes in its own tree: %s', (topic, allowed) => {
    expect(closed.publish(device, topic, null).allowed).toBe(allowed);
  });

  it.each([
    ['alarms', true],
    ['sites/north/pump-1/state', true],
    ['sites/north/pump-2/state', false],
    ['alarms/x', false],
  ])('and where the policy opens topics to it: %s', (topic, allowed) => {
    expect(open.publish(device, topic, null).allowed).toBe(allowed);
  });

  it.each([
    ['devices/pump-1/commands/#', true],
    ['devices/pump-1/#', true],
    ['devices/+/commands/#', false],
    ['devices/pump-10/#', false],
    ['#', false],
    ['$SYS/#', false],
    ['broadcast/all', false],
  ])('subscribes in its own tree: %s', (filter, allowed) => {
    expect(closed.subscribe(device, filter, null).allowed).toBe(allowed);
  });

  it.each([
    ['broadcast/all', true],
    ['sites/+/pump-1/#', true],
    ['sites/#', false],
    ['sites/+/+/#', false],
  ])('and to what one filter of the policy covers: %s', (filter, allowed) => {
    expect(open.subscribe(device, filter, null).allowed).toBe(allowed);
  });
});

describe('an application', () => {
  const rules = { publish: ['home/+/set', '#'], subscribe: ['home/#', 'devices/+/telemetry'] };

  it('without rules uses every topic but those that the hub keeps for itself', () => {
    expect(closed.publish(application, 'anything', null).allowed).toBe(true);
    expect(closed.publish(application, 'devices/pump-1/telemetry', null).allowed).toBe(true);
    expect(closed.publish(application, '$SYS/x', null).allowed).toBe(false);
    expect(closed.publish(application, '$share/x/y', null).allowed).toBe(false);
    expect(closed.subscribe(application, '#', null).allowed).toBe(true);
    expect(closed.subscribe(application, '$SYS/#', null).allowed).toBe(true);
  });

  it('publishes where a rule matches; no rule opens what the hub keeps', () => {
    const narrow = { ...rules, publish: ['home/+/set'] };
    expect(closed.publish(application, 'home/lamp/set', narrow)).toMatchObject({ allowed: true });
    expect(closed.publish(application, 'home/lamp', narrow).allowed).toBe(false);
    expect(closed.publish(application, 'home', { publish: [], subscribe: ['#'] }).allowed).toBe(false);
    expect(closed.publish(application, 'devices/pump-1/presence', rules).allowed).toBe(false);
  });

  it('subscribes where one rule covers all', () => {
    expect(closed.subscribe(application, 'home/+/state', rules).allowed).toBe(true);
    expect(closed.subscribe(application, 'devices/+/telemetry', rules).allowed).toBe(true);
    expect(closed.subscribe(application, 'devices/#', rules).allowed).toBe(false);
    expect(closed.subscribe(application, '#', rules).allowed).toBe(false);
    expect(closed.subscribe(application, '$share/g/home/x', null).allowed).toBe(false);
  });
});

describe('an anonymous client', () => {
  it.each([stranger, anonymousDevice])('uses every topic and filter: %j', (principal) => {
    expect(closed.publish(principal, 'a/b', null).allowed).toBe(true);
    expect(closed.publish(principal, 'devices/other/telemetry', null).allowed).toBe(true);
    expect(closed.publish(principal, '$SYS/x', null).allowed).toBe(false);
    expect(closed.subscribe(principal, '#', null).allowed).toBe(true);
  });

  it.each([
    ['test/nosubscribe', false],
    ['secret/x', false],
    ['secret/#', false],
    ['secret', false],
    ['test/+', true],
    ['test/nosubscribe/x', true],
    ['#', true],
  ])('but what denySubscribe covers: %s', (filter, allowed) => {
    expect(open.subscribe(stranger, filter, null).allowed).toBe(allowed);
    expect(open.subscribe(anonymousDevice, filter, null).allowed).toBe(allowed);
    expect(open.subscribe(application, filter, null).allowed).toBe(true);
  });
});

it('each verdict says what decided', () => {
  expect(open.publish(device, 'alarms', null).why).toBe('devicePublish alarms');
  expect(open.publish(device, 'devices/x/telemetry', null).why).toBe('the tree of another device');
  expect(open.subscribe(stranger, 'secret/x', null).why).toBe('denySubscribe secret/#');
});

describe('a queue', () => {
  const queues = new TopicAccess({
    devicePublish: ['$queue/jobs/{id}'],
    deviceSubscribe: ['$queue/jobs/{id}'],
    denySubscribe: ['$queue/secret/#'],
  });

  it('is a device’s where the policy opens it, an application’s always', () => {
    for (const ask of ['publish', 'subscribe'] as const) {
      expect(closed[ask](device, '$queue/jobs', null).allowed).toBe(false);
      expect(queues[ask](device, '$queue/jobs/pump-1', null).allowed).toBe(true);
      expect(queues[ask](device, '$queue/jobs/pump-2', null).allowed).toBe(false);
      expect(closed[ask](application, '$queue/jobs', null).allowed).toBe(true);
      expect(closed[ask](stranger, '$queue/jobs', null).allowed).toBe(true);
    }
    expect(queues.subscribe(stranger, '$queue/secret/a', null).allowed).toBe(false);
  });

  it('is covered by rules that begin with its name, not by a wildcard in the first level', () => {
    const all = { publish: ['#'], subscribe: ['#'] };
    const named = { publish: ['$queue/jobs/#'], subscribe: ['$queue/jobs/+'] };
    for (const ask of ['publish', 'subscribe'] as const) {
      expect(closed[ask](application, '$queue/jobs/a', all).allowed).toBe(false);
      expect(closed[ask](application, '$queue/jobs/a', named).allowed).toBe(true);
      expect(closed[ask](application, '$queue/other', named).allowed).toBe(false);
    }
  });

  it('of answers may be sent to by whoever was told its name', () => {
    const none = { publish: [], subscribe: [] };
    expect(closed.publish(device, '$reply/abc', null).allowed).toBe(true);
    expect(closed.publish(application, '$reply/abc', none).allowed).toBe(true);
    expect(closed.publish(device, '$reply', null).allowed).toBe(false);
  });
});
