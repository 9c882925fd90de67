import type { Express, RequestHandler } from 'express';
import { docsPage } from './docs.ts';
import { SIGN_IN_PAGE } from './sign-in.ts';
import { SIGN_IN_SCRIPT } from './sign-in-script.ts';
import { STYLE } from './style.ts';

/** A page may load what the hub itself serves and is listed here, and nothing else; nobody may put it into a frame. */
export const NO_SCRIPT =
  "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const SCRIPTED = `${NO_SCRIPT}; script-src 'self'; connect-src 'self'`;

/** A file that the hub serves to browsers. */
export interface Page {
  readonly path: string;
  readonly summary: string;
  readonly type: string;
  readonly policy: string;
  readonly text: () => string;
}

/** The hub's own pages, open to all: they hold nothing that is not in its source. `docs/api.md` lists them (tested). */
export function allPages(document: () => object): readonly Page[] {
  let docs: string | null = null;
  return [
    {
      path: '/api/docs',
      summary: 'This interface, to read',
      type: 'text/html; charset=utf-8',
      policy: NO_SCRIPT,
      text: () => (docs ??= docsPage(document())),
    },
    {
      path: '/sign-in',
      summary: 'Sign in by name and password, or by a one-time link',
      type: 'text/html; charset=utf-8',
      policy: SCRIPTED,
      text: () => SIGN_IN_PAGE,
    },
    {
      path: '/sign-in.js',
      summary: 'The script of /sign-in',
      type: 'text/javascript; charset=utf-8',
      policy: NO_SCRIPT,
      text: () => SIGN_IN_SCRIPT,
    },
    {
      path: '/muster.css',
      summary: 'The style of these pages',
      type: 'text/css; charset=utf-8',
      policy: NO_SCRIPT,
      text: () => STYLE,
    },
  ];
}

export function mountPages(app: Express, pages: readonly Page[]): void {
  for (const page of pages) app.get(page.path, handler(page));
}

function handler({ type, policy, text }: Page): RequestHandler {
  return (_req, res) => {
    res.set('content-security-policy', policy).setHeader('content-type', type);
    res.status(200).end(text());
  };
}
