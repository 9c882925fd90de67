import { useEffect, useMemo, useRef } from 'preact/hooks';
import { path, type Page } from '../../api.ts';
import { replaceSearch, search } from '../../router.ts';
import { api, live } from '../../session.ts';
import { PagedList } from '../paged-list.ts';
import {
  Connections,
  Events,
  Gaps,
  Rejected,
  type DeviceEvent,
  type Gap,
  type PastConnection,
  type RejectedPage,
  type RejectedPayload,
} from './past.tsx';

/** Rejected payloads, events and gaps are not in the live feed: the list that is looked at is asked for so often. */
const REFRESH_MS = 5000;
const PAGE = 25;

const TABS = [
  { name: 'connections', label: 'Connections' },
  { name: 'rejected', label: 'Rejected payloads' },
  { name: 'events', label: 'Events' },
  { name: 'gaps', label: 'Gaps' },
] as const;
type Tab = (typeof TABS)[number]['name'];

interface Lists {
  readonly connections: PagedList<PastConnection>;
  readonly rejected: PagedList<RejectedPayload, RejectedPage>;
  readonly events: PagedList<DeviceEvent>;
  readonly gaps: PagedList<Gap>;
}

function listsOf(device: string): Lists {
  const ask =
    <P extends Page<unknown>>(name: string) =>
    (after: string | null, abort: AbortSignal): Promise<P> =>
      api.get<P>(`${path`/api/v1/devices/${device}`}/${name}`, { limit: PAGE, after }, abort);
  return {
    connections: new PagedList({ ask: ask<Page<PastConnection>>('connections'), keyOf: ({ epoch }) => String(epoch) }),
    rejected: new PagedList({ ask: ask<RejectedPage>('rejected'), keyOf: ({ id }) => String(id) }),
    events: new PagedList({ ask: ask<Page<DeviceEvent>>('events'), keyOf: ({ id }) => String(id) }),
    gaps: new PagedList({ ask: ask<Page<Gap>>('gaps'), keyOf: ({ stream, fromSeq }) => `${stream} ${fromSeq}` }),
  };
}

/** What the device did before. Its lists are loaded once for the marks on the tabs; the open one stays fresh. */
export function PastTabs({ device }: { readonly device: string }) {
  const lists = useMemo(() => listsOf(device), [device]);
  const asked = new URLSearchParams(search.value).get('tab');
  const tab = TABS.find(({ name }) => name === asked)?.name ?? 'connections';
  const bar = useRef<HTMLDivElement>(null);

  useEffect(() => {
    for (const [name, list] of Object.entries(lists)) {
      // The open one is asked for below.
      if (name !== tab) void (list as PagedList<unknown>).refresh();
    }
    return () => {
      for (const list of Object.values(lists)) (list as PagedList<unknown>).stop();
    };
  }, [lists]);

  useEffect(() => {
    const refresh = (): void => {
      if (!document.hidden) void (lists[tab] as PagedList<unknown>).refresh();
    };
    refresh();
    const timer = setInterval(refresh, REFRESH_MS);
    const offs = [
      live.on('reload', refresh),
      live.on('presence', (changes) => {
        if (tab === 'connections' && changes.some((change) => change.device === device)) refresh();
      }),
    ];
    return () => {
      clearInterval(timer);
      for (const off of offs) off();
    };
  }, [lists, tab]);

  const move = (event: KeyboardEvent): void => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const at = TABS.findIndex(({ name }) => name === tab);
    choose(TABS[(at + step + TABS.length) % TABS.length]!.name);
    requestAnimationFrame(() => bar.current?.querySelector<HTMLElement>('[aria-selected="true"]')?.focus());
  };

  return (
    <section class="panel past-panel" aria-label="History">
      <div class="tabs" role="tablist" aria-label="History" ref={bar} onKeyDown={move}>
        {TABS.map(({ name, label }) => (
          <button
            key={name}
            type="button"
            role="tab"
            id={`tab-${name}`}
            aria-controls="tab-panel"
            aria-selected={name === tab}
            tabIndex={name === tab ? 0 : -1}
            onClick={() => choose(name)}
          >
            {label}
            <Mark list={lists[name] as PagedList<unknown>} isWarning={name === 'rejected' || name === 'gaps'} />
          </button>
        ))}
      </div>
      <div role="tabpanel" id="tab-panel" aria-labelledby={`tab-${tab}`} tabIndex={-1}>
        {tab === 'connections' && <Connections list={lists.connections} />}
        {tab === 'rejected' && <Rejected list={lists.rejected} />}
        {tab === 'events' && <Events list={lists.events} />}
        {tab === 'gaps' && <Gaps list={lists.gaps} />}
      </div>
    </section>
  );
}

/** How many there are, as far as they were loaded. */
function Mark({ list, isWarning }: { readonly list: PagedList<unknown>; readonly isWarning: boolean }) {
  const state = list.state.value;
  if (state === null || state.items.length === 0) return null;
  return (
    <span class={isWarning ? 'tab-count warning' : 'tab-count'}>
      {state.items.length}
      {state.next !== null && '+'}
    </span>
  );
}

function choose(tab: Tab): void {
  const next = new URLSearchParams(search.value);
  if (tab === 'connections') next.delete('tab');
  else next.set('tab', tab);
  replaceSearch(next);
}
