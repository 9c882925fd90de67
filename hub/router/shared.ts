import type { Qos, RoutedMessage, Subscription } from '#protocols/message.js';
import { lowerQos } from './live.ts';
import type { Audience, Subscriber } from './port.ts';

/** A subscription as a member of its share group. */
export interface Member {
  readonly subscriber: Subscriber;
  /** Replaced when the client subscribes again. */
  subscription: Subscription;
}

/** What one member is to be given. */
export interface Turn {
  readonly member: Member;
  readonly qos: Qos;
  readonly audience: Audience;
}

/** Rank of a member that takes a message at once. */
const READY = 0;

/** Subscriptions of the same share name and filter (MQTT 5.0, 4.8.2): one of them gets each message. */
export class ShareGroup {
  readonly name: string;
  readonly #members: Member[] = [];
  /** Whose turn is next. */
  #next = 0;
  /** Messages that were given away for `kept`, and come again for `live`. */
  readonly #given = new WeakSet<RoutedMessage>();

  constructor(name: string) {
    this.name = name;
  }

  get size(): number {
    return this.#members.length;
  }

  add(member: Member): void {
    this.#members.push(member);
  }

  /** Removes a member that is in the group. The turn stays with whom it is. */
  delete(member: Member): void {
    const at = this.#members.indexOf(member);
    this.#members.splice(at, 1);
    if (at < this.#next) this.#next--;
    if (this.#next >= this.#members.length) this.#next = 0;
  }

  /**
   * Who gets this message; null: nobody now. A message that comes for `kept` and then for `live` goes to one member in all: at the first time when
   * the one whose turn it is writes it to its queue, else at the second.
   */
  take(message: RoutedMessage, audience: Audience): Turn | null {
    if (audience === 'live' && this.#given.delete(message)) return null;
    const at = this.#pick(message.qos);
    const member = this.#members[at];
    if (member === undefined) return null;
    const qos = lowerQos(message.qos, member.subscription.qos);
    const keeps = qos > 0 && member.subscriber.keeps;
    if (audience === 'kept') {
      if (!keeps) return null;
      this.#given.add(message);
    }
    this.#next = (at + 1) % this.#members.length;
    // Sessions that last leave what is for `live` alone: this one came to its turn since the message was kept.
    return { member, qos, audience: audience === 'live' && keeps ? 'all' : audience };
  }

  /** The first of the best rank, from whose turn it is. -1: there are no members. */
  #pick(published: Qos): number {
    let best = -1;
    let bestRank = Infinity;
    for (let i = 0; i < this.#members.length; i++) {
      const at = (this.#next + i) % this.#members.length;
      const rank = rankOf(this.#members[at]!, published);
      if (rank >= bestRank) continue;
      best = at;
      bestRank = rank;
      if (rank === READY) break;
    }
    return best;
  }
}

/** A busy member takes the message in a while, and one that is away perhaps never. */
function rankOf({ subscriber, subscription }: Member, published: Qos): number {
  const { standing } = subscriber;
  if (standing === 'ready') return READY;
  const keeps = published > 0 && subscription.qos > 0 && subscriber.keeps;
  return (standing === 'busy' ? 1 : 3) + (keeps ? 0 : 1);
}
