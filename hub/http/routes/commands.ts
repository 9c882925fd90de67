import * as z from 'zod';
import type { CommandRow } from '#hub/store/port.js';
import { json } from '../answers.ts';
import { callerKey } from '../callers.ts';
import type { HubApi } from '../deps.ts';
import { found } from '../found.ts';
import { given } from '../given.ts';
import { idempotencyKey, IdempotentReplies } from '../idempotency.ts';
import type { ApiLimits } from '../limits.ts';
import { pageQuery } from '../paging.ts';
import { Problem } from '../problems.ts';
import { COMMAND_NAME } from '#protocols/names.js';
import { route, type Reply, type Route } from '../route.ts';
import { COMMAND_STATES, commandAnswer, commandPage, commandWithHistory } from '../schemas/commands.ts';
import { deeperThan, queryInteger } from '../validate.ts';
import { commandEventJson, commandJson } from '../views.ts';

const name = z
  .string()
  .regex(COMMAND_NAME, 'a command name is 1 to 64 of A-Z a-z 0-9 . _ -')
  // `devices/{id}/commands/{commandId}/result` is the topic of the answer.
  .refine((text) => text !== 'result', 'a command cannot be called "result": that is the topic of its answer');

const tag = 'Commands';
const ofDevice = '/api/v1/devices/{device}/commands';

export function commandRoutes(limits: ApiLimits): readonly Route[] {
  const newCommand = z.strictObject({
    name,
    params: z
      .unknown()
      .refine(
        (value) => !deeperThan(value, limits.maxParamsDepth),
        `nested deeper than ${limits.maxParamsDepth} levels`,
      )
      .describe(`Any JSON, nested at most ${limits.maxParamsDepth} deep; {} when left out`)
      .optional(),
    ttlMs: z.int().min(1).optional().describe('How long it waits for its device'),
    responseTimeoutMs: z.int().min(1).optional().describe('How long the device may take to answer'),
  });
  const waitQuery = z.strictObject({
    wait: queryInteger(0, limits.maxWaitSeconds)
      .optional()
      .describe('Answer when it has ended, or after so many seconds'),
  });
  const listQuery = pageQuery(limits).extend({ state: z.enum(COMMAND_STATES).optional() });
  let kept: IdempotentReplies | null = null;
  const replies = (api: HubApi): IdempotentReplies => (kept ??= new IdempotentReplies(api.clock, limits));
  return [
    route(
      'POST',
      ofDevice,
      {
        id: 'sendCommand',
        tag,
        summary: 'Send a command',
        scope: 'commands',
        body: newCommand,
        query: waitQuery,
        headers: {
          'Idempotency-Key':
            'Made by the client, new for each command: a request that comes again gets the first answer',
        },
        answers: {
          201: json(commandAnswer, 'It is on disk', {
            Location: 'Its path',
            'Idempotency-Replayed': '`true`: this is the answer of an earlier request with this key',
          }),
        },
        problems: ['not_found', 'limit', 'key_reused'],
      },
      ({ api, caller, path, body, query, req }) => {
        const device = path.device!;
        found(api, device);
        const send = (): Promise<Reply> => sent(api, { device, ...body, waitMs: (query.wait ?? 0) * 1000 });
        const key = idempotencyKey(req);
        return key === null ? send() : replies(api).once(callerKey(caller!), key, { device, body }, send);
      },
    ),
    route(
      'GET',
      ofDevice,
      {
        id: 'listCommands',
        tag,
        summary: 'List the commands of a device',
        scope: 'read',
        query: listQuery,
        answers: { 200: json(commandPage, 'A page, newest first') },
        problems: ['not_found'],
      },
      async ({ api, path, query }) => {
        found(api, path.device!);
        const { items, next } = await api.reader.commands(path.device!, {
          state: query.state ?? null,
          after: query.after ?? null,
          limit: query.limit ?? limits.defaultPageItems,
        });
        return { status: 200, body: { items: items.map(commandJson), next } };
      },
    ),
    route(
      'GET',
      '/api/v1/commands/{command}',
      {
        id: 'getCommand',
        tag,
        summary: 'Show a command and its history',
        scope: 'read',
        answers: { 200: json(commandWithHistory, 'The command and its states so far') },
        problems: ['not_found'],
      },
      async ({ api, path }) => {
        const { command, history } = await foundCommand(api, path.command!);
        return { status: 200, body: { command: commandJson(command), history: history.map(commandEventJson) } };
      },
    ),
    route(
      'POST',
      '/api/v1/commands/{command}/cancel',
      {
        id: 'cancelCommand',
        tag,
        summary: 'Cancel a command',
        scope: 'commands',
        body: z.strictObject({}).optional(),
        answers: { 200: json(commandAnswer, 'It will not be delivered') },
        problems: ['not_found', 'conflict'],
      },
      async ({ api, path }) => {
        await foundCommand(api, path.command!);
        return { status: 200, body: { command: commandJson(await api.commands.cancel(path.command!)) } };
      },
    ),
  ];
}

interface NewCommand {
  readonly device: string;
  readonly name: string;
  readonly params?: unknown;
  readonly ttlMs?: number | undefined;
  readonly responseTimeoutMs?: number | undefined;
  readonly waitMs: number;
}

async function sent(api: HubApi, { waitMs, params = {}, ...rest }: NewCommand): Promise<Reply> {
  const { device, name, ...times } = rest;
  const created = await api.commands.create({ device, name, params, ...given(times) });
  const command = waitMs === 0 ? created : await ended(api, created, waitMs);
  const location = `/api/v1/commands/${encodeURIComponent(command.id)}`;
  return { status: 201, body: { command: commandJson(command) }, headers: { location } };
}

/** The command was made: whatever becomes of the wait, the sender must hear of it, or it would be sent twice. */
async function ended(api: HubApi, created: CommandRow, waitMs: number): Promise<CommandRow> {
  try {
    return await api.commands.wait(created.id, waitMs);
  } catch (error) {
    api.log.warn({ err: error, command: created.id }, 'waiting for a command failed');
    return created;
  }
}

async function foundCommand(api: HubApi, id: string) {
  const command = await api.reader.command(id);
  if (command === null) throw new Problem('not_found', `there is no command ${id}`);
  return command;
}
