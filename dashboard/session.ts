import { signal, type ReadonlySignal } from '@preact/signals';
import { Api, type Me, type Scope } from './api.ts';
import { FleetState } from './fleet-state.ts';
import { LiveClient, type Figures } from './live.ts';

/** The one of each that the whole dashboard shares. */

/** Comes back to this page after the sign-in. */
export function toSignIn(): void {
  location.assign(`/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`);
}

export const api = new Api({ fetch: (...given) => fetch(...given), onSignedOut: toSignIn });

/** Runs once after `ms`; the answer takes it back. */
export function after(ms: number, run: () => void): () => void {
  const timer = setTimeout(run, ms);
  return () => clearTimeout(timer);
}

export const live = new LiveClient({
  open: (url) => new EventSource(url) as never,
  nowMs: () => Date.now(),
  after,
  onRefused: () => void api.me().catch(() => undefined),
});

export const fleet = new FleetState({
  api,
  live,
  onFrame: (run) => requestAnimationFrame(run),
});

const asks = signal<Me | null>(null);

/** Who is signed in; null: not known yet. */
export const me: ReadonlySignal<Me | null> = asks;

/** Whether whoever is signed in may do what needs this scope. Read it while rendering. */
export function may(scope: Scope): boolean {
  return me.value?.caller.scopes.includes(scope) ?? false;
}

/** Rejects with ApiError when the hub cannot be asked: whoever wanted to leave is still signed in. */
export async function signOut(): Promise<void> {
  await api.post('/api/v1/sign-out', {});
  live.stop();
  location.assign('/sign-in');
}

const clock = signal(Date.now());

/** The hub's clock, to the second; what reads it while rendering is shown anew each second. */
export const second: ReadonlySignal<number> = clock;

/** How many of the hub's figures are kept: those of a minute. */
const KEPT_FIGURES = 60;
const kept = signal<readonly Figures[]>([]);

/** The last minute, oldest first. It is still there when a reader comes back to the fleet. */
export const pastFigures: ReadonlySignal<readonly Figures[]> = kept;

/** A browser has six connections to a hub without TLS: a page that nobody looks at lets go of its own after a while. */
const REST_AFTER_MS = 60_000;

export function startSession(): void {
  const ask = (): void => {
    if (asks.value === null) {
      api.me().then(
        (answer) => (asks.value = answer),
        () => undefined,
      );
    }
  };
  ask();
  // It could not be asked when the page was opened.
  live.on('reload', ask);
  fleet.start();
  live.on('figures', (figures) => (kept.value = [...kept.value, figures].slice(-KEPT_FIGURES)));
  setInterval(() => (clock.value = live.hubNowMs()), 1000);
  let resting: ReturnType<typeof setTimeout> | undefined;
  document.addEventListener('visibilitychange', () => {
    clearTimeout(resting);
    if (document.hidden) resting = setTimeout(() => live.rest(), REST_AFTER_MS);
    else live.wake();
  });
}
