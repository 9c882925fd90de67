import type { Principal } from '#protocols/principal.js';
import { REPLY_ROOT } from '#protocols/queues.js';
import { matchesFilter, topicMeaning } from '#protocols/topics.js';
import { covers, type TopicRules } from './scopes.ts';

/** What the configuration opens and closes. `{id}` in a device's filters stands for its id. */
export interface AccessPolicy {
  /** Topics and filters of devices besides their own tree. */
  readonly devicePublish: readonly string[];
  readonly deviceSubscribe: readonly string[];
  /** Filters that anonymous clients may not subscribe to, nor to anything narrower. */
  readonly denySubscribe: readonly string[];
}

export interface Verdict {
  readonly allowed: boolean;
  /** For whoever tests a rule set: what decided. */
  readonly why: string;
}

/**
 * Who may use which topic. A device: its own tree and what the policy opens to devices. An application: everything, or what the rules of its
 * token name and nothing else. Anonymous mode: whoever connects, any topic and filter but the denied ones. Topics and
 * filters have `me` written out; of a shared subscription the filter behind the share name.
 *
 * Whether a device exists is not asked here.
 */
export class TopicAccess {
  readonly #policy: AccessPolicy;

  constructor(policy: AccessPolicy) {
    this.#policy = policy;
  }

  /** `rules`: of an application's token; null: none. They take away, and never give. */
  publish(principal: Principal, topic: string, rules: TopicRules | null): Verdict {
    // Its name cannot be guessed: whoever knows it was asked for an answer.
    if (topic.startsWith(REPLY_ROOT)) return allowed('an answer may be sent by whoever was given its address');
    const meaning = topicMeaning(topic);
    if (meaning.kind === 'reserved') return refused('the hub keeps this topic for itself');
    if (rules !== null) {
      const rule = rules.publish.find((filter) => matchesFilter(filter, topic));
      return rule === undefined ? refused('no publish rule of the token matches') : allowed(`publish rule ${rule}`);
    }
    if (principal.anonymous) return allowed('anonymous mode opens every topic');
    if (principal.kind === 'application') return allowed('an application without rules may use every topic');
    if (meaning.kind !== 'free') {
      return meaning.device === principal.id || meaning.device === null
        ? allowed('its own tree')
        : refused('the tree of another device');
    }
    const pattern = this.#policy.devicePublish.find((filter) => matchesFilter(of(filter, principal), topic));
    return pattern === undefined
      ? refused('a device publishes under its own tree, and devicePublish opens nothing that matches')
      : allowed(`devicePublish ${pattern}`);
  }

  subscribe(principal: Principal, filter: string, rules: TopicRules | null): Verdict {
    // A filter behind a share name is given without it, so this one is misplaced.
    if (filter === '$share' || filter.startsWith('$share/')) return refused('$share is no topic');
    if (rules !== null) {
      const rule = rules.subscribe.find((given) => covers(given, filter));
      return rule === undefined
        ? refused('no subscribe rule of the token covers all of it')
        : allowed(`subscribe rule ${rule}`);
    }
    if (principal.anonymous) {
      const denied = this.#policy.denySubscribe.find((given) => covers(given, filter));
      return denied === undefined ? allowed('anonymous mode opens every filter') : refused(`denySubscribe ${denied}`);
    }
    if (principal.kind === 'application') return allowed('an application without rules may use every filter');
    if (filter.startsWith(`devices/${principal.id}/`)) return allowed('its own tree');
    const pattern = this.#policy.deviceSubscribe.find((given) => covers(of(given, principal), filter));
    return pattern === undefined
      ? refused('a device subscribes under its own tree, and no deviceSubscribe covers all of it')
      : allowed(`deviceSubscribe ${pattern}`);
  }
}

function of(pattern: string, device: Principal): string {
  return pattern.replaceAll('{id}', device.id);
}

function allowed(why: string): Verdict {
  return { allowed: true, why };
}

function refused(why: string): Verdict {
  return { allowed: false, why };
}
