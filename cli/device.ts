import { InvalidArgumentError, type Command } from 'commander';
import { clientCommand, clientOf, type CommonOptions } from './client-command.ts';
import { print, printJson, type CliIo } from './io.ts';
import { table } from './table.ts';

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

export function addDeviceCommands(program: Command, io: CliIo): void {
  const device = program
    .command('device')
    .description('register, list, show and remove devices, and manage their tokens');
  addAdd(device, io);
  addList(device, io);
  addShow(device, io);
  addRemove(device, io);
  addToken(device, io);
}

function addAdd(device: Command, io: CliIo): void {
  clientCommand(device.command('add <device>'))
    .description('register a device and print its first token')
    .option('--name <name>', 'name for people')
    .option('--protocols <list>', 'protocols it may use, such as mqtt,cbor (default: all)', commaList)
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
      const d = await clientOf(options, io).call<Device>('GET', `/devices/${encodeURIComponent(id)}`);
      if (options.json) {
        printJson(io, d);
        return;
      }
      const rows = [
        ['device', d.id],
        ['name', d.name ?? '-'],
        ['state', stateOf(d)],
        ['protocols', d.protocols?.join(', ') ?? 'all'],
        ['created', d.created],
        [
          'connection',
          d.presence.epoch === 0 ? 'never connected' : `${d.presence.protocol ?? '?'}, number ${d.presence.epoch}`,
        ],
        ['connected', d.presence.connected ?? '-'],
        ['disconnected', d.presence.disconnected ?? '-'],
        ['because', d.presence.reasonText ?? '-'],
      ];
      print(io, rows.map(([label, value]) => `${label!.padEnd(13)} ${value!}`).join('\n'));
    });
}

function addRemove(device: Command, io: CliIo): void {
  clientCommand(device.command('rm <device>'))
    .description('delete a device: its tokens end, its connection is closed, its readings stay')
    .action(async (id: string, options: CommonOptions) => {
      await clientOf(options, io).call('DELETE', `/devices/${encodeURIComponent(id)}`);
      if (options.json) printJson(io, { deleted: id });
      else print(io, `device ${id} is deleted`);
    });
}

function addToken(device: Command, io: CliIo): void {
  clientCommand(device.command('token <device>'))
    .description('print another token for a device; the older ones stay valid')
    .option('--list', 'list the key ids instead')
    .option('--revoke <key>', 'revoke the token with this key id instead (the part between the underscores)')
    .action(async (id: string, options: CommonOptions & { list?: boolean; revoke?: string }) => {
      const client = clientOf(options, io);
      const path = `/devices/${encodeURIComponent(id)}/tokens`;
      if (options.revoke !== undefined) {
        await client.call('DELETE', `${path}/${encodeURIComponent(options.revoke)}`);
        if (options.json) printJson(io, { revoked: options.revoke });
        else print(io, `token ${options.revoke} of ${id} is revoked`);
      } else if (options.list) {
        const { items } = await client.call<{ items: { keyId: string; created: string }[] }>('GET', path);
        if (options.json) printJson(io, items);
        else
          print(
            io,
            table(
              ['KEY', 'CREATED'],
              items.map((item) => [item.keyId, item.created]),
            ),
          );
      } else {
        const answer = await client.call<{ token: string }>('POST', path);
        if (options.json) printJson(io, answer);
        else print(io, `token (shown once): ${answer.token}`);
      }
    });
}

function stateOf({ disabled, presence }: Device): string {
  return disabled ? 'disabled' : presence.online ? 'online' : presence.epoch === 0 ? 'new' : 'offline';
}

function since({ presence }: Device): string {
  return (presence.online ? presence.connected : presence.disconnected) ?? '-';
}

function commaList(text: string): string[] {
  return text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
}

function positive(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError('It must be a whole number above 0.');
  return Number(text);
}
