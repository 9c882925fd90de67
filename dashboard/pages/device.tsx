import { effect } from '@preact/signals';
import { useEffect, useMemo } from 'preact/hooks';
import { useLoad, useTitle, useWatch } from '../hooks.ts';
import { Charts } from '../parts/device/charts.tsx';
import { Commands } from '../parts/device/commands.tsx';
import { DeviceHead } from '../parts/device/head.tsx';
import { LatestValues } from '../parts/device/latest-values.tsx';
import { DeviceModel, type DeviceFault } from '../parts/device/model.ts';
import { PastTabs } from '../parts/device/past-tabs.tsx';
import { BASE } from '../router.ts';
import { api, live } from '../session.ts';
import '../style/panel.css';
import '../style/device.css';

/** One device: its state, what it measures, what it was told to do, and what it did before. */
export default function DevicePage({ id }: { readonly id: string }) {
  const model = useMemo(() => new DeviceModel({ id, api, live }), [id]);
  useTitle(id);
  useEffect(() => model.start(), [model]);
  useWatch([id]);
  useLoad((abort) => model.load(abort), [model]);
  useEffect(() => healHistory(model), [model]);

  const fault = model.fault.value;
  const device = model.device.value;
  const again = (): void => void model.load(new AbortController().signal);
  if (device === null)
    return fault === null ? <p class="empty" aria-busy="true" /> : <Fault {...{ id, fault, again }} />;
  return (
    <div class="device">
      <DeviceHead model={model} device={device} />
      {fault?.kind === 'failed' && (
        <p class="notice device-fault" role="alert">
          What is shown could not be brought up to date: {fault.text}{' '}
          <button type="button" onClick={again}>
            Try again
          </button>
        </p>
      )}
      <Charts model={model} />
      <aside>
        <LatestValues model={model} />
        <Commands model={model} />
      </aside>
      <PastTabs device={id} />
    </div>
  );
}

/** Whenever the feed is live again after it was not. */
function healHistory(model: DeviceModel): () => void {
  const abort = new AbortController();
  let wasStale = false;
  const off = effect(() => {
    const { state } = live.status.value;
    if (state === 'live' && wasStale) void model.loadHistory(abort.signal);
    wasStale = state === 'stale' || (wasStale && state === 'connecting');
  });
  return () => {
    off();
    abort.abort();
  };
}

const TITLES = {
  missing: 'There is no such device',
  deleted: 'This device was deleted',
  failed: 'The device could not be loaded',
};

interface FaultProps {
  readonly id: string;
  readonly fault: DeviceFault;
  readonly again: () => void;
}

function Fault({ id, fault, again }: FaultProps) {
  return (
    <section class="empty">
      <h1>{TITLES[fault.kind]}</h1>
      <p>{fault.kind === 'failed' ? fault.text : <bdi class="mono">{id}</bdi>}</p>
      <p>
        {fault.kind === 'failed' ? (
          <button type="button" onClick={again}>
            Try again
          </button>
        ) : (
          <a href={BASE}>Back to the fleet</a>
        )}
      </p>
    </section>
  );
}
