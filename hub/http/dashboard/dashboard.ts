import { fileURLToPath } from 'node:url';
import type { Express, Request, RequestHandler, Response } from 'express';
import type { Clock } from '#hub/clock.js';
import { alreadyHas } from '../etags.ts';
import { html, page } from '../pages/html.ts';
import { NO_SCRIPT } from '../pages/pages.ts';
import { DashboardFiles, type DashboardFile } from './files.ts';

/** Where the dashboard's pages are. */
export const DASHBOARD_PATH = '/dashboard/';

/** Nothing from elsewhere, nothing written into the page, and no page around it. */
export const DASHBOARD_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "font-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** Its name holds a hash of what it says. */
const ASSET = /^assets\//;

/** Where `npm run build` puts the dashboard, seen from this file in the checkout and in the package. */
export function builtDashboard(): string {
  const up = import.meta.url.endsWith('.ts') ? '../../../dist/dashboard/' : '../../../dashboard/';
  return fileURLToPath(new URL(up, import.meta.url));
}

/** The dashboard's files, open to all: they hold nothing of the fleet. What they show they ask the API for. */
export function mountDashboard(app: Express, folder: string, clock: Clock): void {
  app.get('/', browsersToDashboard);
  app.get('/dashboard{/*path}', serve(new DashboardFiles(folder, clock)));
}

/** Whoever types the hub's address wants to see something. Devices and programs get what they always got there. */
const browsersToDashboard: RequestHandler = (req, res, next) => {
  const isBrowser = req.get('accept')?.includes('text/html') === true && req.get('upgrade') === undefined;
  if (!isBrowser) next();
  else res.vary('accept').redirect(DASHBOARD_PATH);
};

function serve(files: DashboardFiles): RequestHandler {
  return async (req, res, next) => {
    if (!req.path.startsWith(DASHBOARD_PATH)) {
      res.redirect(DASHBOARD_PATH);
      return;
    }
    const path = req.path.slice(DASHBOARD_PATH.length);
    const file = await files.find(path);
    if (file !== undefined && path !== 'index.html') send(req, res, file, ASSET.test(path));
    // Scripts of an earlier build: a page in their place would only confuse.
    else if (ASSET.test(path)) next();
    else sendPage(req, res, await files.find('index.html'));
  };
}

/** Every address of the dashboard is the same page; its script shows what belongs there. */
function sendPage(req: Request, res: Response, index: DashboardFile | undefined): void {
  if (index !== undefined) send(req, res, index, false);
  else res.status(503).set({ 'content-security-policy': NO_SCRIPT, 'retry-after': '10' }).type('html').send(NOT_BUILT);
}

function send(req: Request, res: Response, file: DashboardFile, isForEver: boolean): void {
  const { type, etag, plain, br, gzip } = file;
  const accepted = req.acceptsEncodings();
  const [encoding, bytes] =
    br !== null && accepted.includes('br')
      ? ['br', br]
      : gzip !== null && accepted.includes('gzip')
        ? ['gzip', gzip]
        : [null, plain];
  res.set({
    'content-security-policy': DASHBOARD_POLICY,
    'cache-control': isForEver ? 'public, max-age=31536000, immutable' : 'no-cache',
    // Another encoding is another representation (RFC 9110, 8.8.3.3), and this tag stands for what they all say.
    etag: `W/${etag}`,
    vary: 'accept-encoding',
    'content-type': type,
  });
  if (alreadyHas(req, etag)) {
    res.status(304).end();
    return;
  }
  if (encoding !== null) res.set('content-encoding', encoding);
  res.set('content-length', String(bytes.length)).status(200).end(bytes);
}

const NOT_BUILT = page(
  'Dashboard',
  html`<main class="narrow">
    <h1>The dashboard is not built</h1>
    <p>The hub runs, and its <a href="/api/docs">API</a> works. In the folder of Muster, build the dashboard:</p>
    <pre>npm run build:dashboard</pre>
    <p>Then load this page again. <code>npm start</code> and <code>npm run demo</code> build it by themselves.</p>
  </main>`,
);
