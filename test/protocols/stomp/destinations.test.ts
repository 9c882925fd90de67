import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { destinationOfTopic, filterOfDestination, topicOfDestination } from '#protocols/stomp/destinations.js';
import { isTopicFilter, isTopicName } from '#protocols/topics.js';

const LIMITS = { maxTopicBytes: 40, maxTopicLevels: 5 };

describe('the destination of a SEND', () => {
  it.each([
    ['/topic/a', 'a'],
    ['/topic/a/b', 'a/b'],
    ['/topic//a/', '/a/'],
    ['/topic/a*b/c>', 'a*b/c>'],
    ['/topic/devices/d1/telemetry', 'devices/d1/telemetry'],
    ['/devices/me/telemetry', 'devices/me/telemetry'],
    ['devices/d1/events/boot', 'devices/d1/events/boot'],
  ])('%s is the topic %s', (destination, topic) => {
    expect(topicOfDestination(destination, LIMITS)).toEqual({ ok: true, kind: 'topic', topic });
  });

  it.each([
    ['/queue/x', { kind: 'queue', topic: '$queue/x' }],
    ['/queue/a/b', { kind: 'queue', topic: '$queue/a/b' }],
    ['/reply-queue/c1-1', { kind: 'reply', topic: '$reply/c1-1' }],
    ['/temp-queue/x', { kind: 'temporary', name: 'x' }],
  ])('%s is a queue', (destination, read) => {
    expect(topicOfDestination(destination, LIMITS)).toEqual({ ok: true, ...read });
  });

  it.each([
    'a',
    '',
    '/',
    '/topic',
    '/topic/',
    'topic/a',
    '/devices',
    '/devices/',
    'devices',
    '/queue',
    '/queue/',
    '/temp-queue/',
    '/reply-queue/',
    'queue/x',
    '//devices/d1',
  ])('%s is no destination', (destination) => {
    expect(topicOfDestination(destination, LIMITS)).toMatchObject({
      ok: false,
      message: expect.stringContaining('/topic/'),
    });
  });

  it.each([
    '/topic/+',
    '/topic/a/#',
    '/topic/*',
    '/topic/a/>',
    '/topic/a+b',
    '/devices/+/telemetry',
    '/queue/*',
    '/temp-queue/#',
  ])('%s is refused for its wildcard', (destination) => {
    expect(topicOfDestination(destination, LIMITS)).toMatchObject({
      ok: false,
      message: expect.stringContaining('wildcard'),
    });
  });

  it('has the length and the levels of a topic as its limits', () => {
    expect(topicOfDestination(`/topic/${'x'.repeat(40)}`, LIMITS).ok).toBe(true);
    expect(topicOfDestination(`/topic/${'x'.repeat(41)}`, LIMITS)).toMatchObject({ ok: false, limit: 'maxTopicBytes' });
    for (const [queue, most] of [
      ['/queue/', 33],
      ['/reply-queue/', 33],
      ['/temp-queue/', 40],
    ] as const) {
      expect(topicOfDestination(`${queue}${'x'.repeat(most)}`, LIMITS).ok).toBe(true);
      expect(topicOfDestination(`${queue}${'x'.repeat(most + 1)}`, LIMITS).ok).toBe(false);
      expect(filterOfDestination(`${queue}${'x'.repeat(most + 1)}`, LIMITS).ok).toBe(false);
    }
    expect(topicOfDestination(`/topic/${'€'.repeat(14)}`, LIMITS).ok).toBe(false);
    expect(topicOfDestination('/topic/a/b/c/d/e', LIMITS).ok).toBe(true);
    expect(topicOfDestination('/topic/a/b/c/d/e/f', LIMITS)).toMatchObject({ ok: false, limit: 'maxTopicLevels' });
  });
});

describe('the destination of a SUBSCRIBE', () => {
  it.each([
    ['/topic/a/b', 'a/b'],
    ['/topic/+/b/#', '+/b/#'],
    ['/topic/*/b/>', '+/b/#'],
    ['/topic/>', '#'],
    ['/topic/a*/b', 'a*/b'],
    ['/devices/me/commands/#', 'devices/me/commands/#'],
    ['devices/*/presence', 'devices/+/presence'],
  ])('%s is the filter %s', (destination, topic) => {
    expect(filterOfDestination(destination, LIMITS)).toEqual({ ok: true, kind: 'topic', topic });
  });

  it.each([
    ['/queue/x/y', { kind: 'queue', topic: '$queue/x/y' }],
    ['/temp-queue/x', { kind: 'temporary', name: 'x' }],
  ])('%s is a queue', (destination, read) => {
    expect(filterOfDestination(destination, LIMITS)).toEqual({ ok: true, ...read });
  });

  it.each([
    '/topic/#/a',
    '/topic/>/a',
    '/topic/a+',
    '/topic/a#',
    '/queue/+',
    '/queue/a/>',
    '/temp-queue/*',
    // Answers come to who asked, and nothing in a queue is to be read past it.
    '/reply-queue/c1-1',
    '/topic/$queue/x',
    '/topic/$reply/c1-1',
    'a',
  ])('%s is refused', (destination) => {
    expect(filterOfDestination(destination, LIMITS).ok).toBe(false);
  });
});

describe('destinations and topics', () => {
  it('lead back to the same topic', () => {
    const topic = fc
      .oneof(
        fc.string({ minLength: 1 }),
        fc.constantFrom('devices/d1/x', 'devices', 'a/b', '/a', '$queue/x', '$queue', '$reply/c1-1', '$x/y'),
      )
      .filter(
        (text) =>
          isTopicName(text) &&
          !text.split('/').some((level) => level === '*' || level === '>') &&
          !/^(devices|\$queue|\$reply)\/$/.test(text),
      );
    fc.assert(
      fc.property(topic, (text) => {
        const wide = { maxTopicBytes: 1000, maxTopicLevels: 100 };
        expect(topicOfDestination(destinationOfTopic(text), wide)).toMatchObject({ ok: true, topic: text });
      }),
    );
  });

  it('never make an invalid topic or filter', () => {
    const any = fc.string({
      unit: fc.constantFrom('/', 'topic', 'devices', 'queue', 'temp-queue', 'reply-queue', '+', '#', '*', '>', 'a'),
    });
    fc.assert(
      fc.property(any, (destination) => {
        const topic = topicOfDestination(destination, LIMITS);
        if (topic.ok && topic.kind !== 'temporary') expect(isTopicName(topic.topic)).toBe(true);
        const filter = filterOfDestination(destination, LIMITS);
        if (filter.ok && filter.kind !== 'temporary') expect(isTopicFilter(filter.topic)).toBe(true);
      }),
    );
  });
});
