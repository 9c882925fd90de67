import type { Command, Qos, RoutedMessage, Subscription } from '../message.ts';
import { NOBODY } from '../outcome.ts';
import type { Principal } from '../principal.ts';
import type { InFlight, QueuedMessage, SessionState } from '../session-state.ts';
import type { Link, SessionHost } from '../subprotocol.ts';
import { answerTopic, commandTopic, matchesFilter, resolveMe } from '../topics.ts';
import { encodePublish } from './encode.ts';

/** A command in flight from an earlier connection that the hub has not offered again. */
interface Carried {
  readonly packetId: number;
  readonly entry: InFlight;
}

const OWN = 'devices/me/';

/**
 * Messages and commands on their way to one client: the in-flight window, packet ids and the queue behind them. All of it
 * lies in the `SessionState`, which a persistent session keeps when the connection ends.
 *
 * What goes first: messages that a resumed session sends again, then commands, then the queue. While anything waits in the
 * queue, new QoS 1 messages go behind it, so their order stands.
 *
 * Commands in flight when the last connection ended keep their packet ids and take no place in the window. When the hub
 * offers one again it goes out with that id and DUP. Those that it never offers during a whole connection (ended, cancelled,
 * expired meanwhile) are forgotten when that connection ends, so their packet ids cannot pile up.
 */
export class Outgoing {
  readonly #link: Link;
  readonly #host: SessionHost;
  readonly #state: SessionState;
  readonly #principal: Principal;
  /** Packet ids of messages that a resumed session has still to send again, first first. */
  #resend: number[] | null = null;
  /** By command id. */
  #carried: Map<string, Carried> | null = null;
  /** `deliver` had to refuse for want of room: the hub waits for a word. */
  #commandRefused = false;
  #stopped = false;

  constructor(link: Link, host: SessionHost, state: SessionState, principal: Principal) {
    this.#link = link;
    this.#host = host;
    this.#state = state;
    this.#principal = principal;
  }

  /**
   * After CONNACK: sends again what was in flight, in its order, with its packet ids and DUP [MQTT-4.4.0-1, MQTT-4.6.0-1].
   * A congested link takes the rest when it is writable: the window may hold more than the link does.
   */
  resume(): void {
    for (const [packetId, entry] of this.#state.inFlight) {
      if (entry.kind === 'message') (this.#resend ??= []).push(packetId);
      else (this.#carried ??= new Map()).set(entry.commandId, { packetId, entry });
    }
    this.#sendAgain();
  }

  /** Lets what waits go on, as far as link and window allow. */
  goOn(): void {
    if (this.#stopped) return;
    this.#sendAgain();
    if (this.#commandRefused && this.#hasRoom()) {
      this.#commandRefused = false;
      this.#host.readyForCommands();
    }
    while (this.#state.queue.length > 0 && this.#hasRoom()) this.#sendFirst(this.#state.queue.shift()!);
  }

  /** See DeviceSession.forward: one copy at QoS 0 or 1, whatever the number of matching subscriptions [MQTT-3.3.5-1]. */
  forward(message: RoutedMessage, matches: readonly Subscription[], qos: Qos): void {
    if (qos === 0) {
      if (this.#stopped) return;
      if (this.#link.congested) this.#host.dropped('slow');
      else this.#send(message, matches, 0, 0, false);
      return;
    }
    const entry: QueuedMessage = { message, matches, qos: 1 };
    if (this.#state.queue.length === 0 && this.#hasRoom()) this.#sendFirst(entry);
    else if (!this.#state.queue.push(entry)) this.#host.dropped('queue');
  }

  /** See DeviceSession.deliver. A command that is in flight on this connection is not sent twice. */
  deliver(command: Command): boolean {
    if (this.#stopped) return false;
    const match = this.#subscriptionFor(command);
    if (match === null) return false;
    const carried = this.#carriedOf(command.id);
    if (carried === null && this.#isInFlight(command.id)) return true;
    if (this.#resend !== null || this.#link.congested || (match.qos !== 0 && !this.#hasRoom())) {
      this.#commandRefused = true;
      return false;
    }
    const packetId = match.qos === 0 ? 0 : this.#take(command.id, carried);
    const { device, id, name, payload } = command;
    const topic = answerTopic(commandTopic(device, id, name), match.filter, this.#principal.id);
    const qos = match.qos === 0 ? 0 : 1;
    this.#link.send(
      encodePublish({ topic, payload, qos, retain: false, dup: qos === 1 && carried !== null, packetId }),
    );
    return true;
  }

  /** PUBACK. A packet id that is not in flight means nothing: the client may repeat itself. */
  acknowledged(packetId: number): void {
    const entry = this.#state.inFlight.get(packetId);
    if (entry === undefined) return;
    this.#state.inFlight.delete(packetId);
    if (entry.kind === 'command') {
      if (this.#carried?.get(entry.commandId)?.entry === entry) this.#carried.delete(entry.commandId);
      this.#host.progress(entry.commandId, { kind: 'received' }, NOBODY);
    }
    this.goOn();
  }

  /** Nothing is sent any more; QoS 1 messages that still come wait for the next connection. */
  stop(): void {
    this.#stopped = true;
  }

  /** The link is gone. Entries are compared: a connection that took over may have sent some of them again already. */
  closed(): void {
    this.#stopped = true;
    for (const { packetId, entry } of this.#carried?.values() ?? []) {
      if (this.#state.inFlight.get(packetId) === entry) this.#state.inFlight.delete(packetId);
    }
    this.#carried = null;
    this.#resend = null;
  }

  #hasRoom(): boolean {
    const inFlight = this.#state.inFlight.size - (this.#carried?.size ?? 0);
    return !this.#stopped && this.#resend === null && inFlight < this.#host.limits.maxInFlight && !this.#link.congested;
  }

  #sendAgain(): void {
    while (this.#resend !== null && !this.#link.congested) {
      const packetId = this.#resend.shift();
      if (packetId === undefined) this.#resend = null;
      else {
        const flying = this.#state.inFlight.get(packetId);
        if (flying?.kind === 'message') this.#send(flying.entry.message, flying.entry.matches, 1, packetId, true);
      }
    }
  }

  #sendFirst(entry: QueuedMessage): void {
    const packetId = this.#state.nextPacketId();
    this.#state.inFlight.set(packetId, { kind: 'message', entry });
    this.#send(entry.message, entry.matches, 1, packetId, false);
  }

  #send(message: RoutedMessage, matches: readonly Subscription[], qos: 0 | 1, packetId: number, dup: boolean): void {
    const { payload, retain } = message;
    const topic = this.#topicAsSeen(message.topic, matches);
    this.#link.send(encodePublish({ topic, payload, qos, retain, dup, packetId }));
  }

  /** Subscriptions that were all written with `me` are answered with `me`. */
  #topicAsSeen(topic: string, matches: readonly Subscription[]): string {
    if (this.#principal.kind !== 'device' || !topic.startsWith('devices/')) return topic;
    for (const match of matches) if (!match.filter.startsWith(OWN)) return topic;
    return answerTopic(topic, OWN, this.#principal.id);
  }

  /** The subscription with the highest QoS that matches the command's topic; among equals the oldest. */
  #subscriptionFor(command: Command): Subscription | null {
    if (this.#principal.kind !== 'device') return null;
    const topic = commandTopic(command.device, command.id, command.name);
    let best: Subscription | null = null;
    for (const subscription of this.#state.subscriptions.values()) {
      if (best !== null && subscription.qos <= best.qos) continue;
      if (matchesFilter(resolveMe(subscription.filter, this.#principal.id), topic)) best = subscription;
    }
    return best;
  }

  #carriedOf(commandId: string): Carried | null {
    const carried = this.#carried?.get(commandId);
    if (carried === undefined || this.#state.inFlight.get(carried.packetId) !== carried.entry) return null;
    return carried;
  }

  #isInFlight(commandId: string): boolean {
    for (const entry of this.#state.inFlight.values()) {
      if (entry.kind === 'command' && entry.commandId === commandId) return true;
    }
    return false;
  }

  /** Puts the command in flight, behind all that was sent before it, and returns its packet id: the one it had, or a new one. */
  #take(commandId: string, carried: Carried | null): number {
    const packetId = carried === null ? this.#state.nextPacketId() : carried.packetId;
    this.#carried?.delete(commandId);
    this.#state.inFlight.delete(packetId);
    this.#state.inFlight.set(packetId, { kind: 'command', commandId });
    return packetId;
  }
}
