import { isUtf8 } from 'node:buffer';
import type * as z from 'zod';
import { CLOSE_REASONS, type CloseReason } from '#protocols/close-reasons.js';
import type { DeviceView, OperatorView, TokenView } from '#hub/fleet/port.js';
import type { ConnectionView, RefusedHandshake } from '#hub/gateway/port.js';
import { REFUSAL_TITLES } from '#hub/gateway/refusal.js';
import { adviceFor } from '#hub/gateway/refusal-advice.js';
import type { JobView } from '#hub/jobs/port.js';
import type { QueueView } from '#hub/queues/port.js';
import type { SessionView } from '#hub/sessions/port.js';
import type { CommandEvent, CommandRow, ConnectionRow, EventRow, RejectedRow } from '#hub/store/port.js';
import type { LatestValue } from '#hub/telemetry/port.js';
import type { operator, token } from './schemas/access.ts';
import type { command, commandEvent } from './schemas/commands.ts';
import type { payload } from './schemas/common.ts';
import type { connection, refused } from './schemas/connections.ts';
import type { device, deviceToken } from './schemas/devices.ts';
import type { event, gap, pastConnection, rejected } from './schemas/history.ts';
import type { job } from './schemas/jobs.ts';
import type { latestReading, reading } from './schemas/readings.ts';
import type { queue } from './schemas/queues.ts';
import type { session } from './schemas/sessions.ts';
import { isoOfMs, isoOfUs } from './time.ts';

/**
 * How things look in JSON. One rule for times: the raw number keeps its name (`createdUs`, `connectedMs`), and beside it
 * stands the same instant as text under the name without the unit (`created`, `connected`).
 */

export function deviceJson(view: DeviceView): z.infer<typeof device> {
  const { presence, ...row } = view;
  return {
    ...row,
    created: isoOfUs(view.createdUs),
    presence: {
      ...presence,
      connected: orNull(presence.connectedMs, isoOfMs),
      disconnected: orNull(presence.disconnectedMs, isoOfMs),
      reasonText: reasonText(presence.reason),
    },
  };
}

export function tokenJson(view: { keyId: string; createdMs: number }): z.infer<typeof deviceToken> {
  return { ...view, created: isoOfMs(view.createdMs) };
}

export function readingJson({ metric, value, timeUs }: LatestValue): z.infer<typeof reading> {
  return { metric, value, timeUs, time: isoOfUs(timeUs) };
}

export function latestJson(latest: LatestValue): z.infer<typeof latestReading> {
  return { ...readingJson(latest), unit: latest.unit ?? null };
}

export function commandJson(row: CommandRow): z.infer<typeof command> {
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

export function commandEventJson(row: CommandEvent): z.infer<typeof commandEvent> {
  return { ...row, time: isoOfUs(row.timeUs) };
}

export function rejectedJson({ payload, ...row }: RejectedRow): z.infer<typeof rejected> {
  return { ...row, time: isoOfUs(row.timeUs), payload: payloadJson(payload) };
}

export function eventJson({ payload, ...row }: EventRow): z.infer<typeof event> {
  return { ...row, time: isoOfUs(row.timeUs), payload: payloadJson(payload) };
}

/** One connection of a device's history. */
export function connectionRowJson(row: ConnectionRow): z.infer<typeof pastConnection> {
  return {
    ...row,
    connected: isoOfUs(row.connectedUs),
    disconnected: orNull(row.disconnectedUs, isoOfUs),
    reasonText: reasonText(row.reason),
  };
}

/** An open connection. */
export function connectionJson(view: ConnectionView): z.infer<typeof connection> {
  return { ...view, connected: isoOfMs(view.connectedMs), lastByte: isoOfMs(view.lastByteMs) };
}

export function sessionJson(view: SessionView): z.infer<typeof session> {
  return { ...view, created: isoOfMs(view.createdMs), detached: orNull(view.detachedMs, isoOfMs) };
}

export function queueJson(view: QueueView): z.infer<typeof queue> {
  const { subscription, createdMs } = view;
  const whose = orNull(subscription, (of) => ({ ...of, detached: orNull(of.detachedMs, isoOfMs) }));
  return { ...view, created: isoOfMs(createdMs), subscription: whose };
}

export function refusedJson(handshake: RefusedHandshake): z.infer<typeof refused> {
  return {
    ...handshake,
    time: isoOfMs(handshake.timeMs),
    title: REFUSAL_TITLES[handshake.code],
    advice: adviceFor(handshake),
  };
}

export function gapJson(row: { stream: string; fromSeq: number; toSeq: number; timeUs: number }): z.infer<typeof gap> {
  return { ...row, time: isoOfUs(row.timeUs) };
}

export function operatorJson(view: OperatorView): z.infer<typeof operator> {
  return { ...view, created: isoOfMs(view.createdMs), updated: isoOfMs(view.updatedMs) };
}

/** A token of a program. */
export function tokenRowJson(view: TokenView): z.infer<typeof token> {
  return { ...view, created: isoOfMs(view.createdMs), expires: orNull(view.expiresMs, isoOfMs) };
}

export function jobJson(view: JobView): z.infer<typeof job> {
  const { lastRun, nextRunMs } = view;
  return {
    ...view,
    lastRun: orNull(lastRun, (run) => ({ ...run, started: isoOfMs(run.startedMs) })),
    nextRun: orNull(nextRunMs, isoOfMs),
  };
}

function payloadJson(sent: Uint8Array): z.infer<typeof payload> {
  const bytes = Buffer.from(sent.buffer, sent.byteOffset, sent.byteLength);
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
