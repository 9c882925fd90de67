import type { Command } from 'commander';
import { clientCommand, clientOf, commaList, positive, type CommonOptions } from './client-command.ts';
import { print, printJson, type CliIo } from './io.ts';
import { fields, table } from './table.ts';

/** A device as `GET /api/v1/devices/{device}` shows it; what is printed of it. */
interface Device {
  readonly id: string;
  readonly name: string | null;
  readonly protocols: readonly string[] | null;
  readonly disabled: boolean;
  readonly created: string;
  readonly presence: {
    readonly online: boolean;
    readonly epoch: number;
    readonly protocol: string | null;
    readonly connected: string | null;
    readonly disconnected: string | null;
    readonly reasonText: string | null;
  };
}

interface DeviceToken {
  readonly keyId: string;
  readonly created: string;
}

export function addDeviceCommands(program: Command, io: CliIo): void {
  const device = program
    .command('device')
    .description('register, list, show and remove devices, and manage their tokens');
  addAdd(device, io);
  addList(device, io);
  addShow(device, io);
  addSwitch(device, io, 'disable', true, 'close the connection of a device and keep it out; its data stay');
  addSwitch(device, io, 'enable', false, 'let a disabled device connect again');
  addRemove(device, io);
  addTokens(device, io);
}

function addAdd(device: Command, io: CliIo): void {
  clientCommand(device.command('add <device>'))
    .description('register a device and print its first token')
    .option('--name <name>', 'name for people')
    .option('--protocols <list>', 'protocols it may use, of mqtt,stomp,cbor,http (default: all)', commaList)
    .action(async (id: string, options: CommonOptions & { name?: string; protocols?: string[] }) => {
      const { name, protocols } = options;
      const answer = await clientOf(options, io).call<{ token: string }>('POST', '/devices', { id, name, protocols });
      if (options.json) {
        printJson(io, answer);
        return;
      }
      print(io, `device ${id} is registered`);
      print(io, `token (shown once): ${answer.token}`);
    });
}

function addList(device: Command, io: CliIo): void {
  clientCommand(device.command('list'))
    .description('list devices by id')
    .option('--prefix <text>', 'only ids that begin so')
    .option('--online', 'only those that are connected')
    .option('--offline', 'only those that are not')
    .option('--limit <n>', 'at most so many', positive, Infinity)
    .action(
      async (options: CommonOptions & { prefix?: string; online?: boolean; offline?: boolean; limit: number }) => {
        const query: Record<string, string> = {};
        if (options.prefix !== undefined) query.prefix = options.prefix;
        if (options.online) query.online = 'true';
        else if (options.offline) query.online = 'false';
        const devices = await clientOf(options, io).all<Device>('/devices', query, options.limit);
        if (options.json) {
          printJson(io, devices);
          return;
        }
        if (devices.length === 0) {
          print(io, 'no devices; register one with `muster device add ID`');
          return;
        }
        const head = ['DEVICE', 'STATE', 'PROTOCOL', 'SINCE', 'NAME'];
        print(
          io,
          table(
            head,
            devices.map((d) => [d.id, stateOf(d), d.presence.protocol ?? '-', since(d), d.name ?? '']),
          ),
        );
      },
    );
}

function addShow(device: Command, io: CliIo): void {
  clientCommand(device.command('show <device>'))
    .description('show one device')
    .action(async (id: string, options: CommonOptions) => {
      const d = await clientOf(options, io).call<Device>('GET', pathOf(id));
      if (options.json) {
        printJson(io, d);
        return;
      }
      const { presence } = d;
      print(
        io,
        fields([
          ['device', d.id],
          ['name', d.name ?? '-'],
          ['state', stateOf(d)],
          ['protocols', d.protocols?.join(', ') ?? 'all'],
          ['created', d.created],
          [
            'connection',
            presence.epoch === 0 ? 'never connected' : `${presence.protocol ?? '?'}, number ${presence.epoch}`,
          ],
          ['connected', presence.connected ?? '-'],
          ['disconnected', presence.disconnected ?? '-'],
          ['because', presence.reasonText ?? '-'],
        ]),
      );
    });
}

function addRemove(device: Command, io: CliIo): void {
  clientCommand(device.command('rm <device>'))
    .description('delete a device: its tokens end, its connection is closed, its readings stay')
    .action(async (id: string, options: CommonOptions) => {
      await clientOf(options, io).call('DELETE', pathOf(id));
      if (options.json) printJson(io, { deleted: id });
      else print(io, `device ${id} is deleted`);
    });
}

function addSwitch(device: Command, io: CliIo, word: string, disabled: boolean, description: string): void {
  clientCommand(device.command(`${word} <device>`))
    .description(description)
    .action(async (id: string, options: CommonOptions) => {
      const changed = await clientOf(options, io).call<Device>('PATCH', pathOf(id), { disabled });
      if (options.json) printJson(io, changed);
      else print(io, `device ${id} is ${disabled ? 'disabled' : 'enabled'}`);
    });
}

function addTokens(device: Command, io: CliIo): void {
  const token = device.command('token').description('tokens of a device; each is shown once');
  clientCommand(token.command('create <device>'))
    .description('print another token for a device; the older ones stay valid')
    .action(async (id: string, options: CommonOptions) => {
      const answer = await clientOf(options, io).call<{ token: string }>('POST', `${pathOf(id)}/tokens`);
      if (options.json) printJson(io, answer);
      else print(io, `token (shown once): ${answer.token}`);
    });
  clientCommand(token.command('list <device>'))
    .description('list the key ids of a device')
    .action(async (id: string, options: CommonOptions) => {
      const items = await clientOf(options, io).all<DeviceToken>(`${pathOf(id)}/tokens`, {}, Infinity);
      if (options.json) printJson(io, items);
      else if (items.length === 0) print(io, `${id} has no token; \`muster device token create ${id}\` makes one`);
      else
        print(
          io,
          table(
            ['KEY', 'CREATED'],
            items.map((item) => [item.keyId, item.created]),
          ),
        );
    });
  clientCommand(token.command('revoke <device> <key>'))
    .description('revoke a token by its key id (the part between the underscores)')
    .action(async (id: string, key: string, options: CommonOptions) => {
      await clientOf(options, io).call('DELETE', `${pathOf(id)}/tokens/${encodeURIComponent(key)}`);
      if (options.json) printJson(io, { revoked: key });
      else print(io, `token ${key} of ${id} is revoked`);
    });
}

function pathOf(id: string): string {
  return `/devices/${encodeURIComponent(id)}`;
}

function stateOf({ disabled, presence }: Device): string {
  return disabled ? 'disabled' : presence.online ? 'online' : presence.epoch === 0 ? 'new' : 'offline';
}

function since({ presence }: Device): string {
  return (presence.online ? presence.connected : presence.disconnected) ?? '-';
}
