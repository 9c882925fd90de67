import type { Page } from '../../api.ts';
import { protocolText, reasonLabel, duration, count } from '../../text.ts';
import { ProtocolTag } from '../badge.tsx';
import { knownUntilMs, Moment } from '../moment.tsx';
import { ListView } from './list-view.tsx';
import type { PagedList } from '../paged-list.ts';
import { visibleLine } from '../../visible.ts';
import { excerpt, type Payload } from './payload.ts';
import { PayloadView } from './payload-view.tsx';

/** What a device did before: four lists of the hub, newest first. */

export interface PastConnection {
  readonly epoch: number;
  readonly protocol: string;
  readonly address: string;
  readonly clientId: string;
  readonly connectedUs: number;
  /** Null while it is open. */
  readonly disconnectedUs: number | null;
  readonly reason: string | null;
  readonly reasonText: string | null;
  readonly initiator: string | null;
  readonly detail: string | null;
}

export interface RejectedPayload {
  readonly id: number;
  readonly timeUs: number;
  readonly protocol: string;
  readonly topic: string;
  readonly contentType: string | null;
  readonly payload: Payload;
  readonly code: string;
  readonly message: string;
}

export interface RejectedPage extends Page<RejectedPayload> {
  /** How many were let go. */
  readonly evicted: number;
}

export interface DeviceEvent {
  readonly id: number;
  readonly timeUs: number;
  readonly name: string;
  readonly contentType: string | null;
  readonly payload: Payload;
}

export interface Gap {
  readonly stream: string;
  readonly fromSeq: number;
  readonly toSeq: number;
  readonly timeUs: number;
}

const EXCERPT = 80;

export function Connections({ list }: { readonly list: PagedList<PastConnection> }) {
  return (
    <ListView list={list} empty="It has never connected.">
      {({ items }) => (
        <ul class="past connections">
          {items.map((one) => (
            <ConnectionRow key={one.epoch} connection={one} />
          ))}
        </ul>
      )}
    </ListView>
  );
}

function ConnectionRow({ connection }: { readonly connection: PastConnection }) {
  const { epoch, protocol, address, clientId, connectedUs, disconnectedUs, reason, reasonText, initiator, detail } =
    connection;
  const [fromMs, toMs] = [connectedUs / 1000, disconnectedUs === null ? null : disconnectedUs / 1000];
  return (
    <li>
      <span class="epoch" title="Epoch: the number of this connection">
        #{epoch}
      </span>
      <span class="when">
        <Moment ms={fromMs} />
      </span>
      <span class={toMs === null ? 'lasted open live-value' : 'lasted'}>
        {toMs === null ? `open for ${duration(knownUntilMs() - fromMs)}` : lasted(toMs - fromMs)}
      </span>
      <span class="how">
        <ProtocolTag protocol={protocol} />{' '}
        <span class="muted">
          from <bdi>{address}</bdi>
          {clientId !== '' && (
            <>
              {' '}
              as <bdi class="mono">{visibleLine(clientId)}</bdi>
            </>
          )}
        </span>
      </span>
      <span class="why">
        {reason !== null && (
          <>
            <strong>{reasonLabel(reason)}</strong>
            {initiator !== null && <span class="initiator">by the {initiator}</span>}
            <span class="muted">{reasonText ?? ''}</span>
          </>
        )}
        {detail !== null && detail !== '' && <span class="muted detail">{visibleLine(detail)}</span>}
      </span>
    </li>
  );
}

function lasted(ms: number): string {
  return ms < 1000 ? 'under 1 s' : `for ${duration(ms)}`;
}

export function Rejected({ list }: { readonly list: PagedList<RejectedPayload, RejectedPage> }) {
  return (
    <ListView list={list} empty="Every payload of this device could be used.">
      {({ items, head }) => (
        <>
          {head.evicted > 0 && (
            <p class="none">
              {count(head.evicted)} older ones were let go: the hub keeps a bounded number of each device.
            </p>
          )}
          <ul class="past rejected">
            {items.map((one) => (
              <li key={one.id}>
                <details>
                  <summary>
                    <span class="when">
                      <Moment ms={one.timeUs / 1000} />
                    </span>
                    <strong>{reasonLabel(one.code)}</strong>
                    <code class="excerpt">{excerpt(one.payload, EXCERPT)}</code>
                  </summary>
                  <p>{visibleLine(one.message)}</p>
                  <p class="muted">
                    {protocolText(one.protocol)}, on <bdi class="mono">{visibleLine(one.topic)}</bdi>,{' '}
                    {one.contentType === null ? (
                      'no content type'
                    ) : (
                      <bdi class="mono">{visibleLine(one.contentType)}</bdi>
                    )}
                  </p>
                  <PayloadView payload={one.payload} label="Payload" />
                </details>
              </li>
            ))}
          </ul>
        </>
      )}
    </ListView>
  );
}

export function Events({ list }: { readonly list: PagedList<DeviceEvent> }) {
  return (
    <ListView list={list} empty="This device has sent no events.">
      {({ items }) => (
        <ul class="past events">
          {items.map((one) => (
            <li key={one.id}>
              <details>
                <summary>
                  <span class="when">
                    <Moment ms={one.timeUs / 1000} />
                  </span>
                  <strong>
                    <bdi>{visibleLine(one.name)}</bdi>
                  </strong>
                  <code class="excerpt">{excerpt(one.payload, EXCERPT)}</code>
                </summary>
                {one.contentType !== null && <p class="muted">{visibleLine(one.contentType)}</p>}
                <PayloadView payload={one.payload} label="Payload" />
              </details>
            </li>
          ))}
        </ul>
      )}
    </ListView>
  );
}

export function Gaps({ list }: { readonly list: PagedList<Gap> }) {
  return (
    <ListView list={list} empty="This device has skipped no sequence number.">
      {({ items }) => (
        <ul class="past gaps">
          {items.map(({ stream, fromSeq, toSeq, timeUs }) => (
            <li key={`${stream} ${fromSeq}`}>
              <span class="when">
                <Moment ms={timeUs / 1000} />
              </span>
              <strong>
                {count(toSeq - fromSeq + 1)} missing: {fromSeq === toSeq ? fromSeq : `${fromSeq} to ${toSeq}`}
              </strong>
              <span class="muted">
                in stream <bdi class="mono">{visibleLine(stream)}</bdi>
              </span>
            </li>
          ))}
        </ul>
      )}
    </ListView>
  );
}
