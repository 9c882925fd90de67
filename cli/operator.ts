import { Argument, Option, type Command } from 'commander';
import type { Role } from '#hub/fleet/scopes.js';
import type { Client } from './client.ts';
import { clientCommand, clientOf, type CommonOptions } from './client-command.ts';
import { print, printJson, type CliIo } from './io.ts';
import { table } from './table.ts';

const ROLES = ['viewer', 'operator', 'admin'] as const satisfies readonly Role[];

interface Operator {
  readonly name: string;
  readonly role: Role;
  readonly disabled: boolean;
  readonly created: string;
}

export function addOperatorCommands(program: Command, io: CliIo): void {
  const operator = program.command('operator').description('people who may sign in, their roles and sign-in links');
  addAdd(operator, io);
  addList(operator, io);
  clientCommand(operator.command('link <name>'))
    .description('print a one-time sign-in link, for a new operator or a forgotten password')
    .action(async (name: string, options: CommonOptions) => {
      const link = await newLink(clientOf(options, io), name);
      if (options.json) printJson(io, { name, link });
      else printLink(io, link);
    });
  addChange(operator, io, 'disable', { disabled: true }, 'sign an operator out and keep the operator out');
  addChange(operator, io, 'enable', { disabled: false }, 'let a disabled operator sign in again');
  clientCommand(operator.command('role'))
    .argument('<name>')
    .addArgument(new Argument('<role>').choices(ROLES))
    .description('give an operator another role')
    .action(async (name: string, role: Role, options: CommonOptions) => {
      report(await change(clientOf(options, io), name, { role }), options, io);
    });
  clientCommand(operator.command('rm <name>'))
    .description('delete an operator and all sign-ins of that operator')
    .action(async (name: string, options: CommonOptions) => {
      await clientOf(options, io).call('DELETE', pathOf(name));
      if (options.json) printJson(io, { deleted: name });
      else print(io, `operator ${name} is deleted`);
    });
}

function addAdd(operator: Command, io: CliIo): void {
  clientCommand(operator.command('add <name>'))
    .description('add an operator and print a one-time sign-in link')
    .addOption(
      new Option('--role <role>', 'viewers look, operators also send commands and change devices, admins do all')
        .choices(ROLES)
        .default('viewer'),
    )
    .action(async (name: string, options: CommonOptions & { role: Role }) => {
      const client = clientOf(options, io);
      const added = await client.call<{ link: string }>('POST', '/operators', { name, role: options.role });
      const link = await client.urlOf(added.link);
      if (options.json) {
        printJson(io, { name, role: options.role, link });
        return;
      }
      print(io, `operator ${name} is added as ${options.role}`);
      printLink(io, link);
    });
}

function addList(operator: Command, io: CliIo): void {
  clientCommand(operator.command('list'))
    .description('list operators by name')
    .action(async (options: CommonOptions) => {
      const operators = await clientOf(options, io).all<Operator>('/operators', {}, Infinity);
      if (options.json) {
        printJson(io, operators);
        return;
      }
      const rows = operators.map((o) => [o.name, o.role, o.disabled ? 'disabled' : 'enabled', o.created]);
      print(io, table(['OPERATOR', 'ROLE', 'STATE', 'CREATED'], rows));
    });
}

function addChange(operator: Command, io: CliIo, word: string, what: object, description: string): void {
  clientCommand(operator.command(`${word} <name>`))
    .description(description)
    .action(async (name: string, options: CommonOptions) => {
      report(await change(clientOf(options, io), name, what), options, io);
    });
}

function change(client: Client, name: string, what: object): Promise<Operator> {
  return client.call('PATCH', pathOf(name), what);
}

function report(operator: Operator, options: CommonOptions, io: CliIo): void {
  if (options.json) printJson(io, operator);
  else print(io, `operator ${operator.name} is ${operator.disabled ? 'disabled' : 'enabled'}, role ${operator.role}`);
}

async function newLink(client: Client, name: string): Promise<string> {
  const { link } = await client.call<{ link: string }>('POST', `${pathOf(name)}/link`);
  return client.urlOf(link);
}

function printLink(io: CliIo, link: string): void {
  print(io, `sign-in link (works once, for a day): ${link}`);
}

function pathOf(name: string): string {
  return `/operators/${encodeURIComponent(name)}`;
}
