import { FAKE_TOKEN, FakeHub } from './fake-hub.ts';

// The fake hub as a program: `serve --port P --data DIR`. It prints its token at each start; it is always the same.
const argument = (name: string): string => process.argv[process.argv.indexOf(name) + 1]!;
const hub = new FakeHub({ dataDir: argument('--data') });
process.on('SIGTERM', () => process.exit(0));
console.log(`serving ${await hub.listen(Number(argument('--port')))}`);
console.log(`API token: ${FAKE_TOKEN}`);
