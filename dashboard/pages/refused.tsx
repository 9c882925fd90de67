import { useEffect, useMemo } from 'preact/hooks';
import { useLive, useTitle, useWatch } from '../hooks.ts';
import { PagedList } from '../parts/paged-list.ts';
import { GroupCard } from '../parts/refused/group-card.tsx';
import { groupsOf, sumsOf, type Order, type Refused, type RefusedPage as Answer } from '../parts/refused/groups.ts';
import { replaceSearch, search } from '../router.ts';
import { api } from '../session.ts';
import { count, reasonLabel } from '../text.ts';
import '../style/panel.css';
import '../style/refused.css';

/** Refused handshakes are not in the live feed: they are asked for so often. */
const REFRESH_MS = 3000;
/** The most that the hub gives at once; it keeps fewer unless it is told to. */
const KEPT = 1000;
const ORDERS: readonly (readonly [Order, string])[] = [
  ['often', 'Most often'],
  ['newest', 'Newest'],
];

/** Handshakes that the hub refused: who offered what, why it failed, how often, and what to change. */
export default function RefusedPage() {
  useTitle('Refused handshakes');
  useWatch(null);
  const list = useMemo(listOfRefused, []);
  useEffect(() => {
    const refresh = (): void => {
      if (!document.hidden) void list.refresh();
    };
    refresh();
    const timer = setInterval(refresh, REFRESH_MS);
    return () => {
      clearInterval(timer);
      list.stop();
    };
  }, [list]);
  useLive('reload', () => void list.refresh(), [list]);

  const state = list.state.value;
  const fault = list.fault.value;
  const query = new URLSearchParams(search.value);
  const code = query.get('code');
  const order = query.get('order') === 'newest' ? 'newest' : 'often';
  return (
    <div class="refused">
      <header class="page-head">
        <div>
          <h1>Refused handshakes</h1>
          <p class="muted">Connections that the hub did not let in. Counts are since its start.</p>
        </div>
        <div class="segments" role="group" aria-label="Order">
          {ORDERS.map(([name, label]) => (
            <button
              key={name}
              type="button"
              aria-pressed={name === order}
              onClick={() => choose('order', name === 'often' ? null : name)}
            >
              {label}
            </button>
          ))}
        </div>
      </header>
      {fault !== null && (
        <p class="notice" role="alert">
          {state === null ? 'They could not be loaded' : 'This list is not up to date'}: {fault}
        </p>
      )}
      {state !== null && <Shown answer={state.head} code={code} order={order} />}
    </div>
  );
}

interface ShownProps {
  readonly answer: Answer;
  readonly code: string | null;
  readonly order: Order;
}

function Shown({ answer, code, order }: ShownProps) {
  const sums = sumsOf(answer.counts);
  if (sums.length === 0) return <Nothing />;
  const total = sums.reduce((sum, [, times]) => sum + times, 0);
  const groups = groupsOf(answer.items, order).filter(({ newest }) => code === null || newest.code === code);
  return (
    <>
      <div class="chips" role="group" aria-label="Show only">
        <Chip label="all" times={total} isChosen={code === null} onClick={() => choose('code', null)} />
        {sums.map(([name, times]) => (
          <Chip
            key={name}
            label={reasonLabel(name)}
            times={times}
            isChosen={name === code}
            onClick={() => choose('code', name)}
          />
        ))}
      </div>
      {groups.length === 0 && (
        <p class="empty">None of these is among the last {count(answer.items.length)} that the hub keeps.</p>
      )}
      <div class="live-value cards">
        {groups.map((group) => (
          <GroupCard key={group.key} group={group} />
        ))}
      </div>
      {answer.items.length < total && (
        <p class="muted foot">
          Of {count(total)} the hub keeps the last {count(answer.items.length)} (<code>refusedHandshakesKept</code>).
        </p>
      )}
    </>
  );
}

interface ChipProps {
  readonly label: string;
  readonly times: number;
  readonly isChosen: boolean;
  readonly onClick: () => void;
}

function Chip({ label, times, isChosen, onClick }: ChipProps) {
  return (
    <button type="button" class="chip" aria-pressed={isChosen} onClick={onClick}>
      {label} <strong>{count(times)}</strong>
    </button>
  );
}

function Nothing() {
  return (
    <section class="empty">
      <h2>No handshake was refused since the hub started</h2>
      <p>
        When a client offers a protocol that is not served, or shows a token that is not valid, it appears here with
        what to change. To see one:{' '}
        <code>curl -i -H 'Connection: Upgrade' -H 'Upgrade: websocket' {location.origin}/mqtt</code>
      </p>
    </section>
  );
}

function listOfRefused(): PagedList<Refused, Answer> {
  return new PagedList({
    ask: (after, abort) => api.get<Answer>('/api/v1/refused', { limit: KEPT, after }, abort),
    // Alike to the millisecond is possible, and then both are in the same answer: only the head is shown.
    keyOf: ({ timeMs, address, code }) => `${timeMs} ${address} ${code}`,
  });
}

function choose(key: string, value: string | null): void {
  const next = new URLSearchParams(search.value);
  if (value === null) next.delete(key);
  else next.set(key, value);
  replaceSearch(next);
}
