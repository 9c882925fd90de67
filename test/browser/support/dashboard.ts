import type { Browser, BrowserContext, Locator, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import type { FlagValue } from '#hub/config.js';
import { startTestHub, until, type TestHub } from '../../support/hub.ts';
import { launchChromium } from './chromium.ts';

export interface Look {
  readonly role?: 'viewer' | 'operator' | 'admin';
  readonly width?: number;
  readonly height?: number;
  readonly colours?: 'light' | 'dark';
}

/** A real hub and a real browser, for the tests of one file. */
export class Console {
  hub!: TestHub;
  browser!: Browser;
  readonly #contexts: BrowserContext[] = [];
  /** What must not happen on any page. */
  readonly #faults: string[] = [];
  #operators = 0;
  /** The newest operator. */
  operator = '';

  /** Registers its start and end with the test runner. */
  constructor(flags: Record<string, FlagValue> = {}) {
    beforeAll(async () => {
      this.hub = await startTestHub(flags);
      this.browser = await launchChromium();
    });
    afterEach(async () => {
      for (const context of this.#contexts.splice(0)) await context.close();
      expect(this.#faults.splice(0)).toEqual([]);
    });
    afterAll(async () => {
      await (this.browser as Browser | undefined)?.close();
      await (this.hub as TestHub | undefined)?.close();
    });
  }

  get url(): string {
    return `http://127.0.0.1:${this.hub.port}`;
  }

  /** The path of a one-time link for a new operator: `/sign-in#…`. */
  async link(role: NonNullable<Look['role']> = 'operator'): Promise<string> {
    this.operator = `${role}-${++this.#operators}`;
    const { body } = await this.hub.api('POST', '/api/v1/operators', { name: this.operator, role });
    return body.link as string;
  }

  /** A browser without a sign-in. */
  async stranger({ width = 1280, height = 800, colours = 'light' }: Look = {}): Promise<Page> {
    const context = await this.browser.newContext({
      viewport: { width, height },
      colorScheme: colours,
      locale: 'en-GB',
    });
    this.#contexts.push(context);
    const page = await context.newPage();
    page.setDefaultTimeout(10_000);
    this.#watch(page);
    return page;
  }

  /** A page of the dashboard, seen by somebody who is signed in. */
  async open(path = '', look: Look = {}): Promise<Page> {
    const page = await this.stranger(look);
    const link = (await this.link(look.role)).split('#')[1];
    const answer = await fetch(`${this.url}/api/v1/sign-in`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ link }),
    });
    const [name, value] = answer.headers.get('set-cookie')!.split(';')[0]!.split('=');
    await page
      .context()
      .addCookies([{ name: name!, value: value!, url: this.url, httpOnly: true, sameSite: 'Strict' }]);
    await page.goto(`${this.url}/dashboard/${path}`);
    return page;
  }

  /** Nothing is loaded from elsewhere, the policy is never broken, no script fails, no dialog opens. */
  #watch(page: Page): void {
    page.on('pageerror', (error) => void this.#faults.push(`script: ${error.stack ?? error.message}`));
    page.on('console', (message) => {
      if (/content security policy|refused to (load|execute|apply|connect)/i.test(message.text())) {
        this.#faults.push(`policy: ${message.text()}`);
      }
    });
    page.on('request', (request) => {
      const url = request.url();
      if (!url.startsWith(`${this.url}/`) && !url.startsWith('data:')) this.#faults.push(`elsewhere: ${url}`);
    });
    page.on('dialog', (dialog) => {
      this.#faults.push(`dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
  }
}

/** Waits until the text of what is shown fits. */
export async function untilText(what: Locator, fits: string | RegExp, limitMs = 10_000): Promise<void> {
  let text: string | null = null;
  const isThere = async (): Promise<boolean> => {
    text = (await what.count()) === 0 ? null : await what.first().innerText();
    return text !== null && (typeof fits === 'string' ? text.trim() === fits : fits.test(text));
  };
  await until(`text like ${String(fits)}`, isThere, limitMs).catch((error: unknown) => {
    throw new Error(`${(error as Error).message}; it is ${JSON.stringify(text)}`);
  });
}

/** The number behind a text such as "1,234"; null: there is none. */
export async function numberIn(what: Locator): Promise<number | null> {
  const text = (await what.innerText()).replaceAll(',', '');
  return /^\d+$/.test(text) ? Number(text) : null;
}
