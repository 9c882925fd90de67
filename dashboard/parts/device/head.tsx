import type { ComponentChildren } from 'preact';
import type { Device, Presence } from '../../api.ts';
import { BASE } from '../../router.ts';
import { duration, reasonLabel } from '../../text.ts';
import { stateOf } from '../../fleet-view.ts';
import { ProtocolTag, StateBadge } from '../badge.tsx';
import { Ago, knownUntilMs, Moment } from '../moment.tsx';
import type { DeviceModel } from './model.ts';
import { visibleLine } from '../../visible.ts';

/** Who the device is, whether it is there, since when, and why not. */
export function DeviceHead({ model, device }: { readonly model: DeviceModel; readonly device: Device }) {
  const { presence, name, id } = device;
  return (
    <header class="device-head">
      <p class="crumb">
        <a href={BASE}>Fleet</a>
      </p>
      <div class="title">
        <h1>
          <bdi>{id}</bdi>
        </h1>
        {name !== null && <bdi class="device-name">{visibleLine(name)}</bdi>}
        <span class="live-value" role="status">
          <StateBadge state={stateOf(device)} />
        </span>
      </div>
      <dl class="facts">
        <State presence={presence} />
        <Fact label="Protocol">
          <ProtocolTag protocol={presence.protocol} />
        </Fact>
        <Fact label="Epoch" title="Number of its last connection: a newer one takes over from an older one">
          {presence.epoch === 0 ? '–' : presence.epoch}
        </Fact>
        <Fact label="Last value">
          <LastValue model={model} />
        </Fact>
        <Fact label="May speak">{device.protocols === null ? 'every protocol' : device.protocols.join(', ')}</Fact>
        <Fact label="Registered">
          <Moment ms={device.createdUs / 1000} />
        </Fact>
      </dl>
      {device.disabled && (
        <p class="notice">This device is disabled: the hub lets it in only after it was enabled again.</p>
      )}
    </header>
  );
}

function Fact(props: { readonly label: string; readonly title?: string; readonly children: ComponentChildren }) {
  return (
    <div title={props.title}>
      <dt>{props.label}</dt>
      <dd>{props.children}</dd>
    </div>
  );
}

/** Since when it is as it is; for what has ended also why, and who ended it. */
function State({ presence }: { readonly presence: Presence }) {
  const { online, connectedMs, disconnectedMs, reason, reasonText, initiator } = presence;
  const sinceMs = online ? connectedMs : disconnectedMs;
  return (
    <>
      <Fact label={online ? 'Online for' : 'Offline for'}>
        {sinceMs === null ? (
          'it never connected'
        ) : (
          <span class="live-value">
            {duration(knownUntilMs() - sinceMs)} <span class="muted">since </span>
            <Moment ms={sinceMs} />
          </span>
        )}
      </Fact>
      {!online && reason !== null && (
        <Fact label="Because of" {...(typeof reasonText === 'string' && { title: reasonText })}>
          <strong>{reasonLabel(reason)}</strong> {initiator !== null && <span class="muted">by the {initiator}</span>}
          {typeof reasonText === 'string' && <span class="muted reason-text">{reasonText}</span>}
        </Fact>
      )}
    </>
  );
}

function LastValue({ model }: { readonly model: DeviceModel }) {
  const latest = model.latest.value ?? [];
  if (latest.length === 0) return <>–</>;
  return (
    <span class="live-value">
      <Ago ms={Math.max(...latest.map(({ timeUs }) => timeUs)) / 1000} />
    </span>
  );
}
