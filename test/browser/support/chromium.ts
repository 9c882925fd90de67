import { existsSync } from 'node:fs';
import { chromium, type Browser } from 'playwright-core';

const PLACES = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
const FOUND = PLACES.find((path) => path !== undefined && existsSync(path));

/** It asks nothing of the network by itself. */
const ARGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** False: there is no browser here, and its tests are skipped. Throws instead where tests must not be left out (the variable CI is set). */
export function hasChromium(): boolean {
  if (FOUND !== undefined) return true;
  const help = 'chromium is missing: apt-get install chromium, or say where it is in CHROMIUM';
  if (process.env.CI !== undefined) throw new Error(help);
  console.warn(`skipped: ${help}`);
  return false;
}

/** With an empty profile of its own. */
export function launchChromium(): Promise<Browser> {
  return chromium.launch({ executablePath: FOUND!, args: ARGS, headless: true });
}
