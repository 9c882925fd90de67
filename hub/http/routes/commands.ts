import * as z from 'zod';
import type { CommandState } from '#hub/store/port.js';
import type { HubApi } from '../deps.ts';
import { found } from '../found.ts';
import type { ApiLimits } from '../limits.ts';
import { Problem } from '../problems.ts';
import { route, type Route } from '../route.ts';
import { cursor, deeperThan, queryInteger } from '../validate.ts';
import { commandEventJson, commandJson } from '../views.ts';

const STATES = [
  'queued',
  'sent',
  'received',
  'succeeded',
  'failed',
  'rejected',
  'expired',
  'cancelled',
  'timed_out',
] as const satisfies readonly CommandState[];

const name = z
  .string()
  .regex(/^[A-Za-z0-9._-]{1,64}$/, 'a command name is 1 to 64 of A-Z a-z 0-9 . _ -')
  // `devices/{id}/commands/{commandId}/result` is the topic of the answer.
  .refine((text) => text !== 'result', 'a command cannot be called "result": that is the topic of its answer');

export function commandRoutes(limits: ApiLimits): readonly Route[] {
  const newCommand = z.strictObject({
    name,
    params: z
      .unknown()
      .refine(
        (value) => !deeperThan(value, limits.maxParamsDepth),
        `nested deeper than ${limits.maxParamsDepth} levels`,
      )
      .optional(),
    ttlMs: z.int().min(1).optional(),
    responseTimeoutMs: z.int().min(1).optional(),
  });
  const waitQuery = z.strictObject({ wait: queryInteger(0, limits.maxWaitSeconds).optional() });
  const listQuery = z.strictObject({
    state: z.enum(STATES).optional(),
    after: cursor.optional(),
    limit: queryInteger(1, limits.maxPageItems).optional(),
  });
  const ofDevice = '/api/v1/devices/{device}/commands';
  return [
    route(
      'POST',
      ofDevice,
      'Send a command',
      { body: newCommand, query: waitQuery },
      async ({ api, path, body, query }) => {
        found(api, path.device!);
        const { name, params = {}, ttlMs, responseTimeoutMs } = body;
        const created = await api.commands.create({
          device: path.device!,
          name,
          params,
          ...(ttlMs === undefined ? {} : { ttlMs }),
          ...(responseTimeoutMs === undefined ? {} : { responseTimeoutMs }),
        });
        const waitMs = (query.wait ?? 0) * 1000;
        const command = waitMs === 0 ? created : await api.commands.wait(created.id, waitMs);
        const location = `/api/v1/commands/${encodeURIComponent(command.id)}`;
        return { status: 201, body: { command: commandJson(command) }, headers: { location } };
      },
    ),
    route('GET', ofDevice, 'List the commands of a device', { query: listQuery }, async ({ api, path, query }) => {
      found(api, path.device!);
      const { items, next } = await api.reader.commands(path.device!, {
        state: query.state ?? null,
        after: query.after ?? null,
        limit: query.limit ?? limits.defaultPageItems,
      });
      return { status: 200, body: { items: items.map(commandJson), next } };
    }),
    route('GET', '/api/v1/commands/{command}', 'Show a command and its history', {}, async ({ api, path }) => {
      const { command, history } = await foundCommand(api, path.command!);
      return { status: 200, body: { command: commandJson(command), history: history.map(commandEventJson) } };
    }),
    route(
      'POST',
      '/api/v1/commands/{command}/cancel',
      'Cancel a command',
      { body: z.strictObject({}).optional() },
      async (call) => {
        await foundCommand(call.api, call.path.command!);
        return { status: 200, body: { command: commandJson(await call.api.commands.cancel(call.path.command!)) } };
      },
    ),
  ];
}

async function foundCommand(api: HubApi, id: string) {
  const command = await api.reader.command(id);
  if (command === null) throw new Problem('not_found', `there is no command ${id}`);
  return command;
}
