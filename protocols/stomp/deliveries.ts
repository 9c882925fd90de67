import type { Command, Delivery } from '../message.ts';
import { ROUTED, type Pending } from '../outcome.ts';
import type { Principal } from '../principal.ts';
import type { Link, SessionHost } from '../subprotocol.ts';
import { commandTopic, matchesFilter, resolveMe } from '../topics.ts';
import type { Answered } from './acknowledge.ts';
import { HandedCommands } from './handed-commands.ts';
import { InFlight, type Held, type Owed, type Sent } from './in-flight.ts';
import { Joint } from './joint.ts';
import type { MessageWriter } from './message-writer.ts';
import type { Wanted } from './subscribe.ts';

/**
 * Ids that acknowledge: the number of the message, with `client-individual`; with `client`, and at QoS 0, where nothing is remembered,
 * the serial number of the subscription as well, by which it proves itself. Digits and a hyphen: clients that unescape
 * wrongly, or not at all, return them as they were.
 */
const ACK_ID = /^(?:([1-9][0-9]{0,8})-)?([1-9][0-9]{0,14})$/;

/**
 * Hub → client: subscriptions, the windows of what waits for an ACK, and commands. Made with the first SUBSCRIBE.
 *
 * Topic messages have a window of `maxInFlight` over all subscriptions, of which each takes at most its prefetch; each queue has
 * its prefetch to itself, and commands have a window of `maxInFlight`: a client that leaves messages unacknowledged still gets its commands.
 * What finds no room waits in the hub. Topic messages of QoS 0 never wait: they are sent past the window, or dropped when the link is slow.
 */
export class Deliveries {
  readonly #link: Link;
  readonly #host: SessionHost;
  readonly #principal: Principal;
  readonly #writer: MessageWriter;
  readonly #subscriptions = new Map<string, Held>();
  readonly #inFlight = new InFlight();
  readonly #handed: HandedCommands;
  /** Was in flight when its subscription ended: its ACK may be on the way and is no error. Bounded, the oldest goes. */
  readonly #released = new Map<number, Sent>();
  #lastNumber = 0;
  #lastSerial = 0;
  #messageRefused = false;
  #commandRefused = false;

  constructor(link: Link, host: SessionHost, principal: Principal, writer: MessageWriter) {
    this.#link = link;
    this.#host = host;
    this.#principal = principal;
    this.#writer = writer;
    this.#handed = new HandedCommands(host);
  }

  get subscriptionCount(): number {
    return this.#subscriptions.size;
  }

  subscription(id: string): Wanted | undefined {
    return this.#subscriptions.get(id);
  }

  subscriptions(): IterableIterator<Wanted> {
    return this.#subscriptions.values();
  }

  add(wanted: Wanted): void {
    const { subscription } = wanted;
    const filter =
      this.#principal.kind === 'device' ? resolveMe(subscription.filter, this.#principal.id) : subscription.filter;
    const held: Held = { ...wanted, filter, serial: ++this.#lastSerial, sent: new Map(), messages: 0 };
    this.#subscriptions.set(subscription.id, held);
  }

  /** The hub sends nothing more by it. What of it waits for an ACK leaves the window, unless a transaction holds its answer. */
  remove(subscriptionId: string): void {
    const held = this.#subscriptions.get(subscriptionId);
    if (held === undefined) return;
    this.#subscriptions.delete(subscriptionId);
    for (const sent of [...held.sent.values()]) if (!sent.claimed) this.#release(sent);
    this.goOn();
  }

  /** A message goes once to each subscription that it matches. False: not now; `readyForMessages` follows. */
  forward(delivery: Delivery): boolean {
    const taken = delivery.queue === undefined ? this.#forwardTopic(delivery) : this.#forwardQueued(delivery);
    if (!taken) this.#messageRefused = true;
    return taken;
  }

  /** False: not now; `readyForCommands` follows when that may have changed. */
  deliver(command: Command): boolean {
    if (this.#handed.has(command.id)) return true;
    const topic = commandTopic(command.device, command.id, command.name);
    const held = this.#subscriptionFor(topic);
    if (held === null) return false;
    const acknowledges = held.mode !== 'auto';
    const full = acknowledges && this.#inFlight.commands >= this.#host.limits.maxInFlight;
    if (full || this.#link.congested) {
      this.#commandRefused = true;
      return false;
    }
    this.#handed.add(command);
    const number = ++this.#lastNumber;
    if (acknowledges) this.#inFlight.add({ number, held, what: { commandId: command.id }, claimed: false });
    this.#writer.command(held, this.#idOf(held, number, acknowledges), topic, command);
    return true;
  }

  /**
   * What an ACK or NACK answers, in the order of sending: with `client` everything that was sent before it, too. Empty: nothing that is
   * remembered, or what was answered before. Null: no message was ever sent under this id.
   */
  answered({ id, subscription }: Answered): Sent[] | null {
    const match = ACK_ID.exec(id);
    const number = Number(match?.[2]);
    if (match === null || number > this.#lastNumber) return null;
    if (match[1] !== undefined) return this.#answeredBySerial(Number(match[1]), number, subscription);
    const sent = this.#inFlight.get(number);
    if (sent === undefined) return this.#late(number);
    return sent.claimed || sent.held.mode !== 'client-individual' || isOther(sent.held, subscription) ? null : [sent];
  }

  /** Carries out an ACK or NACK. Then call `goOn`. */
  answer(answered: readonly Sent[], accepted: boolean, pending: Pending): void {
    if (answered.length === 1) {
      this.#answerOne(answered[0]!, accepted, pending);
      return;
    }
    const joint = new Joint();
    for (const sent of answered) this.#answerOne(sent, accepted, joint.part());
    joint.whole(pending);
  }

  /** A transaction holds the answer: until it ends there is no other. */
  claim(answered: readonly Sent[]): void {
    for (const sent of answered) sent.claimed = true;
  }

  /** The transaction was aborted: what it held waits for an answer again. */
  unclaim(answered: readonly Sent[]): void {
    for (const sent of answered) {
      sent.claimed = false;
      if (this.#subscriptions.get(sent.held.subscription.id) !== sent.held) this.#release(sent);
    }
    this.goOn();
  }

  /** The window or the link has room again. */
  goOn(): void {
    if (this.#link.congested) return;
    if (this.#messageRefused) {
      this.#messageRefused = false;
      this.#host.readyForMessages();
    }
    if (this.#commandRefused) {
      this.#commandRefused = false;
      this.#host.readyForCommands();
    }
  }

  #forwardTopic(delivery: Delivery): boolean {
    const holders = this.#holdersOf(delivery);
    const copies = delivery.qos === 0 ? 0 : holders.reduce((n, { mode }) => (mode === 'auto' ? n : n + 1), 0);
    if (copies > 0 && !this.#hasRoomFor(holders, copies)) return false;
    const owed: Owed | null = copies === 0 ? null : { delivery, copies };
    for (const held of holders) {
      if (copies === 0 && this.#link.congested) this.#host.dropped('slow');
      else this.#send(held, delivery, held.mode === 'auto' ? null : owed);
    }
    // The subscriptions for which it waited have ended meanwhile.
    if (copies === 0 && delivery.qos > 0) this.#host.acknowledged(delivery);
    return true;
  }

  /** With `auto` it is acknowledged once it is written ("as soon as it sends it"), but never dropped. */
  #forwardQueued(delivery: Delivery): boolean {
    const [held] = this.#holdersOf(delivery);
    if (held === undefined || this.#link.congested) return false;
    if (held.mode !== 'auto') {
      if (held.messages >= held.prefetch) return false;
      this.#send(held, delivery, { delivery, copies: 1 });
      return true;
    }
    this.#send(held, delivery, null);
    this.#host.acknowledged(delivery);
    return true;
  }

  /** Ended subscriptions are left out, and others that have taken their ids. */
  #holdersOf({ matches }: Delivery): Held[] {
    const holders: Held[] = [];
    for (const { id, filter } of matches) {
      const held = this.#subscriptions.get(id);
      if (held?.subscription.filter === filter) holders.push(held);
    }
    return holders;
  }

  /** A message that alone is more than the window goes into an empty one. */
  #hasRoomFor(holders: readonly Held[], copies: number): boolean {
    const { topicMessages } = this.#inFlight;
    if (this.#link.congested) return false;
    if (topicMessages > 0 && topicMessages + copies > this.#host.limits.maxInFlight) return false;
    return holders.every(({ mode, messages, prefetch }) => mode === 'auto' || messages < prefetch);
  }

  /** `owed` is null where no ACK is waited for: with `auto`, and at QoS 0. */
  #send(held: Held, delivery: Delivery, owed: Owed | null): void {
    const number = ++this.#lastNumber;
    if (owed !== null) this.#inFlight.add({ number, held, what: owed, claimed: false });
    this.#writer.message(held, this.#idOf(held, number, owed !== null), delivery);
  }

  #idOf({ mode, serial }: Held, number: number, remembered: boolean): string {
    if (mode === 'auto' || (mode === 'client-individual' && remembered)) return String(number);
    return `${serial}-${number}`;
  }

  #answeredBySerial(serial: number, number: number, subscription: string | null): Sent[] | null {
    if (serial > this.#lastSerial) return null;
    for (const held of this.#subscriptions.values()) {
      if (held.serial !== serial) continue;
      if (held.mode === 'auto' || isOther(held, subscription)) return null;
      return held.mode === 'client' ? this.#inFlight.upTo(held, number) : [];
    }
    return this.#late(number) ?? [];
  }

  /** An ACK that was on its way when its subscription ended. It still tells that a command was received. */
  #late(number: number): Sent[] | null {
    const sent = this.#released.get(number);
    if (sent === undefined) return null;
    this.#released.delete(number);
    return 'commandId' in sent.what ? [sent] : [];
  }

  #answerOne(sent: Sent, accepted: boolean, pending: Pending): void {
    this.#inFlight.delete(sent);
    const { what } = sent;
    if ('commandId' in what) {
      // NACK rejects a command.
      const progress = accepted
        ? ({ kind: 'received' } as const)
        : ({ kind: 'result', status: 'rejected', value: null } as const);
      this.#host.progress(what.commandId, progress, pending);
      return;
    }
    const { delivery } = what;
    if (delivery.queue !== undefined) {
      if (accepted) this.#host.acknowledged(delivery, pending);
      else this.#host.returned(delivery, true, pending);
      return;
    }
    // A topic message that is refused is discarded, as there is nobody else to give it to.
    if (--what.copies === 0) this.#host.acknowledged(delivery);
    pending.settle(ROUTED);
  }

  /** Its subscription has ended without an answer. */
  #release(sent: Sent): void {
    if (!this.#inFlight.delete(sent)) return;
    const { what } = sent;
    if (!('commandId' in what)) {
      if (what.delivery.queue !== undefined) this.#host.returned(what.delivery, false);
      else if (--what.copies === 0) this.#host.acknowledged(what.delivery);
    }
    this.#released.set(sent.number, sent);
    if (this.#released.size > 2 * this.#host.limits.maxInFlight) {
      this.#released.delete(this.#released.keys().next().value!);
    }
  }

  /** An acknowledging subscription where there is one: only it can say `received`. */
  #subscriptionFor(topic: string): Held | null {
    let found: Held | null = null;
    for (const held of this.#subscriptions.values()) {
      if (!matchesFilter(held.filter, topic)) continue;
      if (held.mode !== 'auto') return held;
      found ??= held;
    }
    return found;
  }
}

/** STOMP 1.1: the header `subscription` of an ACK must be that of the message. */
function isOther(held: Held, subscription: string | null): boolean {
  return subscription !== null && subscription !== held.name;
}
