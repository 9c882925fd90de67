import type { Command, Subscription } from '../message.ts';
import { NOBODY } from '../outcome.ts';
import type { Principal } from '../principal.ts';
import type { InFlight, SessionState } from '../session-state.ts';
import type { SessionHost } from '../subprotocol.ts';
import { answerTopic, commandTopic, matchesFilter, resolveMe } from '../topics.ts';
import type { AckPacket, Properties } from './packet.ts';
import { REASON } from './reason-codes.ts';
import type { Window } from './window.ts';
import type { Wire } from './wire.ts';

/** A command in flight from an earlier connection that the hub has not offered again. */
interface Carried {
  readonly packetId: number;
  readonly entry: InFlight;
}

/**
 * Commands on their way to a device, at QoS 1, or 0 where the subscription says so.
 *
 * Those in flight when the last connection ended keep their packet ids and take no place in the window. When the hub offers one
 * again it goes out with that id and DUP. Those that it never offers during a whole connection (ended, cancelled, expired
 * meanwhile) are forgotten when that connection ends, so their packet ids cannot pile up.
 */
export class Commands {
  readonly #wire: Wire;
  readonly #host: SessionHost;
  readonly #state: SessionState;
  readonly #principal: Principal;
  readonly #window: Window;
  /** By command id. */
  #carried: Map<string, Carried> | null = null;
  /** Ids of commands that do not fit the client's packets: the hub was told. */
  #tooLarge: Set<string> | null = null;
  /** `deliver` had to refuse for want of room: the hub waits for a word. */
  #refused = false;

  constructor(wire: Wire, host: SessionHost, state: SessionState, principal: Principal, window: Window) {
    this.#wire = wire;
    this.#host = host;
    this.#state = state;
    this.#principal = principal;
    this.#window = window;
  }

  /** An entry of `inFlight` that an earlier connection left. */
  carry(packetId: number, entry: Extract<InFlight, { kind: 'command' }>): void {
    (this.#carried ??= new Map()).set(entry.commandId, { packetId, entry });
    this.#window.carried++;
  }

  /** See DeviceSession.deliver. A command that is in flight on this connection is not sent twice. */
  deliver(command: Command): boolean {
    if (this.#wire.stopped || this.#principal.kind !== 'device') return false;
    const matches = this.#matchesOf(command);
    const best = highest(matches);
    if (best === null || this.#tooLarge?.has(command.id) === true) return false;
    const carried = this.#carriedOf(command.id);
    if (carried === null && this.#isInFlight(command.id)) return true;
    if (this.#wire.congested || (best.qos !== 0 && !this.#window.hasRoom)) {
      this.#refused = true;
      return false;
    }
    return this.#send(command, matches, best, carried);
  }

  /** Room has come: those that were refused may be offered again. */
  goOn(): void {
    if (!this.#refused || !this.#window.hasRoom) return;
    this.#refused = false;
    this.#host.readyForCommands();
  }

  /** PUBACK: the device's library has it, or says why not (MQTT 5.0). Its entry is out of `inFlight`. */
  answered(entry: Extract<InFlight, { kind: 'command' }>, { reasonCode, properties }: AckPacket): void {
    if (this.#carried?.get(entry.commandId)?.entry === entry) this.#uncarry(entry.commandId);
    if (reasonCode < REASON.unspecifiedError) {
      this.#host.progress(entry.commandId, { kind: 'received' }, NOBODY);
      return;
    }
    const value = { reasonCode, reason: properties.reasonString ?? null };
    this.#host.progress(entry.commandId, { kind: 'result', status: 'rejected', value }, NOBODY);
  }

  /** The link is gone. Entries are compared: a connection that took over may have sent some of them again already. */
  closed(): void {
    for (const { packetId, entry } of this.#carried?.values() ?? []) {
      if (this.#state.inFlight.get(packetId) === entry) this.#state.inFlight.delete(packetId);
    }
    this.#carried = null;
  }

  #send(command: Command, matches: readonly Subscription[], best: Subscription, carried: Carried | null): boolean {
    const { device, id, name, payload } = command;
    const topic = answerTopic(commandTopic(device, id, name), best.filter, this.#principal.id);
    const qos = best.qos === 0 ? 0 : 1;
    const packetId = qos === 0 ? 0 : (carried?.packetId ?? this.#state.nextPacketId());
    const properties = this.#wire.peer.level === 5 ? this.#propertiesOf(command, matches, best) : undefined;
    const packet = { level: this.#wire.peer.level, topic, payload, qos, retain: false, packetId, properties } as const;
    if (!this.#wire.publish({ ...packet, dup: qos === 1 && carried !== null })) {
      this.#tellTooLarge(id);
      return false;
    }
    if (qos === 1) this.#fly(id, packetId);
    return true;
  }

  /** Request and response as MQTT 5.0 has them (4.10): the answer goes to the response topic, and the correlation data is the command's id. */
  #propertiesOf(command: Command, matches: readonly Subscription[], best: Subscription): Properties {
    const { device, id, deadlineMs } = command;
    const identifiers = matches.flatMap(({ identifier }) => (identifier === undefined ? [] : [identifier]));
    return {
      payloadFormatIndicator: 1,
      messageExpiryIntervalS: Math.max(Math.ceil((deadlineMs - this.#host.now()) / 1000), 0),
      contentType: 'application/json',
      responseTopic: answerTopic(commandTopic(device, id, 'result'), best.filter, this.#principal.id),
      correlationData: Buffer.from(id),
      ...(identifiers.length === 0 ? {} : { subscriptionIdentifiers: identifiers }),
    };
  }

  /** It will never fit this client: whoever gave the command should know, and not wait for its expiry. */
  #tellTooLarge(commandId: string): void {
    (this.#tooLarge ??= new Set()).add(commandId);
    this.#host.dropped('too_large');
    const value = { reason: `larger than the ${this.#wire.peer.maxPacketBytes} bytes that this client takes` };
    this.#host.progress(commandId, { kind: 'result', status: 'rejected', value }, NOBODY);
  }

  /** Subscriptions that match the command's topic, in the order in which they were made. */
  #matchesOf(command: Command): Subscription[] {
    const topic = commandTopic(command.device, command.id, command.name);
    const { id } = this.#principal;
    return [...this.#state.subscriptions.values()].filter((s) => matchesFilter(resolveMe(s.filter, id), topic));
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

  /** Puts the command in flight, behind all that was sent before it. */
  #fly(commandId: string, packetId: number): void {
    this.#uncarry(commandId);
    this.#state.inFlight.delete(packetId);
    this.#state.inFlight.set(packetId, { kind: 'command', commandId });
  }

  #uncarry(commandId: string): void {
    if (this.#carried?.delete(commandId) === true) this.#window.carried--;
  }
}

/** The subscription with the highest QoS; among equals the oldest. */
function highest(matches: readonly Subscription[]): Subscription | null {
  let best: Subscription | null = null;
  for (const match of matches) if (best === null || match.qos > best.qos) best = match;
  return best;
}
