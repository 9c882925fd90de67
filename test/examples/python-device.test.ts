import { beforeAll, describe } from 'vitest';
import { behavesAsADevice } from './behaviour.ts';
import { PYTHON, pythonScript, skips, whyNoPython } from './programs.ts';

const missing = whyNoPython();

describe.skipIf(skips('python-device.test.ts', missing))('the Python device', () => {
  beforeAll(() => {
    if (missing !== null) throw new Error(missing);
  });

  behavesAsADevice({
    name: 'python',
    missing,
    command: () => [PYTHON, pythonScript('device.py')],
    readsLongCommands: true,
    mostFileBytes: 1_000_000,
    halfAMessage: Buffer.from('[1, 3, "83a322'),
    // A line for the stream, then one for each message; the last one may be torn.
    messagesIn: (file) => file.toString('latin1').split('\n').length - 2,
  });
});
