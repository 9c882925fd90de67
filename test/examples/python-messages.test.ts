import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { PYTHON, pythonScript, skips, whyNoPython } from './programs.ts';
import { damagedMessages, vectorsOf, type Meaning } from './vectors.ts';

const missing = whyNoPython();
const VECTORS = join(import.meta.dirname, '../../protocols/cbor/vectors');

describe.skipIf(skips('python-messages.test.ts', missing))('the messages of the Python example', () => {
  let made: Readonly<Record<string, string>>;
  let read: Readonly<Record<string, unknown>>;
  let heard: readonly unknown[];
  const damaged = damagedMessages(5000);
  beforeAll(() => {
    if (missing !== null) throw new Error(missing);
    const files = ['device-to-hub', 'hub-to-device', 'refused-by-device'].map((name) => join(VECTORS, `${name}.json`));
    const args = ['-B', join(import.meta.dirname, 'messages.py'), dirname(pythonScript('device.py')), ...files];
    const input = damaged.map(({ bytes }) => `${bytes.toString('hex')}\n`).join('');
    const run = spawnSync(PYTHON, args, { input, encoding: 'utf8', timeout: 20_000, maxBuffer: 1 << 26 });
    if (run.status !== 0) throw new Error(run.stderr);
    ({ made, read, heard } = JSON.parse(run.stdout));
  });

  it('are byte by byte those of the vectors', () => {
    const vectors = vectorsOf('device-to-hub').filter(({ encodes }) => encodes !== false);
    expect(vectors.length).toBeGreaterThan(10);
    expect(made).toEqual(Object.fromEntries(vectors.map(({ name, hex }) => [name, hex])));
  });

  it('of the hub are read as the vectors say', () => {
    for (const { name, meaning } of vectorsOf('hub-to-device')) {
      const expected = items(meaning);
      if (meaning.type === 'welcome') expect(read[name], name).toMatchObject(expected);
      else if (meaning.type === 'unknown') expect((read[name] as unknown[])[0], name).toBe(meaning.number);
      else expect(read[name], name).toEqual(expected);
    }
  });

  it('survive damage: what our own reader takes is taken, and nothing else than a refusal comes of the rest', () => {
    expect(heard).toHaveLength(damaged.length);
    damaged.forEach(({ bytes, type }, i) => {
      if (type !== null) expect(TYPES[heard[i] as number] ?? 'unknown', bytes.toString('hex')).toBe(type);
    });
  });
});

const TYPES: Readonly<Record<number, string>> = {
  16: 'welcome',
  17: 'ack',
  18: 'nack',
  19: 'command',
  21: 'done',
  31: 'error',
};

function items(m: Meaning): unknown[] {
  switch (m.type) {
    case 'welcome': {
      const { timeMs: time, resumeSeq: resume, window, maxMessageBytes: max, device, epoch } = m;
      return [16, { time, resume, window, max, device, epoch }];
    }
    case 'ack':
      return [17, m.seq];
    case 'nack':
      return [18, m.seq, m.code, m.text, ...(m.expected === undefined ? [] : [m.expected])].concat(m.commandId ?? []);
    case 'command':
      return [19, m.commandId, m.name, m.params, m.deadlineMs];
    case 'done':
      return [21, m.commandId];
    case 'error':
      return [31, m.code, m.text];
    default:
      return [m.number];
  }
}
