import { ACCESS_LIMITS } from '#hub/fleet/limits.js';
import { html, page } from './html.ts';

const { minPasswordLength, maxPasswordLength } = ACCESS_LIMITS;

/** Where operators come in: by a one-time link (`/sign-in#secret`) or by name and password. `sign-in-script.ts` brings it to life. */
export const SIGN_IN_PAGE = page(
  'Sign in',
  html`<main class="narrow">
    <h1>Muster</h1>
    <noscript
      ><p>
        This page needs JavaScript. Programs sign in by <code>POST /api/v1/sign-in</code>, or use an API token.
      </p></noscript
    >
    <p id="problem" class="bad" role="alert"></p>
    <form id="by-link" method="post" hidden>
      <p>Choose your password. This link works once.</p>
      <label for="new-password">New password, ${minPasswordLength} characters or more</label>
      <input
        id="new-password"
        type="password"
        autocomplete="new-password"
        minlength="${minPasswordLength}"
        maxlength="${maxPasswordLength}"
        required
      />
      <label for="repeated">The same again</label>
      <input id="repeated" type="password" autocomplete="new-password" maxlength="${maxPasswordLength}" required />
      <button>Set password and sign in</button>
      <button id="without-password" type="button" class="second">Sign in without a password</button>
      <p>Without a password you need another link the next time.</p>
    </form>
    <form id="by-password" method="post" hidden>
      <label for="name">Name</label>
      <input id="name" autocomplete="username" autocapitalize="none" spellcheck="false" maxlength="64" required />
      <label for="password">Password</label>
      <input id="password" type="password" autocomplete="current-password" maxlength="${maxPasswordLength}" required />
      <button>Sign in</button>
      <p>No password, or forgotten? An administrator makes a one-time link.</p>
    </form>
    <section id="signed-in" hidden>
      <p>You are signed in as <strong id="who"></strong> (<span id="role"></span>).</p>
      <ul>
        <li><a href="/dashboard/">The dashboard</a></li>
        <li><a href="/api/docs">The API, for people</a></li>
        <li><a href="/api/v1/openapi.json">The API, for programs</a></li>
      </ul>
      <button id="sign-out" type="button">Sign out</button>
    </section>
  </main>`,
  '/sign-in.js',
);
