import { isUtf8 } from 'node:buffer';
import { CLOSE_REASONS, type CloseReason } from '#protocols/close-reasons.js';
import type { DeviceView } from '#hub/fleet/port.js';
import type { ConnectionView, RefusedHandshake } from '#hub/gateway/port.js';
import type { CommandEvent, CommandRow, ConnectionRow, EventRow, RejectedRow } from '#hub/store/port.js';
import type { LatestValue } from '#hub/telemetry/port.js';
import { isoOfMs, isoOfUs } from './time.ts';

/**
 * How things look in JSON. One rule for times: the raw number keeps its name (`createdUs`, `connectedMs`), and beside it
 * stands the same instant as text under the name without the unit (`created`, `connected`).
 */

export function deviceJson(device: DeviceView): object {
  const { presence, ...row } = device;
  return {
    ...row,
    created: isoOfUs(device.createdUs),
    presence: {
      ...presence,
      connected: orNull(presence.connectedMs, isoOfMs),
      disconnected: orNull(presence.disconnectedMs, isoOfMs),
      reasonText: reasonText(presence.reason),
    },
  };
}

export function tokenJson(token: { keyId: string; createdMs: number }): object {
  return { ...token, created: isoOfMs(token.createdMs) };
}

export function readingJson({ metric, value, timeUs }: LatestValue): object {
  return { metric, value, timeUs, time: isoOfUs(timeUs) };
}

export function commandJson(row: CommandRow): object {
  return {
    ...row,
    params: parsed(row.params),
    result: orNull(row.result, parsed),
    lateResult: orNull(row.lateResult, parsed),
    created: isoOfUs(row.createdUs),
    expires: isoOfUs(row.expiresUs),
    sent: orNull(row.sentUs, isoOfUs),
    received: orNull(row.receivedUs, isoOfUs),
    finished: orNull(row.finishedUs, isoOfUs),
  };
}

export function commandEventJson(event: CommandEvent): object {
  return { ...event, time: isoOfUs(event.timeUs) };
}

export function rejectedJson({ payload, ...row }: RejectedRow): object {
  return { ...row, time: isoOfUs(row.timeUs), payload: payloadJson(payload) };
}

export function eventJson({ payload, ...row }: EventRow): object {
  return { ...row, time: isoOfUs(row.timeUs), payload: payloadJson(payload) };
}

/** One connection of a device's history. */
export function connectionRowJson(row: ConnectionRow): object {
  return {
    ...row,
    connected: isoOfUs(row.connectedUs),
    disconnected: orNull(row.disconnectedUs, isoOfUs),
    reasonText: reasonText(row.reason),
  };
}

/** An open connection. */
export function connectionJson(view: ConnectionView): object {
  return { ...view, connected: isoOfMs(view.connectedMs), lastByte: isoOfMs(view.lastByteMs) };
}

export function refusedJson(refused: RefusedHandshake): object {
  return { ...refused, time: isoOfMs(refused.timeMs) };
}

export function gapJson(gap: { stream: string; fromSeq: number; toSeq: number; timeUs: number }): object {
  return { ...gap, time: isoOfUs(gap.timeUs) };
}

function payloadJson(payload: Uint8Array): object {
  const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
  return { base64: bytes.toString('base64'), text: isUtf8(bytes) ? bytes.toString('utf8') : null };
}

function reasonText(reason: CloseReason | null): string | null {
  return orNull(reason, (name) => CLOSE_REASONS[name].text);
}

function parsed(json: string): unknown {
  return JSON.parse(json) as unknown;
}

function orNull<T, R>(value: T | null, show: (value: T) => R): R | null {
  return value === null ? null : show(value);
}
