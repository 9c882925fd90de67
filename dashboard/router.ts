import { computed, signal } from '@preact/signals';

/** Where the browser is: the address is the state, so that it can be sent to somebody else. */
export type Route =
  | { readonly page: 'fleet' }
  | { readonly page: 'device'; readonly id: string }
  | { readonly page: 'refused' }
  | { readonly page: 'unknown' };

export const BASE = '/dashboard/';

/** The page of a path of the dashboard. */
export function routeOf(pathname: string): Route {
  const rest = pathname.startsWith(BASE) ? pathname.slice(BASE.length).replace(/\/$/, '') : '';
  if (rest === '') return { page: 'fleet' };
  if (rest === 'refused') return { page: 'refused' };
  const id = /^devices\/([^/]+)$/.exec(rest)?.[1];
  if (id === undefined) return { page: 'unknown' };
  try {
    return { page: 'device', id: decodeURIComponent(id) };
  } catch {
    return { page: 'unknown' };
  }
}

export function deviceHref(id: string): string {
  return `${BASE}devices/${encodeURIComponent(id)}`;
}

interface Place {
  readonly pathname: string;
  readonly search: string;
}

const hasBrowser = typeof location !== 'undefined';
const place = signal<Place>(hasBrowser ? placeNow() : { pathname: BASE, search: '' });

export const pathname = computed(() => place.value.pathname);
export const search = computed(() => place.value.search);
export const route = computed(() => routeOf(pathname.value));

/** Goes to another page; the one before comes back by the browser's own button, at the place to which it was scrolled. */
export function navigate(href: string): void {
  history.replaceState({ scrollY }, '');
  history.pushState(null, '', href);
  place.value = placeNow();
  scrollTo(0, 0);
}

/** Another query on the same page, without an entry in the history. */
export function replaceSearch(next: URLSearchParams): void {
  const text = next.toString();
  const wanted = text === '' ? '' : `?${text}`;
  if (wanted === location.search) return;
  history.replaceState(history.state, '', `${location.pathname}${wanted}`);
  place.value = placeNow();
}

/** Where the page was scrolled to when it was left; null: it is new. */
export function rememberedScroll(): number | null {
  const state = history.state as { scrollY?: unknown } | null;
  return typeof state?.scrollY === 'number' ? state.scrollY : null;
}

/** Plain clicks on links of the dashboard change the page without loading it anew. */
export function startRouter(): void {
  history.scrollRestoration = 'manual';
  addEventListener('popstate', () => (place.value = placeNow()));
  document.addEventListener('click', (event) => {
    if (event.defaultPrevented || event.button !== 0) return;
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = event.target instanceof Element ? event.target.closest('a') : null;
    if (link === null || link.target !== '' || link.origin !== location.origin) return;
    if (!link.pathname.startsWith(BASE) || link.hash !== '') return;
    event.preventDefault();
    navigate(link.pathname + link.search);
  });
}

function placeNow(): Place {
  return { pathname: location.pathname, search: location.search };
}
