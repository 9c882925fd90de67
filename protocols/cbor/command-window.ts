import type { Buffer } from 'node:buffer';
import { PayloadError } from '../errors.ts';
import type { Command } from '../message.ts';
import type { Pending } from '../outcome.ts';
import type { Link, SessionHost } from '../subprotocol.ts';
import { encodeCommand } from './codec.ts';

/**
 * SPEC.md: commands that a device must be able to hold before it has said RECEIVED to any of them. Those whose RECEIVED or RESULT is not on
 * disk yet count, too: else a device that answers at once would have more and more answers under way, the slower the disk.
 */
const MOST_ON_THEIR_WAY = 16;

/** The commands on their way to one device: a bounded number at a time, none twice in a connection. */
export class CommandWindow {
  readonly #link: Link;
  readonly #host: SessionHost;
  /** Sent and neither received nor answered: id to deadline, in milliseconds since 1970. */
  readonly #inFlight = new Map<string, number>();
  /** Received or answered, but the hub has not yet written that down and may offer them once more. Id to how many of its answers are open. */
  readonly #unsettled = new Map<string, number>();
  /** Refused by us, because no message can hold them. */
  readonly #unsendable = new Set<string>();
  /** A command was turned away for want of room. */
  #refused = false;

  constructor(link: Link, host: SessionHost) {
    this.#link = link;
    this.#host = host;
  }

  /** See DeviceSession.deliver. */
  deliver(command: Command): boolean {
    if (this.#inFlight.has(command.id) || this.#unsettled.has(command.id)) return true;
    if (this.#unsendable.has(command.id)) return false;
    if (this.#link.congested || !this.#hasRoom()) {
      this.#refused = true;
      return false;
    }
    let message: Buffer;
    try {
      message = encodeCommand(command.id, command.name, command.params, command.deadlineMs);
    } catch (error) {
      if (!(error instanceof PayloadError)) throw error;
      this.#giveUp(command.id, error);
      return false;
    }
    this.#inFlight.set(command.id, command.deadlineMs);
    this.#link.send(message);
    return true;
  }

  /** RECEIVED or RESULT came. Returns what is to be called once the hub has written it down. */
  answered(commandId: string): () => void {
    const wasInFlight = this.#inFlight.delete(commandId);
    if (!wasInFlight && !this.#unsettled.has(commandId)) return () => undefined;
    this.#unsettled.set(commandId, (this.#unsettled.get(commandId) ?? 0) + 1);
    return () => {
      const open = this.#unsettled.get(commandId)! - 1;
      if (open > 0) {
        this.#unsettled.set(commandId, open);
        return;
      }
      this.#unsettled.delete(commandId);
      this.roomAgain();
    };
  }

  /** There may be room for what was turned away. */
  roomAgain(): void {
    if (!this.#refused) return;
    this.#refused = false;
    this.#host.readyForCommands();
  }

  /** A command that expired takes no place any more, whether the device still answers it or not. */
  #hasRoom(): boolean {
    if (this.#onTheirWay < MOST_ON_THEIR_WAY) return true;
    const now = this.#host.now();
    for (const [id, deadlineMs] of this.#inFlight) {
      if (deadlineMs < now) this.#inFlight.delete(id);
    }
    return this.#onTheirWay < MOST_ON_THEIR_WAY;
  }

  get #onTheirWay(): number {
    return this.#inFlight.size + this.#unsettled.size;
  }

  /**
   * Parameters that no message can hold (nested too deep) would hold up every command behind them until they expire. So the command ends as
   * rejected, with words that say by whom. Not within `deliver`: the hub is in the middle of handing it over.
   */
  #giveUp(commandId: string, error: PayloadError): void {
    this.#unsendable.add(commandId);
    const value = { by: 'hub', code: error.code, message: `${error.message}; the device has not seen this command` };
    const settled: Pending = {
      settle: (outcome) => {
        if (outcome.kind === 'stored') this.#unsendable.delete(commandId);
        this.#host.readyForCommands();
      },
    };
    queueMicrotask(() => this.#host.progress(commandId, { kind: 'result', status: 'rejected', value }, settled));
  }
}
