import type { DeviceState } from '../fleet-view.ts';
import { protocolText } from '../text.ts';
import '../style/badge.css';

const NAMES: Readonly<Record<DeviceState, string>> = {
  online: 'Online',
  offline: 'Offline',
  never: 'Never seen',
  disabled: 'Disabled',
};

export function stateName(state: DeviceState): string {
  return NAMES[state];
}

/** State of a device: colour, shape and word say the same. */
export function StateBadge({ state }: { readonly state: DeviceState }) {
  return <span class={`badge ${state}`}>{NAMES[state]}</span>;
}

export function ProtocolTag({ protocol }: { readonly protocol: string | null }) {
  return protocol === null ? (
    <span class="muted">–</span>
  ) : (
    <span class={`protocol ${protocol}`}>{protocolText(protocol)}</span>
  );
}
