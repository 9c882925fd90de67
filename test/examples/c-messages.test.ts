import { spawnSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeC, skips, whyNoC, type Made } from './programs.ts';
import { damagedMessages, vectorsOf, type Meaning, type Vector } from './vectors.ts';

const missing = whyNoC();

describe.skipIf(skips('c-messages.test.ts', missing))('the messages of the C example', () => {
  let made: Made;
  beforeAll(() => {
    if (missing !== null) throw new Error(missing);
    made = makeC(['print-messages-checked']);
  }, 120_000);
  afterAll(() => {
    if (missing === null) made.remove();
  });

  /** One line out for each line in. */
  function printed(lines: readonly string[]): string[] {
    const run = spawnSync(made.program('print-messages-checked'), {
      input: lines.map((line) => `${line}\n`).join(''),
      encoding: 'utf8',
      maxBuffer: 1 << 28,
      timeout: 60_000,
    });
    if (run.status !== 0) throw new Error(`it ended with ${run.status ?? run.signal}:\n${run.stderr.slice(0, 4000)}`);
    const out = run.stdout.split('\n').slice(0, -1);
    expect(out).toHaveLength(lines.length);
    return out;
  }

  it('are byte by byte those of the vectors', () => {
    const vectors = vectorsOf('device-to-hub').filter(({ encodes }) => encodes !== false);
    expect(new Set(vectors.map(({ meaning }) => meaning.type)).size).toBe(5);
    const lines = printed(vectors.map(({ meaning }) => instruction(meaning)));
    expect(named(vectors, lines)).toEqual(
      named(
        vectors,
        vectors.map(({ hex }) => hex),
      ),
    );
  });

  it('of the hub are read as the vectors say', () => {
    const vectors = vectorsOf('hub-to-device');
    const lines = printed(vectors.map(({ hex }) => `read\t${hex}`));
    expect(named(vectors, lines)).toEqual(
      named(
        vectors,
        vectors.map(({ meaning }) => said(meaning)),
      ),
    );
  });

  it('that a device must refuse are refused', () => {
    const vectors = vectorsOf('refused-by-device');
    const lines = printed(vectors.map(({ hex }) => `read\t${hex}`));
    expect(named(vectors, lines)).toEqual(
      named(
        vectors,
        vectors.map(() => 'refused'),
      ),
    );
  });

  it('survive damage: what our own reader takes, the C reader takes alike, and nothing breaks it', () => {
    const samples = damagedMessages(20_000);
    const lines = printed(samples.map(({ bytes }) => `read\t${bytes.toString('hex')}`));
    samples.forEach(({ bytes, type }, i) => {
      if (type !== null) expect(lines[i]!.split('\t')[0], bytes.toString('hex')).toBe(type);
    });
  });
});

function named(vectors: readonly Vector[], lines: readonly string[]): [string, string][] {
  return vectors.map(({ name }, i) => [name, lines[i]!]);
}

// The lines of examples/c/print_messages.c.

const orNone = (text: string | undefined): string => (text === undefined ? '-' : encodeURIComponent(text));

function instruction(m: Meaning): string {
  switch (m.type) {
    case 'hello':
      return ['hello', m.stream, m.next, orNone(m.token), orNone(m.id), orNone(m.firmware)].join('\t');
    case 'data': {
      const readings = m.readings!.flatMap(({ metric, unit, timeUs, value }) => [
        encodeURIComponent(metric),
        orNone(unit),
        timeUs ?? 0,
        ...fields(value),
      ]);
      return ['data', m.seq, ...readings].join('\t');
    }
    case 'received':
      return ['received', m.commandId].join('\t');
    case 'result':
      return ['result', m.commandId, m.status, ...fields(m.value)].join('\t');
    case 'event':
      return ['event', m.seq, m.name, ...fields(m.value)].join('\t');
    default:
      throw new Error(`a device sends no ${m.type}`);
  }
}

function fields(value: unknown): string[] {
  if (Array.isArray(value)) return [`[${value.length}`, ...value.flatMap(fields)];
  if (typeof value === 'object' && value !== null) {
    const pairs = Object.entries(value);
    return [`{${pairs.length}`, ...pairs.flatMap(([key, item]) => [...fields(key), ...fields(item)])];
  }
  if (typeof value === 'string') return [`"${encodeURIComponent(value)}`];
  return [typeof value === 'number' ? `#${value}` : String(value)];
}

function said(m: Meaning): string {
  switch (m.type) {
    case 'welcome':
      return ['welcome', m.timeMs, m.resumeSeq, m.window, m.maxMessageBytes, m.device, m.epoch].join('\t');
    case 'ack':
      return ['ack', m.seq].join('\t');
    case 'nack':
      return ['nack', m.seq, m.code, m.text, m.expected ?? 0, m.commandId ?? ''].join('\t');
    case 'command':
      return ['command', m.commandId, m.name, m.deadlineMs, ...fields(m.params)].join('\t');
    case 'done':
      return ['done', m.commandId].join('\t');
    case 'error':
      return ['error', m.code, m.text].join('\t');
    default:
      return ['unknown', m.number].join('\t');
  }
}
