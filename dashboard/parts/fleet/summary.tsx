import type { ComponentChildren } from 'preact';
import type { FleetCounts } from '../../api.ts';
import { searchOf, PLAIN_QUERY } from '../../fleet-view.ts';
import type { Figures, Percentiles } from '../../live.ts';
import { BASE } from '../../router.ts';
import { fleet, live, pastFigures } from '../../session.ts';
import { count, figure, protocolText } from '../../text.ts';
import { Sparkline } from '../sparkline.tsx';

/** The fleet and the hub in a few figures, new each second. */
export function Summary() {
  const past = pastFigures.value;
  const figures = live.figures.value;
  const counts = figures ?? fleet.counts.value;
  return (
    <section class="summary live-value" aria-label="The fleet in figures">
      <Presence counts={counts} />
      <Card title="Messages" unit="a second" value={figures?.messagesPerS}>
        <Sparkline values={past.map((one) => one.messagesPerS)} />
      </Card>
      <Card title="Readings stored" unit="a second" value={figures?.readingsPerS}>
        <Sparkline values={past.map((one) => one.readingsPerS)} />
      </Card>
      <Latency title="Commit" about="From the first write to what is on disk" times={figures?.commitMs ?? null}>
        {figures === null ? '' : `${figure(figures.commitsPerS)} commits a second`}
      </Latency>
      <Latency title="Ack" about="From a message to its acknowledgement" times={figures?.ackMs ?? null}>
        {waiting(figures)}
      </Latency>
    </section>
  );
}

function waiting(figures: Figures | null): string {
  if (figures === null) return '';
  return figures.backlogRows === 0 ? 'no backlog' : `${count(figures.backlogRows)} rows wait for the disk`;
}

function Presence({ counts }: { readonly counts: FleetCounts | null }) {
  const online = counts?.online ?? null;
  const total = counts === null ? null : counts.online + counts.offline;
  const protocols = Object.entries(counts?.byProtocol ?? {}).filter(([, n]) => n > 0);
  return (
    <div class="card presence">
      <h2>Online</h2>
      <p class="big">
        <b data-testid="online">{online === null ? '–' : count(online)}</b>
        {total !== null && <span class="of">of {count(total)}</span>}
        {counts !== null && counts.offline > 0 && (
          <a class="lost" href={`${BASE}?${searchOf({ ...PLAIN_QUERY, state: 'offline', sort: 'seen' }).toString()}`}>
            <b data-testid="offline">{count(counts.offline)}</b> offline
          </a>
        )}
      </p>
      <div class="share" aria-hidden="true">
        {protocols.map(([name, n]) => (
          <i key={name} class={name} style={{ flexGrow: n }} />
        ))}
        {counts !== null && counts.offline > 0 && <i class="rest" style={{ flexGrow: counts.offline }} />}
      </div>
      <ul class="legend">
        {protocols.map(([name, n]) => (
          <li key={name} class={name}>
            {protocolText(name)} <b>{count(n)}</b>
          </li>
        ))}
      </ul>
    </div>
  );
}

interface CardProps {
  readonly title: string;
  readonly unit: string;
  readonly value: number | undefined;
  readonly children: ComponentChildren;
}

function Card({ title, unit, value, children }: CardProps) {
  return (
    <div class="card">
      <h2>{title}</h2>
      <p class="big">
        <b>{value === undefined ? '–' : figure(value)}</b>
        <span class="of">{unit}</span>
      </p>
      {children}
    </div>
  );
}

interface LatencyProps {
  readonly title: string;
  readonly about: string;
  readonly times: Percentiles | null;
  readonly children: ComponentChildren;
}

function Latency({ title, about, times, children }: LatencyProps) {
  const half = times?.p50 ?? null;
  const most = times?.p99 ?? null;
  return (
    <div class="card" title={about}>
      <h2>{title}</h2>
      <p class="big">
        <b>{half === null ? '–' : figure(half)}</b>
        <span class="of">ms median</span>
      </p>
      <p class="note">
        p99 <b>{most === null ? '–' : figure(most)}</b> ms
      </p>
      <p class="note">{children}</p>
    </div>
  );
}
