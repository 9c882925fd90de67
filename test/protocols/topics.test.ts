import { describe, expect, it } from 'vitest';
import {
  answerTopic,
  commandTopic,
  isTopicFilter,
  isTopicName,
  levelCount,
  matchesFilter,
  resolveMe,
  topicMeaning,
} from '#protocols/topics.js';

describe('topic names and filters', () => {
  it('a name has a character and no wildcard [MQTT-3.3.2-2, MQTT-4.7.3-1]', () => {
    for (const name of ['a', '/', '//', 'a/b c', '$SYS/x', 'ä']) expect(isTopicName(name), name).toBe(true);
    for (const name of ['', 'a/+', '#', 'a+b', 'a\0b']) expect(isTopicName(name), name).toBe(false);
  });

  it('a wildcard fills its level, # the last one [MQTT-4.7.1-2, MQTT-4.7.1-3]', () => {
    for (const filter of ['#', '+', 'a/#', '+/+/#', '/+', 'a//#']) expect(isTopicFilter(filter), filter).toBe(true);
    for (const filter of ['', 'a#', 'a/#/b', '#/', 'a+', '+a/b', 'a\0'])
      expect(isTopicFilter(filter), filter).toBe(false);
  });

  it.each([
    ['sport/tennis/#', 'sport/tennis', true],
    ['sport/tennis/#', 'sport/tennis/x/y', true],
    ['sport/+', 'sport/x', true],
    ['sport/+', 'sport', false],
    ['sport/+', 'sport/', true],
    ['+', 'a', true],
    ['+', '/a', false],
    ['+/+', '/a', true],
    ['/+', '/a', true],
    ['#', '/', true],
    ['#', '$SYS/x', false],
    ['+/x', '$SYS/x', false],
    ['$SYS/#', '$SYS/x', true],
    ['a/b', 'a/B', false],
    ['a', 'a/b', false],
    ['a/b/c', 'a/b', false],
  ])('%s and %s: %s', (filter, topic, matches) => {
    expect(matchesFilter(filter, topic)).toBe(matches);
  });

  it('levels are counted with the empty ones', () => {
    expect(['a', '/', 'a/b', 'a//b', '///'].map(levelCount)).toEqual([1, 2, 2, 3, 4]);
  });
});

describe('what a topic means', () => {
  it('readings, events and results of devices', () => {
    expect(topicMeaning('devices/d/telemetry')).toEqual({ kind: 'telemetry', device: 'd', format: null });
    expect(topicMeaning('devices/me/telemetry/json')).toEqual({ kind: 'telemetry', device: null, format: 'json' });
    expect(topicMeaning('devices/d/events/door')).toEqual({ kind: 'event', device: 'd', name: 'door' });
    expect(topicMeaning('devices/me/commands/7/result')).toEqual({ kind: 'result', device: null, commandId: '7' });
  });

  it('everything else under devices/, $SYS and $share is reserved, the rest is free', () => {
    const reserved = [
      'devices',
      'devices/',
      'devices//telemetry',
      'devices/d',
      'devices/d/presence',
      'devices/d/commands/7/reboot',
      'devices/d/commands//result',
      'devices/d/telemetry/',
      'devices/d/telemetry/a/b',
      'devices/d/events',
      'devices/d/events/',
      '$SYS',
      '$SYS/x',
      '$share/g/x',
    ];
    for (const topic of reserved) expect(topicMeaning(topic).kind, topic).toBe('reserved');
    for (const topic of ['a', '/devices/d/telemetry', 'device/x', 'devicesx', '$other/x', '$SYSx']) {
      expect(topicMeaning(topic).kind, topic).toBe('free');
    }
  });

  it('me is the device itself, on the way in and on the way back', () => {
    expect(resolveMe('devices/me/telemetry', 'd')).toBe('devices/d/telemetry');
    expect(resolveMe('devices/me', 'd')).toBe('devices/d');
    expect(resolveMe('devices/me2/x', 'd')).toBe('devices/me2/x');
    const topic = commandTopic('d', 'c1', 'reboot');
    expect(answerTopic(topic, 'devices/me/commands/#', 'd')).toBe('devices/me/commands/c1/reboot');
    expect(answerTopic(topic, 'devices/d/commands/#', 'd')).toBe(topic);
    expect(answerTopic('devices/e/x', 'devices/me/#', 'd')).toBe('devices/e/x');
  });
});
