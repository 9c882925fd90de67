import { get } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';
import { chromium, type BrowserContext, type Page } from 'playwright-core';
import { printLoad, startFleet, startHub, type RunningHub } from './processes.ts';

/**
 * What the dashboard costs: bytes of the first load, frames a second while the table of a large fleet is scrolled and its
 * devices change, and the CPU of the hub with nobody, one and ten viewers. Hub, fleet and browser are processes of their own.
 *
 *     node --max-semi-space-size=8 --conditions=muster-source bench/dashboard.ts [devices] [interval] [secondsPerWindow] [pictures]
 *
 * With the usual 5,000, 10s and 10 it takes 85 seconds. Needs a built dashboard and Chromium (CHROMIUM, or /usr/bin/chromium).
 * With `pictures`, a folder, it puts screenshots there.
 */

const [devices, interval, seconds] = [
  Number(process.argv[2] ?? 5000),
  process.argv[3] ?? '10s',
  Number(process.argv[4] ?? 10),
];
const pictures = process.argv[5] ?? null;
const PASSWORD = 'a password for this run alone';
const VIEWERS = 10;
const WIDE = { width: 1440, height: 900 };
const NARROW = { width: 390, height: 844 };
const LIMIT_MS = 20_000;
/** Until the lines of the figures are long enough for a picture. */
const FIGURES_MS = 25_000;

/** Signs in as a browser does; the cookie stays in the context. */
async function signIn(context: BrowserContext, { url, link }: RunningHub): Promise<void> {
  const answer = await context.request.post(`${url}/api/v1/sign-in`, { data: { link, password: PASSWORD } });
  if (!answer.ok()) throw new Error(`sign-in: ${await answer.text()}`);
}

interface Loaded {
  /** Bytes as they came over the wire, with heads. */
  readonly dashboard: number;
  readonly data: number;
  readonly files: number;
  readonly firstRowMs: number;
}

/** Opens the fleet in an empty cache, and counts what comes. */
async function firstLoad(page: Page, url: string): Promise<Loaded> {
  const cdp = await page.context().newCDPSession(page);
  const paths = new Map<string, string>();
  let [dashboard, data, files] = [0, 0, 0];
  cdp.on('Network.requestWillBeSent', ({ requestId, request }) => paths.set(requestId, new URL(request.url).pathname));
  cdp.on('Network.loadingFinished', ({ requestId, encodedDataLength }) => {
    if (paths.get(requestId)?.startsWith('/dashboard/') !== true) data += encodedDataLength;
    else [dashboard, files] = [dashboard + encodedDataLength, files + 1];
  });
  await cdp.send('Network.enable');
  await cdp.send('Network.setCacheDisabled', { cacheDisabled: true });
  const start = performance.now();
  await page.goto(`${url}/dashboard/`);
  await page.locator('.rows .row').first().waitFor({ timeout: LIMIT_MS });
  const firstRowMs = performance.now() - start;
  await wait(1000);
  await cdp.detach();
  return { dashboard, data, files, firstRowMs };
}

/** Runs in the page: scrolls down and up again by 40 px a frame, and tells how long the frames took and what was seen. */
const SCROLL = `(ms) => new Promise((resolve) => {
  const times = [];
  let step = 40, changes = 0, looks = 0, holes = 0;
  const observer = new MutationObserver((list) => {
    for (const one of list) if (one.type === 'characterData') changes++;
  });
  observer.observe(document.querySelector('.rows'), { subtree: true, characterData: true });
  const start = performance.now();
  const frame = (now) => {
    times.push(now);
    if (times.length % 30 === 0) {
      looks++;
      if (!document.elementFromPoint(innerWidth / 2, innerHeight - 40)?.closest('.row')) holes++;
    }
    if (now - start > ms) { observer.disconnect(); resolve({ times, changes, looks, holes }); return; }
    if (scrollY + innerHeight >= document.documentElement.scrollHeight - 1) step = -40;
    if (scrollY <= 0) step = 40;
    scrollBy(0, step);
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
})`;

interface Scrolled {
  readonly times: readonly number[];
  readonly changes: number;
  readonly looks: number;
  readonly holes: number;
}

async function scroll(page: Page, name: string): Promise<void> {
  const { times, changes, looks, holes } = await page.evaluate<Scrolled>(`(${SCROLL})(${seconds * 1000})`);
  const frames = times.slice(1).map((time, i) => time - times[i]!);
  const sorted = frames.toSorted((a, b) => a - b);
  const at = (share: number): string => sorted[Math.floor(share * (sorted.length - 1))]!.toFixed(1);
  const perS = (frames.length / (times.at(-1)! - times[0]!)) * 1000;
  console.log(
    `${name.padEnd(34)} ${perS.toFixed(1)} frames/s; ms a frame: median ${at(0.5)}, p95 ${at(0.95)}, p99 ${at(0.99)}, ` +
      `longest ${at(1)}; ${changes} texts changed in view; a row at the lower edge in ${looks - holes} of ${looks} looks`,
  );
}

/** A viewer of all devices that reads and forgets. */
function viewer({ url, token }: RunningHub): ReturnType<typeof get> {
  const request = get(`${url}/api/v1/live`, { headers: { authorization: `Bearer ${token}` } }, (answer) => {
    answer.resume().on('error', () => undefined);
  });
  return request.on('error', () => undefined);
}

async function takePictures(page: Page, folder: string): Promise<void> {
  await wait(FIGURES_MS);
  for (const [name, size, colorScheme] of [
    ['fleet-light', WIDE, 'light'],
    ['fleet-dark', WIDE, 'dark'],
    ['fleet-390', NARROW, 'light'],
  ] as const) {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize(size);
    await wait(1500);
    await page.screenshot({ path: `${folder}/${name}.png` });
  }
  await page.setViewportSize(WIDE);
}

const hub = await startHub();
await startFleet(hub, devices, interval);
console.log(`${devices} devices, a message each ${interval}`);
await printLoad('nobody watches', hub, seconds);

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: [
    ...['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run'],
    ...['--disable-background-networking', '--disable-component-update', '--disable-sync'],
  ],
});
const context = await browser.newContext({ viewport: WIDE });
await signIn(context, hub);
const page = await context.newPage();
page.on('pageerror', (error) => console.log(`error in the page: ${error.message}`));
const { dashboard, data, files, firstRowMs } = await firstLoad(page, hub.url);
const kb = (bytes: number): string => `${(bytes / 1000).toFixed(1)} kB`;
console.log(
  `first load: ${kb(dashboard)} in ${files} files as compressed, then ${kb(data)} of data; first row after ${firstRowMs.toFixed(0)} ms`,
);
await printLoad('one viewer: the dashboard', hub, seconds);
await scroll(page, 'scrolling, by id');
await page.goto(`${hub.url}/dashboard/?sort=-value%3Atemperature`);
await page.locator('.rows .row').first().waitFor({ timeout: LIMIT_MS });
await wait(1500);
await scroll(page, 'scrolling, sorted by a live value');
const others = Array.from({ length: VIEWERS - 1 }, () => viewer(hub));
await wait(1000);
await printLoad(`${VIEWERS} viewers`, hub, seconds);
for (const other of others) other.destroy();
if (pictures !== null) {
  await page.goto(`${hub.url}/dashboard/`);
  await takePictures(page, pictures);
}
await browser.close();
process.exit(0);
