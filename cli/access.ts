import { Argument, type Command } from 'commander';
import type { NamedOption } from '#hub/config.js';
import type { Verdict } from '#hub/fleet/access.js';
import type { TopicRules } from '#hub/fleet/scopes.js';
import type { Principal } from '#protocols/principal.js';
import { commaList } from './client-command.ts';
import { configFileOption, loadConfig } from './hub-config.ts';
import { addHubOptions, givenFlags } from './hub-options.ts';
import { CliError, print, printJson, type CliIo, type ExitCode } from './io.ts';

/** Options of the hub that decide who may use which topic. */
const POLICY = new Set(['devicePublish', 'deviceSubscribe', 'denySubscribe']);

interface CheckOptions extends Record<string, unknown> {
  readonly config?: string;
  readonly json?: boolean;
  readonly publish?: readonly string[];
  readonly subscribe?: readonly string[];
}

export function addAccessCommands(
  program: Command,
  options: readonly NamedOption[] | null,
  io: CliIo,
  ended: (code: ExitCode) => void,
): void {
  const access = program.command('access').description('who may use which topic');
  const command = access
    .command('check <who>')
    .description('ask the rules of the configuration, without a hub: may this client publish or subscribe?')
    .addArgument(new Argument('<action>').choices(['publish', 'subscribe']))
    .argument('<topic>', 'topic, or filter to subscribe to');
  if (options === null) return;
  configFileOption(command)
    .option(
      '--publish <filters>',
      'application: the publish rules of its token (default: none, it may everything)',
      commaList,
    )
    .option('--subscribe <filters>', 'application: the subscribe rules of its token', commaList)
    .option('--json', 'as JSON, for programs')
    .addHelpText('after', '\n<who> is device:ID, application, anonymous (no client id) or anonymous:CLIENT-ID.')
    .addHelpText('after', '\nExit code: 0 allowed; 1 refused.');
  const policy = options.filter(({ key }) => POLICY.has(key));
  addHubOptions(command, policy).action(
    async (who: string, action: 'publish' | 'subscribe', topic: string, values: CheckOptions) => {
      const { config } = await loadConfig(givenFlags(policy, values), values.config, io);
      const { TopicAccess } = await import('#hub/fleet/access.js');
      const principal = await principalOf(who);
      const asked = await realTopic(topic, action, principal);
      const rules = await rulesOf(values, principal);
      const verdict = new TopicAccess(config)[action](principal, asked, rules);
      if (values.json === true) printJson(io, { who, action, topic, ...verdict });
      else print(io, words(who, action, topic, verdict));
      ended(verdict.allowed ? 0 : 1);
    },
  );
}

function words(who: string, action: string, topic: string, { allowed, why }: Verdict): string {
  return `${who} ${allowed ? 'may' : 'may not'} ${action} ${action === 'publish' ? 'on' : 'to'} ${topic}: ${why}`;
}

async function principalOf(who: string): Promise<Principal> {
  const { isDeviceId } = await import('#protocols/principal.js');
  const colon = who.indexOf(':');
  const [kind, id] = colon < 0 ? [who, null] : [who.slice(0, colon), who.slice(colon + 1)];
  if (kind === 'device' && id !== null) {
    if (!isDeviceId(id)) throw new CliError(`${id} is no device id: letters, digits and . _ : -, at most 128`);
    return { kind: 'device', id, anonymous: false };
  }
  if (kind === 'application' && id === null) return { kind: 'application', id: 'application', anonymous: false };
  if (kind === 'anonymous' && id !== null && isDeviceId(id)) return { kind: 'device', id, anonymous: true };
  if (kind === 'anonymous') return { kind: 'application', id: 'anonymous', anonymous: true };
  throw new CliError(`${who} is nobody: give device:ID, application, anonymous or anonymous:CLIENT-ID`);
}

/** Valid, with `me` written out and without a share name. Throws CliError. */
async function realTopic(topic: string, action: 'publish' | 'subscribe', principal: Principal): Promise<string> {
  const { isTopicFilter, isTopicName, resolveMe } = await import('#protocols/topics.js');
  if (action === 'publish') {
    if (!isTopicName(topic)) throw new CliError(`${topic} is no topic to publish on: wildcards are for filters`);
  } else if (!isTopicFilter(topic)) {
    throw new CliError(`${topic} is no topic filter: + stands alone in a level, # alone in the last one`);
  }
  const shared = action === 'subscribe' ? /^\$share\/[^/+#]+\/(.+)$/s.exec(topic) : null;
  const filter = shared === null ? topic : shared[1]!;
  return principal.kind === 'device' ? resolveMe(filter, principal.id) : filter;
}

async function rulesOf({ publish, subscribe }: CheckOptions, principal: Principal): Promise<TopicRules | null> {
  if (publish === undefined && subscribe === undefined) return null;
  if (principal.kind !== 'application' || principal.anonymous) {
    throw new CliError('--publish and --subscribe are the rules of an application’s token: ask for `application`');
  }
  const { faultOfRules } = await import('#hub/fleet/scopes.js');
  const rules = { publish: publish ?? [], subscribe: subscribe ?? [] };
  const fault = faultOfRules(rules);
  if (fault !== null) throw new CliError(fault);
  return rules;
}
