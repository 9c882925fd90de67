import { runInNewContext } from 'node:vm';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { API_LIMITS } from '#hub/http/limits.js';
import { docsPage } from '#hub/http/pages/docs.js';
import { html } from '#hub/http/pages/html.js';
import { allPages } from '#hub/http/pages/pages.js';
import { SIGN_IN_SCRIPT } from '#hub/http/pages/sign-in-script.js';
import { SIGN_IN_PAGE } from '#hub/http/pages/sign-in.js';
import { httpInterface } from '#hub/http/routes.js';
import { FakeHub, serveApi } from './fakes.ts';

const { routes, document } = httpInterface(API_LIMITS, { metricsNeedToken: false, version: '0.1.0' });

describe('every page', () => {
  let api: Awaited<ReturnType<typeof serveApi>>;
  beforeEach(async () => {
    api = await serveApi(new FakeHub());
  });
  afterEach(() => api.close());

  it.each(allPages(document).map((page) => [page.path, page] as const))(
    '%s is open to all, says its type, and may load nothing from elsewhere',
    async (path, { type }) => {
      const answer = await api.call('GET', path, { token: null });
      expect(answer.status).toBe(200);
      expect(answer.headers.get('content-type')).toBe(type);
      const policy = answer.headers.get('content-security-policy')!;
      expect(policy).toMatch(/^default-src 'none';/);
      expect(policy).toContain("frame-ancestors 'none'");
      expect(policy).not.toMatch(/unsafe|https?:|\*/);
      expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
    },
  );

  it.each(['/sign-in', '/api/docs'])(
    '%s refers to nothing outside of the hub, and carries no script of its own',
    async (path) => {
      const { text } = await api.call('GET', path, { token: null });
      const loaded = [...text.matchAll(/(?:src|href)="([^"]*)"/g)].map(([, target]) => target!);
      expect(loaded.length).toBeGreaterThan(2);
      for (const target of loaded) {
        expect(target).toMatch(/^(\/|#|data:,$)/);
        const [file] = target.split('#');
        // The dashboard is not built here.
        if (file!.startsWith('/') && file !== '/dashboard/')
          expect((await api.call('GET', file!, { token: null })).status, target).toBe(200);
      }
      expect(text).not.toMatch(/<script(?! src="\/)|<style|\son\w+=|style=/);
    },
  );
});

describe('a page for people', () => {
  it('/api/docs shows every operation and every schema, and links only to what it shows', () => {
    const text = docsPage(document());
    for (const { id, path, method } of routes) {
      expect(text).toContain(`<details id="${id}">`);
      expect(text).toMatch(new RegExp(`${method}</span> <code>${path.replace(/[{}]/g, '\\$&')}</code>`));
    }
    const ids = new Set([...text.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id));
    for (const [, target] of text.matchAll(/href="#([^"]+)"/g)) expect(ids).toContain(target);
  });

  it('whatever its text says, it is text', () => {
    const evil = `<script>alert(1)</script>"'&`;
    expect(html`<p title="${evil}">${evil}</p>`.text).toBe(
      '<p title="&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;">&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;</p>',
    );
    const openapi = structuredClone(document()) as { info: { description: string } };
    openapi.info.description = evil;
    expect(docsPage(openapi)).not.toContain('<script>');
  });
});

/** As much of a browser as the script of /sign-in uses. */
class FakeBrowser {
  readonly elements = new Map<
    string,
    { hidden: boolean; value: string; textContent: string; listeners: Map<string, (event: object) => Promise<void>> }
  >();
  readonly requests: { method: string; path: string; headers: Record<string, string>; body: any }[] = [];
  replaced: string | null = null;
  /** Where the script has sent the browser. */
  went: string | null = null;
  /** Status and body by `METHOD path`; missing: 401. */
  answers: Record<string, [number, object | null]> = {};

  constructor() {
    for (const [, id] of SIGN_IN_PAGE.matchAll(/ id="([^"]+)"/g)) {
      this.elements.set(id!, { hidden: true, value: '', textContent: '', listeners: new Map() });
    }
  }

  async open(hash = '', search = ''): Promise<void> {
    const element = (id: string) => {
      const found = this.elements.get(id);
      if (found === undefined) throw new Error(`the page has no ${id}`);
      return {
        ...found,
        set hidden(value: boolean) {
          found.hidden = value;
        },
        get value() {
          return found.value;
        },
        set value(value: string) {
          found.value = value;
        },
        set textContent(value: string) {
          found.textContent = value;
        },
        addEventListener: (event: string, run: (event: object) => Promise<void>) => found.listeners.set(event, run),
      };
    };
    runInNewContext(SIGN_IN_SCRIPT, {
      document: { getElementById: element },
      location: {
        hash,
        search,
        pathname: '/sign-in',
        origin: 'https://hub.example',
        replace: (url: string) => (this.went = url),
      },
      URL,
      URLSearchParams,
      history: { replaceState: (_: unknown, __: string, url: string) => (this.replaced = url) },
      fetch: async (path: string, { method, headers, body }: any) => {
        this.requests.push({ method, path, headers, body: body === undefined ? undefined : JSON.parse(body) });
        const [status, answer] = this.answers[`${method} ${path}`] ?? [401, { detail: 'who are you?' }];
        return { ok: status < 300, text: async () => (answer === null ? '' : JSON.stringify(answer)) };
      },
    });
    await new Promise((resolve) => setTimeout(resolve, 0));
  }

  async does(id: string, event: string): Promise<void> {
    await this.elements.get(id)!.listeners.get(event)!({ preventDefault: () => undefined });
  }

  fill(values: Record<string, string>): void {
    for (const [id, value] of Object.entries(values)) this.elements.get(id)!.value = value;
  }

  get shown(): string[] {
    return ['by-link', 'by-password', 'signed-in'].filter((id) => !this.elements.get(id)!.hidden);
  }

  text(id: string): string {
    return this.elements.get(id)!.textContent;
  }
}

describe('the script of /sign-in', () => {
  const name = '<b>eve</b>';
  const welcome: [number, object] = [200, { caller: { name, role: 'viewer' }, csrf: 'c1' }];
  let browser: FakeBrowser;
  beforeEach(() => {
    browser = new FakeBrowser();
  });

  it('asks for name and password, and then goes to the dashboard', async () => {
    await browser.open();
    expect(browser.shown).toEqual(['by-password']);
    browser.answers['POST /api/v1/sign-in'] = welcome;
    browser.fill({ name: 'eve', password: 'p' });
    await browser.does('by-password', 'submit');
    expect(browser.requests.at(-1)).toMatchObject({ path: '/api/v1/sign-in', body: { name: 'eve', password: 'p' } });
    expect(browser.went).toBe('/dashboard/');
  });

  it.each([
    ['/dashboard/devices/pump-1?metric=temp', '/dashboard/devices/pump-1?metric=temp'],
    ['https://hub.example/dashboard/refused', '/dashboard/refused'],
    ['/dashboard/devices/a%2Fb', '/dashboard/devices/a%2Fb'],
    ['', '/dashboard/'],
    ['/dashboard', '/dashboard/'],
    ['/api/v1/sign-out', '/dashboard/'],
    ['/dashboard/../api/docs', '/dashboard/'],
    ['/dashboard/..%2f..%2fapi', '/dashboard/..%2f..%2fapi'],
    ['/dashboard/%2e%2e/api', '/dashboard/'],
    ['//evil.example/dashboard/', '/dashboard/'],
    ['/\\evil.example/dashboard/', '/dashboard/'],
    ['https://evil.example/dashboard/refused', '/dashboard/'],
    ['https://hub.example@evil.example/dashboard/', '/dashboard/'],
    ['http://hub.example/dashboard/', '/dashboard/'],
    ['javascript:alert(1)', '/dashboard/'],
    ['data:text/html,/dashboard/', '/dashboard/'],
    [' javascript:alert(1)//dashboard/', '/dashboard/'],
    ['https://hub.example:444/dashboard/', '/dashboard/'],
    ['http://[/dashboard/', '/dashboard/'],
  ])('asked to go on to %j, goes to %j', async (next, went) => {
    browser.answers['GET /api/v1/me'] = welcome;
    await browser.open('', `?next=${encodeURIComponent(next)}`);
    expect(browser.went).toBe(went);
  });

  it('goes on where it was asked to by link as well, with a password or without', async () => {
    browser.answers['POST /api/v1/sign-in'] = welcome;
    await browser.open('#s3cret', '?next=/dashboard/refused');
    expect([browser.replaced, browser.shown, browser.went]).toEqual([
      '/sign-in?next=/dashboard/refused',
      ['by-link'],
      null,
    ]);
    await browser.does('without-password', 'click');
    expect(browser.requests.map(({ body }) => body)).toEqual([{ link: 's3cret' }]);
    expect(browser.went).toBe('/dashboard/refused');
  });

  it('takes the secret of a link out of the address bar and asks for a new password', async () => {
    await browser.open('#s3cret');
    expect(browser.replaced).toBe('/sign-in');
    expect(browser.shown).toEqual(['by-link']);
    expect(browser.requests).toEqual([]);
    browser.answers['POST /api/v1/sign-in'] = welcome;
    browser.fill({ 'new-password': 'long enough', repeated: 'another' });
    await browser.does('by-link', 'submit');
    expect(browser.requests).toEqual([]);
    expect(browser.text('problem')).toMatch(/not the same/);
    browser.fill({ repeated: 'long enough' });
    await browser.does('by-link', 'submit');
    expect(browser.requests[0]!.body).toEqual({ link: 's3cret', password: 'long enough' });
    expect(browser.text('problem')).toBe('');
    expect(browser.went).toBe('/dashboard/');
  });

  it('says what the hub says when it refuses', async () => {
    await browser.open();
    browser.answers['POST /api/v1/sign-in'] = [403, { detail: 'name or password is not right' }];
    await browser.does('by-password', 'submit');
    expect(browser.text('problem')).toBe('name or password is not right');
    expect(browser.shown).toEqual(['by-password']);
    expect(browser.went).toBeNull();
  });

  it('knows whoever is signed in already, and signs out', async () => {
    browser.answers['GET /api/v1/me'] = welcome;
    await browser.open();
    expect(browser.shown).toEqual(['signed-in']);
    expect([browser.text('who'), browser.went]).toEqual([name, null]);
    browser.answers['POST /api/v1/sign-out'] = [204, null];
    await browser.does('sign-out', 'click');
    expect(browser.requests.at(-1)).toMatchObject({ path: '/api/v1/sign-out', headers: { 'x-csrf-token': 'c1' } });
    expect(browser.shown).toEqual(['by-password']);
  });
});
