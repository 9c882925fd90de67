import * as z from 'zod';
import { instant, ms, next, pageOf, wholeNumber } from './common.ts';
import { named } from './named.ts';

export const connection = named(
  'Connection',
  z.object({
    id: z.string(),
    principal: z
      .object({
        kind: z.enum(['device', 'application']),
        id: z.string(),
        anonymous: z.boolean(),
        keyId: z.string().optional().describe('Of the token that it showed'),
      })
      .nullable()
      .describe('Null until it has identified itself'),
    clientId: z.string().nullable(),
    epoch: wholeNumber,
    subprotocol: z.string(),
    address: z.string(),
    path: z.string(),
    connectedMs: ms,
    connected: instant,
    lastByteMs: ms,
    lastByte: instant,
    messagesIn: wholeNumber,
    messagesOut: wholeNumber,
    bytesIn: wholeNumber,
    bytesOut: wholeNumber,
    queuedBytes: wholeNumber,
    dropped: wholeNumber,
    paused: z.boolean(),
    description: z.record(z.string(), z.string()).readonly(),
  }),
);

export const connectionPage = pageOf('ConnectionPage', connection);

const REFUSAL_CODES = [
  'no_subprotocol',
  'unknown_subprotocol',
  'malformed_subprotocol',
  'protocol_not_allowed',
  'bad_credentials',
  'credentials_contradict',
  'device_disabled',
  'unknown_path',
  'not_websocket',
  'origin_not_allowed',
  'too_many_connections',
  'too_many_from_address',
  'too_many_unidentified',
  'tls_failed',
  'bad_proxy_header',
  'shutting_down',
] as const;

export const refusalCode = named('RefusalCode', z.enum(REFUSAL_CODES));

export const refused = named(
  'RefusedHandshake',
  z.object({
    timeMs: ms,
    time: instant,
    address: z.string(),
    path: z.string(),
    offered: z.string().nullable().describe('`Sec-WebSocket-Protocol` as it came; null: the header was missing'),
    userAgent: z.string().nullable(),
    code: refusalCode,
    status: wholeNumber,
    title: z.string().describe('What the code means'),
    detail: z.string(),
    advice: z.string().describe('What to change in the client, for people; code stands between backticks'),
  }),
);

export const refusedPage = named(
  'RefusedPage',
  z.object({
    items: z.array(refused),
    next,
    counts: z.partialRecord(refusalCode, wholeNumber).readonly().describe('All since the start of the hub, by code'),
  }),
);
