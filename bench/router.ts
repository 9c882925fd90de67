/**
 * Messages a second through the live router with 0, 1 and 100 subscribers, and how long `wanted` takes among 10,000
 * filters. Run: `node --conditions=muster-source bench/router.ts` (about 8 s).
 */
import type { RoutedMessage } from '#protocols/message.js';
import { systemClock } from '#hub/clock.js';
import { AedesRouter } from '#hub/router/aedes.js';
import type { Subscriber } from '#hub/router/port.js';

const RUN_MS = 1500;
const PAYLOAD = Buffer.alloc(100, 'x');
/** Published in a turn before the others run, as a busy socket would. */
const BURST = 500;

function makeRouter(): AedesRouter {
  return new AedesRouter({
    maxRetainedMessages: 1000,
    maxRetainedBytes: 1_000_000,
    clock: systemClock,
    journal: { kept: () => undefined, removed: () => undefined },
    onError: (error) => {
      throw error;
    },
  });
}

function subscriber(deliver: () => void): Subscriber {
  return { standing: 'ready', keeps: false, deliver };
}

function message(topic: string): RoutedMessage {
  return Object.freeze({ topic, payload: PAYLOAD, qos: 1, retain: false, contentType: null, headers: [] });
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

async function publishing(subscribers: number, filter: string): Promise<void> {
  const router = makeRouter();
  await router.open();
  let delivered = 0;
  for (let i = 0; i < subscribers; i++) {
    router.subscribe(
      subscriber(() => delivered++),
      { id: 's', filter, qos: 1 },
      filter,
    );
  }
  // A fleet that listens to other topics, so that the index has something to look through.
  for (let i = 0; i < 5000; i++) {
    const own = `devices/d${i}/commands/#`;
    router.subscribe(
      subscriber(() => undefined),
      { id: 's', filter: own, qos: 1 },
      own,
    );
  }
  const messages = Array.from({ length: 1000 }, (_, i) => message(`sites/s${i % 10}/m${i}`));
  let done = 0;
  const count = (): number => done++;
  const startMs = performance.now();
  let sent = 0;
  while (performance.now() - startMs < RUN_MS) {
    for (let i = 0; i < BURST; i++) router.publish(messages[sent++ % 1000]!, count);
    while (router.backlog > 0) await turn();
  }
  const seconds = (performance.now() - startMs) / 1000;
  const rate = (n: number): string => Math.round(n / seconds).toLocaleString('en');
  console.log(`${subscribers} subscribers of ${filter}: ${rate(done)} messages/s, ${rate(delivered)} deliveries/s`);
  await router.close();
}

async function asking(): Promise<void> {
  const router = makeRouter();
  await router.open();
  for (let i = 0; i < 10_000; i++) {
    const filter = i % 2 === 0 ? `devices/d${i}/commands/#` : `devices/d${i}/twin/desired`;
    router.subscribe(
      subscriber(() => undefined),
      { id: 's', filter, qos: 1 },
      filter,
    );
  }
  for (const [name, topics] of [
    ['5,000 topics, remembered', 5000],
    ['100,000 topics, too many to remember', 100_000],
  ] as const) {
    const asked = Array.from({ length: topics }, (_, i) => `devices/d${i}/telemetry`);
    let yes = 0;
    for (const topic of asked) if (router.wanted(topic)) yes++;
    let n = 0;
    const startMs = performance.now();
    while (performance.now() - startMs < RUN_MS / 2) {
      for (let i = 0; i < BURST; i++) if (router.wanted(asked[n++ % topics]!)) yes++;
    }
    const ns = ((performance.now() - startMs) * 1e6) / n;
    console.log(`wanted, ${name}: ${ns.toFixed(0)} ns each (${yes} of ${n} wanted)`);
  }
  await router.close();
}

await publishing(0, 'sites/#');
await publishing(1, 'sites/#');
await publishing(1, 'sites/+/+');
await publishing(100, 'sites/#');
await asking();
