import * as z from 'zod';
import { json, type Answer, type Answers } from '../answers.ts';
import { PROBLEMS, type AnyProblemCode, type ProblemCode } from '../problems.ts';
import { wholeNumber } from '../schemas/common.ts';
import { named } from '../schemas/named.ts';
import { DEVICE_PROBLEMS, type DeviceProblemCode } from './problems.ts';

const codes = [...Object.keys(PROBLEMS), ...Object.keys(DEVICE_PROBLEMS)] as [AnyProblemCode, ...AnyProblemCode[]];

export const deviceProblem = named(
  'DeviceProblem',
  z
    .object({
      type: z.string(),
      title: z.string(),
      status: z.int(),
      code: z.enum(codes),
      detail: z.string(),
      errors: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
      recorded: z
        .boolean()
        .optional()
        .describe('It stands in the rejected list and has used up its seq: do not send it again'),
      expected: wholeNumber.optional().describe('With `gap`: the seq that fits'),
    })
    .describe('Why a request of a device failed (RFC 9457)'),
);

const ack = wholeNumber
  .optional()
  .describe('The seq, when the request had one: everything up to it is decided on disk');
const duplicate = z.boolean().describe('This seq was stored before, and nothing was stored now');

export const telemetryTaken = named(
  'TelemetryTaken',
  z.object({ readings: wholeNumber.describe('That the payload held'), duplicate, ack }),
);

export const eventTaken = named('EventTaken', z.object({ duplicate, ack }));

export const streamOpened = named(
  'StreamOpened',
  z.object({
    resume: wholeNumber.describe('The seq at which the device goes on'),
    time: wholeNumber.describe('The clock of the hub, milliseconds since 1970'),
    window: wholeNumber.describe('Messages that may be under way at once'),
    max: wholeNumber.describe('Bytes of the largest message'),
    device: z.string(),
  }),
);

export const polled = named(
  'PolledCommands',
  z.object({
    commands: z.array(
      z.object({
        id: z.string(),
        name: z.string(),
        params: z.unknown(),
        deadline: wholeNumber.describe('When it expires unless it is received, milliseconds since 1970'),
      }),
    ),
    cursor: z.string().describe('Give it back in the next poll: it says that this answer was received'),
    time: wholeNumber.describe('The clock of the hub, milliseconds since 1970'),
  }),
);

export const resultTaken = named('ResultTaken', z.object({ taken: z.literal(true) }));

const RETRY = { 'Retry-After': 'Seconds to wait' };
const HEADERS: Readonly<Record<number, Readonly<Record<string, string>>>> = {
  401: { 'WWW-Authenticate': 'How to authenticate' },
  429: RETRY,
  503: RETRY,
};

/** How every request of a device can fail. */
const ALWAYS: readonly AnyProblemCode[] = [
  'invalid',
  'malformed_url',
  'credentials_contradict',
  'client_id_refused',
  'bad_credentials',
  'credentials_required',
  'device_deleted',
  'not_authorized',
  'origin_not_allowed',
  'protocol_not_allowed',
  'device_disabled',
  'registration_limit',
  'too_many_from_address',
  'slow_down',
  'internal',
  'too_many_connections',
  'overloaded',
  'store_unavailable',
  'shutting_down',
  'unavailable',
];

/** These failures besides those of every request; those with the same status share an answer. */
export function deviceFailures(codes: readonly AnyProblemCode[]): Answers {
  const byStatus = new Map<number, string[]>();
  for (const code of new Set([...ALWAYS, ...codes])) {
    const { status, title } = known(code);
    byStatus.set(status, [...(byStatus.get(status) ?? []), `\`${code}\`: ${title}`]);
  }
  const answers = [...byStatus].map(([status, lines]): [number, Answer] => [
    status,
    json(deviceProblem, lines.join('; '), HEADERS[status], 'application/problem+json'),
  ]);
  return Object.fromEntries(answers);
}

function known(code: AnyProblemCode): { readonly status: number; readonly title: string } {
  return code in PROBLEMS ? PROBLEMS[code as ProblemCode] : DEVICE_PROBLEMS[code as DeviceProblemCode];
}
