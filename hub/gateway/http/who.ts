import { isDeviceId, type Principal } from '#protocols/principal.js';
import type { DeviceBook } from '#hub/fleet/devices.js';
import type { Identity } from '#hub/fleet/identity.js';
import { keyIdOf } from '#hub/fleet/tokens.js';
import { identifyHandshake, originAllowed, type Handshake } from '../handshake.ts';
import { DeviceRefusal } from './port.ts';

/** A device that makes a request, and the token by which it is known. */
export interface Asking {
  readonly principal: Principal;
  readonly keyIds: readonly string[];
}

/**
 * Which device makes this request: as in the WebSocket handshake, or in anonymous mode as the header `Muster-Device` says. Throws
 * DeviceRefusal.
 */
export function whoAsks(
  handshake: Handshake,
  deviceHeader: string | null,
  { identity, devices, allowedOrigins }: Known,
): Asking {
  if (!originAllowed(handshake, allowedOrigins)) {
    throw new DeviceRefusal('origin_not_allowed', 'add the origin to allowedOrigins of the hub');
  }
  const identified = identifyHandshake(handshake, identity);
  if (!identified.ok) throw new DeviceRefusal(identified.code, identified.detail);
  const principal = identified.principal ?? anonymous(deviceHeader, identity);
  if (principal.kind !== 'device') {
    throw new DeviceRefusal('not_authorized', 'this is for devices; these credentials are of an application');
  }
  if (deviceHeader !== null && deviceHeader !== principal.id) {
    throw new DeviceRefusal('credentials_contradict', 'the token and the header Muster-Device name different devices');
  }
  if (devices.row(principal.id)?.disabled === true)
    throw new DeviceRefusal('device_disabled', 'the device is disabled');
  if (!identity.allows(principal, 'http')) {
    const allowed = devices.row(principal.id)?.protocols?.join(', ') ?? '';
    throw new DeviceRefusal('protocol_not_allowed', `the policy of this device does not allow http, but ${allowed}`);
  }
  const keyIds = handshake.tokens.flatMap((token) => keyIdOf(token) ?? []);
  return { principal, keyIds };
}

export interface Known {
  readonly identity: Identity;
  readonly devices: DeviceBook;
  readonly allowedOrigins: readonly string[];
}

function anonymous(device: string | null, identity: Identity): Principal {
  if (device !== null && !isDeviceId(device)) {
    const rule = '1 to 128 of A-Z a-z 0-9 . _ : - and never "me", "." or ".."';
    throw new DeviceRefusal('client_id_refused', `the header Muster-Device must be a device id: ${rule}`);
  }
  const named = identity.resolve(null, null, device);
  if (!named.ok)
    throw new DeviceRefusal('credentials_required', 'send `Authorization: Bearer mst_…` with a device token');
  if (device === null) {
    throw new DeviceRefusal(
      'credentials_required',
      'send `Authorization: Bearer mst_…` with a device token or, as this hub takes everybody, the header Muster-Device',
    );
  }
  return named.principal;
}
