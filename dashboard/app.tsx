import type { ComponentType, JSX } from 'preact';
import { useEffect } from 'preact/hooks';
import { signal } from '@preact/signals';
import { FleetPage } from './pages/fleet.tsx';
import { useTitle } from './hooks.ts';
import { Banner } from './parts/banner.tsx';
import { Header } from './parts/header.tsx';
import { BASE, route } from './router.ts';
import { fleet, live } from './session.ts';

/** The shell around every page. Values of what is not live are greyed by `data-stale`. */
export function App() {
  return (
    <div class="app" data-stale={isStale()}>
      <a class="skip" href="#main">
        Skip to content
      </a>
      <Header />
      <Banner />
      <main id="main" tabIndex={-1}>
        <CurrentPage />
      </main>
    </div>
  );
}

/** The feed brings changes; without the state that they belong to they make nothing live. */
function isStale(): boolean {
  return live.status.value.state === 'stale' || (route.value.page === 'fleet' && !fleet.isWhole.value);
}

function CurrentPage(): JSX.Element {
  const at = route.value;
  switch (at.page) {
    case 'fleet':
      return <FleetPage />;
    case 'device':
      return <Device key={at.id} id={at.id} />;
    case 'refused':
      return <Refused />;
    case 'unknown':
      return <UnknownPage />;
  }
}

/** Pages of their own chunk: the chart library comes with the first device that is opened. */
const Device = onDemand(async () => (await import('./pages/device.tsx')).default);
const Refused = onDemand(async () => (await import('./pages/refused.tsx')).default);

function onDemand<P extends object>(load: () => Promise<ComponentType<P>>): ComponentType<P> {
  const loaded = signal<ComponentType<P> | null>(null);
  const failed = signal(false);
  return function OnDemand(props: P) {
    useEffect(() => {
      if (loaded.value !== null) return;
      load().then(
        (page) => (loaded.value = page),
        () => (failed.value = true),
      );
    }, []);
    // A hub of another version has other files: what is here fits no more.
    if (failed.value) return <p class="empty">This page could not be loaded. Load the dashboard anew.</p>;
    const Page = loaded.value;
    return Page === null ? <p class="empty" aria-busy="true" /> : <Page {...props} />;
  };
}

function UnknownPage() {
  useTitle('Not found');
  return (
    <section class="empty">
      <h1>There is no such page</h1>
      <p>
        <a href={BASE}>Back to the fleet</a>
      </p>
    </section>
  );
}
