import { useSignal } from '@preact/signals';
import { useEffect, useLayoutEffect, useMemo } from 'preact/hooks';
import { devicesOf, PLAIN_QUERY, queryOf, searchOf, type FleetQuery } from '../fleet-view.ts';
import { useLoad, useTitle, useWatch } from '../hooks.ts';
import { NoDevices } from '../parts/fleet/empty.tsx';
import { useMetricColumns } from '../parts/fleet/metrics.ts';
import { Order } from '../parts/fleet/order.ts';
import { Summary } from '../parts/fleet/summary.tsx';
import { DeviceTable } from '../parts/fleet/table.tsx';
import { Toolbar } from '../parts/fleet/toolbar.tsx';
import { rememberedScroll, replaceSearch, search } from '../router.ts';
import { after, fleet, live } from '../session.ts';
import { count } from '../text.ts';
import '../style/fleet.css';

/** Between what is typed and the address: browsers refuse more than about three changes a second. */
const ADDRESS_MS = 350;
/** Between two looks whether the fleet has things that the feed does not tell. */
const RELOAD_LOOK_MS = 5000;

/** All devices: what the fleet is doing in figures, and a table to find one. */
export function FleetPage() {
  useTitle('Fleet');
  useWatch(null);
  useLoad((abort) => (fleet.isFresh() ? Promise.resolve() : fleet.load(abort)), []);
  useEffect(() => {
    const abort = new AbortController();
    const timer = setInterval(() => {
      if (fleet.needsReload()) void fleet.load(abort.signal);
    }, RELOAD_LOOK_MS);
    return () => {
      clearInterval(timer);
      abort.abort();
    };
  }, []);
  return (
    <>
      <h1 class="visually-hidden">Fleet</h1>
      <Summary />
      <Devices />
    </>
  );
}

function Devices() {
  const { query, change } = useQuery();
  const order = useOrder(query);
  const metrics = useMetricColumns();
  const entered = useSignal(0);
  const devices = order.devices.value;
  const phase = fleet.phase.value;
  const total = fleet.size;
  useLayoutEffect(() => {
    const y = rememberedScroll();
    if (y !== null && total > 0) scrollTo(0, y);
  }, []);
  if (total === 0) {
    if (phase.phase === 'loading') return <p class="empty">Loading the fleet…</p>;
    if (phase.phase === 'failed') return <p class="empty">{phase.text}</p>;
    return <NoDevices />;
  }
  return (
    <section class="devices" aria-label="Devices">
      {phase.phase === 'failed' && (
        <p class="notice" role="alert">
          What is shown could not be brought up to date: {phase.text} Trying again.
        </p>
      )}
      <Toolbar
        query={query}
        change={change}
        shown={devices.length}
        total={total}
        isHeld={order.isWaiting.value}
        onDown={() => entered.value++}
      />
      <DeviceTable
        devices={devices}
        query={query}
        change={change}
        onHold={(isHeld) => order.hold(isHeld)}
        entered={entered.value}
        metrics={metrics}
      />
      {devices.length === 0 && <NothingFound query={query} change={change} />}
      <Found shown={devices.length} query={query} />
    </section>
  );
}

/** The query of the address. What is typed counts at once, and stands in the address a moment later. */
function useQuery(): { query: FleetQuery; change: (part: Partial<FleetQuery>) => void } {
  const typed = useSignal<FleetQuery | null>(null);
  const query = typed.value ?? queryOf(search.value);
  useEffect(() => {
    const wanted = typed.value;
    if (wanted === null) return;
    return after(ADDRESS_MS, () => {
      typed.value = null;
      replaceSearch(searchOf(wanted));
    });
  }, [typed.value]);
  return { query, change: (part) => (typed.value = { ...query, ...part }) };
}

function useOrder(query: FleetQuery): Order {
  const current = useMemo(() => ({ query }), []);
  current.query = query;
  const order = useMemo(
    () => new Order({ make: () => devicesOf(fleet.all(), current.query, live.hubNowMs()), after }),
    [],
  );
  const key = searchOf(query).toString();
  useMemo(() => order.renew(), [key, fleet.loads.value]);
  useEffect(() => {
    const offs = [
      fleet.presences.subscribe(() => order.changed()),
      fleet.values.subscribe(() => current.query.sort !== 'id' && order.changed()),
    ];
    return () => {
      for (const off of offs) off();
      order.stop();
    };
  }, []);
  return order;
}

function NothingFound({ query, change }: { query: FleetQuery; change: (part: Partial<FleetQuery>) => void }) {
  return (
    <div class="empty">
      <p>No device is like this{query.text === '' ? '' : `: “${query.text}”`}.</p>
      <button type="button" onClick={() => change(PLAIN_QUERY)}>
        Show all devices
      </button>
    </div>
  );
}

/** Tells screen readers what the filter found, once it has come to rest; not each time the fleet moves. */
function Found({ shown, query }: { readonly shown: number; readonly query: FleetQuery }) {
  const text = useSignal('');
  const key = searchOf(query).toString();
  useEffect(() => after(1000, () => (text.value = key === '' ? '' : `${count(shown)} devices found`)), [key]);
  return (
    <p class="visually-hidden" role="status">
      {text.value}
    </p>
  );
}
