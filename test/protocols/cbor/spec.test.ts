import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { TYPE } from '#protocols/cbor/messages.js';
import { CLOSE_REASONS, type CloseReason } from '#protocols/close-reasons.js';
import { REJECT_CODES, type RejectCode } from '#protocols/errors.js';
import { DEFAULT_LIMITS, type ProtocolLimits } from '#protocols/limits.js';
import { OPTIONS } from '#hub/config/options.js';
import { REFUSAL_STATUS } from '#hub/gateway/refusal.js';
import type { RefusalCode } from '#hub/gateway/port.js';

/** What SPEC.md says in numbers and names is what the code does. */
const spec = readFileSync(new URL('../../../protocols/cbor/SPEC.md', import.meta.url), 'utf8');

/** The rows of the tables in a section, as cells. */
function rows(section: number): string[][] {
  const start = spec.indexOf(`\n## ${section}. `);
  const text = spec.slice(start, spec.indexOf('\n## ', start + 1));
  return text
    .split('\n')
    .filter((line) => line.startsWith('|') && !/^\|[-|]+\|$/.test(line))
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
}

const unquoted = (cell: string): string => cell.replaceAll('`', '');

describe('SPEC.md', () => {
  test('has a section for each line of its contents', () => {
    const lines = [...spec.matchAll(/^(\d+)\. \[(.+)\]\(#(.+)\)$/gm)];
    expect(lines).toHaveLength(18);
    for (const [, number, title, anchor] of lines) {
      expect(spec).toContain(`\n## ${number}. ${title}\n`);
      expect(anchor).toBe(`${number}-${title!.toLowerCase().replaceAll(' ', '-')}`);
    }
  });

  test('its types of messages are those of the code', () => {
    const types = rows(1)
      .map(([, type, message]) => [Number(type), unquoted(message!).split(' ')[0]!.toLowerCase()] as const)
      .filter(([type]) => !Number.isNaN(type));
    const known = types.filter(([, name]) => name !== 'reserved').map(([type, name]) => [name, type]);
    const { reported, ...others } = TYPE;
    expect(Object.fromEntries(known)).toEqual(others);
    expect(types).toContainEqual([reported, 'reserved']);
  });

  /** What ends connections of other protocols alone, or is found out by the hub after the end. */
  const OF_OTHERS: readonly CloseReason[] = [
    ...(['client_disconnect', 'connection_lost', 'hub_crashed', 'sequence_gap'] as const),
    ...(['keep_alive_timeout', 'heart_beat_timeout', 'bad_authentication_method', 'unsupported_version'] as const),
    ...(['topic_name_invalid', 'topic_alias_invalid', 'receive_maximum_exceeded', 'payload_format_invalid'] as const),
    'qos_not_supported',
  ];

  test('its codes of ERROR, their close codes and what to do are those of the table of close reasons', () => {
    const listed = rows(11)
      .slice(1)
      .map(([code, close, what]) => [unquoted(code!), Number(close), what] as const);
    const expected = (Object.keys(CLOSE_REASONS) as CloseReason[])
      .filter((name) => !OF_OTHERS.includes(name))
      .map((name) => {
        const { webSocketCode, reconnect } = CLOSE_REASONS[name];
        const what = name === 'taken_over' ? 'taken over' : reconnect ? 'come back' : 'stay away';
        return [name, webSocketCode, what] as const;
      });
    expect(listed.toSorted()).toEqual(expected.toSorted());
  });

  test('its rule for unknown codes agrees with the known ones', () => {
    const sentence = /except with the close codes ([\d, and]+) \(\*stay away\*\) and 4009/.exec(spec)![1]!;
    const stay = sentence.match(/\d+/g)!.map(Number);
    for (const name of Object.keys(CLOSE_REASONS) as CloseReason[]) {
      const { webSocketCode, reconnect } = CLOSE_REASONS[name];
      if (OF_OTHERS.includes(name) || webSocketCode === 4009) continue;
      expect(stay.includes(webSocketCode), name).toBe(!reconnect);
    }
  });

  test('its codes of NACK are those of messages without a topic', () => {
    const codes = rows(5)
      .map(([code]) => unquoted(code!))
      .filter((code) => Object.hasOwn(REJECT_CODES, code));
    const ofTopics: readonly RejectCode[] = ['unknown_device', 'topic_not_allowed', 'queue_full'];
    const expected = (Object.keys(REJECT_CODES) as RejectCode[]).filter((code) => !ofTopics.includes(code));
    expect(codes.toSorted()).toEqual(expected.toSorted());
  });

  test('its HTTP refusals are those of the hub', () => {
    const listed = rows(2)
      .filter(([status]) => /^\d+$/.test(status!))
      .flatMap(([status, codes]) => codes!.split(', ').map((code) => [unquoted(code), Number(status)] as const));
    const ofStreams: readonly RefusalCode[] = ['tls_failed', 'bad_proxy_header'];
    const expected = (Object.entries(REFUSAL_STATUS) as [RefusalCode, number][]).filter(
      ([code]) => !ofStreams.includes(code),
    );
    expect(listed.toSorted()).toEqual(expected.toSorted());
  });

  test('its limits are the defaults', () => {
    let found = 0;
    for (const [what, number, where] of rows(12)) {
      const name = /`limits\.(\w+)`/.exec(where!)?.[1] as keyof ProtocolLimits | undefined;
      if (name === undefined) continue;
      found++;
      const digits = Number(/[\d,]+/.exec(number!)![0].replaceAll(',', ''));
      expect(number!.includes('minute') ? digits * 60_000 : digits, what).toBe(DEFAULT_LIMITS[name]);
    }
    expect(found).toBe(9);
    expect(DEFAULT_LIMITS.maxDepth).toBe(8);
  });

  test.each([
    ['identifyTimeoutMs', 10_000, '10 s (`identifyTimeoutMs`)'],
    ['pingIntervalMs', 25_000, '25 s (`pingIntervalMs`)'],
    ['pongTimeoutMs', 10_000, '10 s (`pongTimeoutMs`)'],
    ['idleTimeoutMs', 3_600_000, 'for an hour (`idleTimeoutMs`'],
    ['pauseLimitMs', 60_000, 'closes with `overloaded` after a minute'],
    ['commandResponseTimeoutMs', 60_000, '(a minute, `commandResponseTimeoutMs`)'],
    ['maxStreamsPerDevice', 8, 'the last 8 (`maxStreamsPerDevice`)'],
    ['maxSeriesPerDevice', 1000, '(`maxSeriesPerDevice`, 1,000)'],
  ] as const)('%s is told as it is set', (name, value, words) => {
    expect(OPTIONS[name].default).toBe(value);
    expect(spec).toContain(words);
  });

  test('the paths that it names are served', () => {
    for (const path of OPTIONS.paths.default) expect(spec).toContain(`\`${path}\``);
  });
});
