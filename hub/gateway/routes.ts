import type { RejectCode } from '#protocols/errors.js';
import type { Principal } from '#protocols/principal.js';
import { isQueueTopic } from '#protocols/queues.js';
import { resolveMe, topicMeaning, type TopicMeaning } from '#protocols/topics.js';
import type { TopicAccess } from '#hub/fleet/access.js';
import type { DeviceLookup } from '#hub/fleet/identity.js';
import type { TopicRules } from '#hub/fleet/scopes.js';

/** A topic name as one client's messages on it are treated. */
export interface Route {
  readonly written: string;
  readonly topic: string;
  readonly meaning: TopicMeaning;
  /** Whose readings, events or results they are; null on free and reserved topics. */
  readonly device: string | null;
  /** It is the topic of a queue. */
  readonly isQueue: boolean;
  /** Why such a message is not taken, or null. */
  readonly refused: RejectCode | null;
}

/** What the topics of one client mean, and whether it may publish on them. */
export class Routes {
  readonly #principal: Principal;
  readonly #rules: TopicRules | null;
  readonly #access: TopicAccess;
  readonly #devices: DeviceLookup;
  /** Devices publish on one topic, mostly. */
  #last: Route | null = null;

  constructor(principal: Principal, rules: TopicRules | null, access: TopicAccess, devices: DeviceLookup) {
    this.#principal = principal;
    this.#rules = rules;
    this.#access = access;
    this.#devices = devices;
  }

  /** Hot path. */
  of(written: string): Route {
    const last = this.#last;
    if (last?.written === written) return last;
    const meaning = topicMeaning(written);
    const named = meaning.kind === 'free' || meaning.kind === 'reserved' ? null : meaning.device;
    const own = this.#principal.kind === 'device' ? this.#principal.id : null;
    const device = meaning.kind === 'free' || meaning.kind === 'reserved' ? null : (named ?? own);
    const topic = own === null ? written : resolveMe(written, own);
    const { allowed } = this.#access.publish(this.#principal, topic, this.#rules);
    const refused = allowed ? this.#refusal(meaning, device) : 'topic_not_allowed';
    const isQueue = meaning.kind === 'free' && isQueueTopic(topic);
    const route: Route = { written, topic, meaning, device, isQueue, refused };
    // A device that was unknown may exist the next time.
    this.#last = route.refused === null && device === own ? route : null;
    return route;
  }

  #refusal(meaning: TopicMeaning, device: string | null): RejectCode | null {
    if (meaning.kind === 'free') return null;
    // `me` means nothing to an application.
    if (meaning.kind === 'reserved' || device === null) return 'topic_not_allowed';
    return this.#devices.row(device) === undefined ? 'unknown_device' : null;
  }
}
