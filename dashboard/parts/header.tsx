import { useSignal } from '@preact/signals';
import { BASE, route } from '../router.ts';
import { live, me, second, signOut } from '../session.ts';
import { ago } from '../text.ts';
import { chooseTheme, theme, type Theme } from '../theme.ts';

/** Name, pages, state of the feed, theme, and who is signed in. */
export function Header() {
  const { page } = route.value;
  return (
    <header class="top">
      <a class="brand" href={BASE} aria-label="Muster">
        <Mark /> <span>Muster</span>
      </a>
      <nav aria-label="Pages">
        <a href={BASE} aria-current={page === 'fleet' || page === 'device' ? 'page' : undefined}>
          Fleet
        </a>
        <a href={`${BASE}refused`} aria-current={page === 'refused' ? 'page' : undefined}>
          Refused
        </a>
      </nav>
      <span class="gap" />
      <LiveMark />
      <ThemeSwitch />
      <Person />
    </header>
  );
}

function Mark() {
  return (
    <svg class="mark" viewBox="0 0 20 20" width="20" height="20" aria-hidden="true">
      {[4, 10, 16].flatMap((y) => [4, 10, 16].map((x) => <circle key={`${x} ${y}`} cx={x} cy={y} r="2.2" />))}
    </svg>
  );
}

/** Whether what is shown is live, and if not, how old it is. */
function LiveMark() {
  const status = live.status.value;
  switch (status.state) {
    case 'connecting':
      return <span class="live-mark connecting">Connecting</span>;
    case 'live':
      return <span class="live-mark live">Live</span>;
    case 'stale':
      return <span class="live-mark stale">Not live{status.sinceMs !== null && <Age sinceMs={status.sinceMs} />}</span>;
  }
}

/** By the hub's clock. */
function Age({ sinceMs }: { readonly sinceMs: number }) {
  return <span class="age"> · updated {ago(sinceMs, second.value)}</span>;
}

const NEXT: Readonly<Record<Theme, Theme>> = { auto: 'light', light: 'dark', dark: 'auto' };
const THEME_NAMES: Readonly<Record<Theme, string>> = { auto: 'as the system', light: 'light', dark: 'dark' };

function ThemeSwitch() {
  const now = theme.value;
  const text = `Colours: ${THEME_NAMES[now]}`;
  return (
    <button class="quiet icon" type="button" title={text} aria-label={text} onClick={() => chooseTheme(NEXT[now])}>
      <svg viewBox="0 0 20 20" width="18" height="18" aria-hidden="true">
        <circle cx="10" cy="10" r="7" fill="none" stroke="currentColor" stroke-width="1.6" />
        {now === 'auto' && <path d="M10 3a7 7 0 0 1 0 14z" fill="currentColor" />}
        {now === 'dark' && <circle cx="10" cy="10" r="7" fill="currentColor" />}
      </svg>
    </button>
  );
}

function Person() {
  const hasFailed = useSignal(false);
  const caller = me.value?.caller;
  if (caller === undefined) return null;
  return (
    <span class="person">
      <span class="who">
        {caller.name ?? caller.label}
        {caller.name !== caller.role && <small class="role">{caller.role ?? 'token'}</small>}
      </span>
      <button class="quiet" type="button" onClick={() => void signOut().catch(() => (hasFailed.value = true))}>
        Sign out
      </button>
      <small role="alert">{hasFailed.value && 'The hub did not sign you out. Try again.'}</small>
    </span>
  );
}
