import type { Request, Response } from 'express';
import * as z from 'zod';
import { RESULT_STATUSES } from '#protocols/cbor/messages.js';
import { decodeCursor } from '#protocols/http/cursor.js';
import type { Outcome } from '#protocols/outcome.js';
import type { StreamPosition } from '#protocols/reading.js';
import type { Message, PollAnswer } from '#hub/gateway/http/port.js';
import { empty, json } from '../answers.ts';
import type { HubApi } from '../deps.ts';
import { Problem } from '../problems.ts';
import { DEVICE_PREFIX, route, type Reply, type Route } from '../route.ts';
import { queryInteger } from '../validate.ts';
import { visitOf } from './door.ts';
import { NUMBERED, positionIn } from './numbered.ts';
import { EventStream, OneAnswer, STREAM_HEADERS } from './poll-answers.ts';
import { deviceFailures, eventTaken, polled, resultTaken, streamOpened, telemetryTaken } from './schemas.ts';

/** The longest poll: proxies cut silent requests at 60 s. */
const MAX_WAIT_S = 60;
/** An event stream is never silent for longer; with the second or so that a beat may come late, below 20 s. */
const BEAT_MS = 15_000;
/**
 * How long an event stream lasts. A device that vanished takes no bytes and says nothing: while TCP tries on, only this end tells, so a
 * device counts as online for at most so long and the time of grace.
 */
const STREAM_MS = 5 * 60_000;

const tag = 'Device';
const scope = 'device';

const FORMATS = [
  'application/json',
  'application/senml+json',
  'application/senml+cbor',
  'application/cbor',
  'application/msgpack',
  'application/x-protobuf',
];

const PAYLOAD_FAILURES = [
  'malformed_payload',
  'unsupported_format',
  'unsupported_media_type',
  'malformed_body',
  'too_large',
  'too_many_readings',
  'value_not_allowed',
  'metric_name',
  'too_deep',
  'empty',
  'time_in_future',
  'time_not_allowed',
  'series_limit',
  'topic_not_allowed',
  'gap',
] as const;

const telemetry = {
  tag,
  scope,
  payload: { types: FORMATS, description: 'Readings; the formats are in docs/payloads.md. Without Content-Type: JSON' },
  headers: NUMBERED,
  answers: {
    200: json(telemetryTaken, 'They are on disk'),
    ...deviceFailures(PAYLOAD_FAILURES),
  },
} as const;

const pollQuery = z.strictObject({
  wait: queryInteger(0, MAX_WAIT_S).optional().describe('Seconds to wait for the first command'),
  cursor: z.string().max(2048).optional().describe('`cursor` of the answer before: that answer was received'),
});

const POLL = {
  id: 'pollCommands',
  tag,
  scope,
  summary: 'The commands of this device: at once, by long poll, or as server-sent events',
  query: pollQuery,
  headers: {
    Accept: '`text/event-stream`: one event for each command, without an end',
    'Last-Event-ID': 'With server-sent events, the cursor',
  },
  answers: {
    200: json(polled, 'What was received is not in it; what was handed over and not received is'),
    ...deviceFailures([
      'taken_over',
      'closed_by_operator',
      'identify_timeout',
      'idle_timeout',
      'hub_shutdown',
      'internal_error',
    ]),
  },
} as const;

/** What devices ask for over HTTP, when nothing else gets through. `docs/http-devices.md` describes it. */
export function deviceRequestRoutes(): readonly Route[] {
  return [
    route(
      'POST',
      `${DEVICE_PREFIX}/telemetry`,
      { id: 'postTelemetry', summary: 'Readings of this device', ...telemetry },
      ({ req, res }) => takeTelemetry(req, res, null),
    ),
    route(
      'POST',
      `${DEVICE_PREFIX}/telemetry/{format}`,
      { id: 'postTelemetryAs', summary: 'Readings of this device, in the format that the path names', ...telemetry },
      ({ req, res, path }) => takeTelemetry(req, res, path.format!),
    ),
    route(
      'POST',
      `${DEVICE_PREFIX}/events/{event}`,
      {
        id: 'postEvent',
        tag,
        scope,
        summary: 'An event of this device',
        payload: { types: ['application/json'], description: 'Any JSON value' },
        headers: NUMBERED,
        answers: {
          200: json(eventTaken, 'It is on disk'),
          ...deviceFailures([
            'malformed_payload',
            'unsupported_media_type',
            'malformed_body',
            'too_large',
            'too_deep',
            'gap',
          ]),
        },
      },
      async ({ req, res, path }) => {
        const message = messageIn(req);
        const { outcome } = await visitOf(res).event(path.event!, message);
        return takenOr(outcome, message.position, {});
      },
    ),
    route(
      'POST',
      `${DEVICE_PREFIX}/streams/{stream}`,
      {
        id: 'openStream',
        tag,
        scope,
        summary: 'Begin or resume a numbered queue; the only way to skip numbers',
        body: z.strictObject({ next: z.int().min(1).describe('The seq that the device would send next') }),
        answers: {
          200: json(streamOpened, 'Go on with `resume`'),
          ...deviceFailures(['malformed_body', 'too_large', 'unsupported_media_type']),
        },
      },
      async ({ api, res, path, body }) => {
        const visit = visitOf(res);
        const { resume, window } = await visit.openStream(path.stream!, body.next);
        const time = Math.round(api.clock.now());
        return { status: 200, body: { resume, time, window, max: visit.maxBytes, device: visit.device } };
      },
    ),
    route('GET', `${DEVICE_PREFIX}/commands`, POLL, ({ api, req, res, query }) => poll(api, req, res, query)),
    route(
      'POST',
      `${DEVICE_PREFIX}/commands/{command}/received`,
      {
        id: 'postReceived',
        tag,
        scope,
        summary: 'The device has received a command',
        answers: {
          204: empty('That is on disk'),
          ...deviceFailures(['unknown_command', 'unsupported_media_type', 'too_large']),
        },
      },
      async ({ res, path }) => {
        mustBeTaken(await visitOf(res).progress(path.command!, { kind: 'received' }));
        return { status: 204 };
      },
    ),
    route(
      'POST',
      `${DEVICE_PREFIX}/commands/{command}/result`,
      {
        id: 'postResult',
        tag,
        scope,
        summary: 'What became of a command',
        body: z.strictObject({ status: z.enum(RESULT_STATUSES), value: z.unknown().optional() }),
        answers: {
          200: json(resultTaken, 'It is on disk; so it was before, when it is a repeat'),
          ...deviceFailures(['unknown_command', 'malformed_body', 'too_large', 'too_deep', 'unsupported_media_type']),
        },
      },
      async ({ res, path, body }) => {
        const { status, value = null } = body;
        mustBeTaken(await visitOf(res).progress(path.command!, { kind: 'result', status, value }));
        return { status: 200, body: { taken: true } };
      },
    ),
    route(
      'DELETE',
      `${DEVICE_PREFIX}/connection`,
      {
        id: 'sayGoodbye',
        tag,
        scope,
        summary: 'The device goes offline now',
        answers: { 204: empty('Its connection has ended, if it had one'), ...deviceFailures([]) },
      },
      ({ res }) => {
        visitOf(res).leave();
        return { status: 204 };
      },
    ),
  ];
}

async function takeTelemetry(req: Request, res: Response, format: string | null): Promise<Reply> {
  const message = messageIn(req);
  const { outcome, readings } = await visitOf(res).telemetry(message, format);
  return takenOr(outcome, message.position, { readings });
}

function messageIn(req: Request): Message {
  return { payload: req.body as Buffer, contentType: req.get('content-type') ?? null, position: positionIn(req) };
}

function takenOr(outcome: Outcome, position: StreamPosition | undefined, more: object): Reply {
  mustBeTaken(outcome);
  const duplicate = outcome.kind === 'stored' && outcome.duplicate;
  return { status: 200, body: { ...more, duplicate, ...(position === undefined ? {} : { ack: position.seq }) } };
}

/** Throws Problem where the outcome is a refusal. */
function mustBeTaken(outcome: Outcome): void {
  if (outcome.kind === 'gap') {
    const { expected } = outcome;
    throw new Problem('gap', `seq ${expected} is expected; go on from there, or open the stream anew`, {
      members: { expected },
    });
  }
  if (outcome.kind === 'rejected') {
    const { code, message, recorded } = outcome;
    throw new Problem(code, message, { members: { recorded } });
  }
}

function poll(api: HubApi, req: Request, res: Response, { wait = 0, cursor }: z.infer<typeof pollQuery>): Reply | null {
  const asStream = req.accepts(['application/json', 'text/event-stream']) === 'text/event-stream';
  const received = decodeCursor((asStream ? req.get('last-event-id') : undefined) ?? cursor ?? '');
  if (received === null) throw new Problem('invalid', 'this cursor was not given out here: leave it out');
  if (req.method === 'HEAD') return { status: 200, ...(asStream ? { headers: STREAM_HEADERS } : {}) };
  // It has gone away while others were served.
  if (res.destroyed) return null;
  const { clock, limits } = api;
  const answer: PollAnswer = asStream ? new EventStream(res, limits) : new OneAnswer(res, clock, limits);
  const terms = asStream
    ? { received, waitMs: STREAM_MS, beatMs: BEAT_MS }
    : { received, waitMs: wait * 1000, beatMs: null };
  const open = visitOf(res).poll(terms, answer);
  const last = asStream ? clock.after(STREAM_MS, () => open.finish()) : null;
  res.on('drain', () => open.drained());
  res.once('close', () => {
    last?.cancel();
    open.closed();
  });
  return null;
}
