import { ProtocolError } from '../errors.ts';
import type { Command, Delivery } from '../message.ts';
import { ROUTED, type Pending } from '../outcome.ts';
import type { Principal } from '../principal.ts';
import type { Link, PublishRequest, SessionHost } from '../subprotocol.ts';
import { readAcknowledgement } from './acknowledge.ts';
import type { TemporaryTopics } from './answers.ts';
import { Deliveries } from './deliveries.ts';
import type { Dialect } from './dialect.ts';
import type { Header } from './encoder.ts';
import { EXPECTED_HEADER, excerpt, frameError, type StompFrame } from './frame.ts';
import type { Sent } from './in-flight.ts';
import { Joint } from './joint.ts';
import { MessageWriter } from './message-writer.ts';
import { Receipts } from './receipts.ts';
import { readSend, type Send } from './send.ts';
import { Subscriptions } from './subscriptions.ts';
import { Transactions, type Step } from './transactions.ts';

export interface ConversationParts {
  readonly link: Link;
  readonly host: SessionHost;
  readonly dialect: Dialect;
  readonly principal: Principal;
  /** As CONNECT gave it. */
  readonly clientId: string | null;
  readonly write: (command: string, headers: readonly Header[], body: Buffer | null) => void;
  /** Ends the session with these words. */
  readonly fail: (error: ProtocolError) => void;
  /** DISCONNECT came: nothing more is read, and no message sent. */
  readonly leaving: () => void;
  /** Its RECEIPT is written, if it asked for one. */
  readonly left: () => void;
  readonly isOver: () => boolean;
}

/** What a client and the hub say to each other between CONNECTED and the end. */
export class Conversation implements TemporaryTopics {
  readonly #parts: ConversationParts;
  readonly #receipts: Receipts;
  // Made when they are needed: most devices only send.
  #deliveries: Deliveries | null = null;
  #subscriptions: Subscriptions | null = null;
  #transactions: Transactions | null = null;

  constructor(parts: ConversationParts) {
    this.#parts = parts;
    this.#receipts = new Receipts({
      receipt: (headers) => parts.write('RECEIPT', headers, null),
      gap: (expected, receipt) => parts.fail(gapError(expected, receipt)),
      left: () => parts.left(),
    });
  }

  /** Throws ProtocolError. */
  handle(frame: StompFrame): void {
    switch (frame.command) {
      case 'SEND':
        this.#send(frame);
        return;
      case 'ACK':
        this.#acknowledge(frame, true);
        return;
      case 'NACK':
        this.#nack(frame);
        return;
      case 'SUBSCRIBE':
        this.#madeSubscriptions.subscribe(frame);
        return;
      case 'UNSUBSCRIBE':
        this.#madeSubscriptions.unsubscribe(frame);
        return;
      case 'BEGIN':
        this.#madeTransactions.begin(frame);
        this.#receipts.of(frame).settle(ROUTED);
        return;
      case 'COMMIT':
        this.#commit(frame);
        return;
      case 'ABORT':
        this.#abort(frame);
        return;
      case 'DISCONNECT':
        this.#disconnect(frame);
        return;
      default:
        throw frameError(frame, 'protocol_error', 'this connection is connected already');
    }
  }

  deliver(command: Command): boolean {
    return this.#deliveries !== null && this.#deliveries.deliver(command);
  }

  forward(delivery: Delivery): boolean {
    return this.#deliveries === null ? isDroppable(delivery) : this.#deliveries.forward(delivery);
  }

  writable(): void {
    this.#deliveries?.goOn();
  }

  closed(): void {
    this.#receipts.close();
    this.#deliveries = null;
    this.#subscriptions = null;
    this.#transactions = null;
  }

  sendTo(name: string, frame: StompFrame): string {
    return this.#madeSubscriptions.sendTo(name, frame);
  }

  replyTo(name: string, frame: StompFrame): string {
    return this.#madeSubscriptions.replyTo(name, frame);
  }

  /** Hot path. */
  #send(frame: StompFrame): void {
    if (frame.headers.has('transaction')) {
      this.#madeTransactions.add(frame, () => this.#sendStep(frame));
      return;
    }
    const send = this.#read(frame);
    this.#publish(send, frame, this.#receipts.of(frame));
  }

  #read(frame: StompFrame): Send {
    return readSend(frame, this.#parts.host.limits, this);
  }

  #publish({ request, position }: Send, frame: Pick<StompFrame, 'headers'>, pending: Pending): void {
    const { host } = this.#parts;
    try {
      if (position === null) host.publish(request, pending);
      else if (position !== 'malformed') host.publish(request, pending, position);
      else host.reject(request.payload, 'malformed_payload', MALFORMED_POSITION, pending);
    } catch (error) {
      throw withReceipt(error, frame);
    }
  }

  #sendStep(frame: StompFrame): Step {
    const { request, position } = this.#read(frame);
    this.#check([request], frame);
    // Its body is a slice of the socket's buffer.
    const send = { request: { ...request, payload: Buffer.from(request.payload) }, position };
    const { headers } = frame;
    return {
      receipt: headers.get('receipt') ?? null,
      request: send.request,
      carryOut: (pending) => this.#publish(send, { headers }, pending),
      drop: () => undefined,
    };
  }

  #check(requests: readonly PublishRequest[], frame: StompFrame): void {
    try {
      this.#parts.host.checkPublish(requests);
    } catch (error) {
      throw withReceipt(error, frame);
    }
  }

  #nack(frame: StompFrame): void {
    const { hasNack, version } = this.#parts.dialect;
    if (!hasNack)
      throw frameError(frame, 'protocol_error', `STOMP ${version}, which this connection speaks, has no NACK`);
    this.#acknowledge(frame, false);
  }

  #acknowledge(frame: StompFrame, accepted: boolean): void {
    const asked = readAcknowledgement(frame, this.#parts.dialect);
    const deliveries = this.#deliveries;
    const answered = deliveries?.answered(asked) ?? null;
    if (deliveries === null || answered === null) {
      throw frameError(
        frame,
        'protocol_error',
        `no message waits for an answer to ${excerpt(asked.id)}; '${asked.header}' repeats what its MESSAGE said`,
      );
    }
    if (frame.headers.has('transaction')) {
      this.#madeTransactions.add(frame, () => acknowledgeStep(deliveries, frame, answered, accepted));
      return;
    }
    deliveries.answer(answered, accepted, this.#receipts.of(frame));
    deliveries.goOn();
  }

  /** In one go: what the hub writes for it goes to the disk together, and its RECEIPT waits for all of it. */
  #commit(frame: StompFrame): void {
    const steps = this.#madeTransactions.take(frame);
    // What was allowed when it came may have no room any more: then nothing is carried out.
    this.#check(
      steps.flatMap(({ request }) => request ?? []),
      frame,
    );
    const joint = new Joint();
    const parts = steps.map((step) => ({ step, pending: joint.part(this.#receipts.owe(step.receipt)) }));
    // Answers last: a message that turns out to be unusable takes nothing with it that would come again.
    const isSend = ({ step }: { readonly step: Step }): boolean => step.request !== null;
    for (const { step, pending } of [...parts.filter(isSend), ...parts.filter((part) => !isSend(part))]) {
      step.carryOut(pending);
      if (this.#parts.isOver()) return;
    }
    joint.whole(this.#receipts.of(frame));
    this.#deliveries?.goOn();
  }

  #abort(frame: StompFrame): void {
    for (const step of this.#madeTransactions.take(frame)) {
      step.drop();
      if (step.receipt !== null) this.#receipts.aborted(step.receipt);
    }
    this.#receipts.of(frame).settle(ROUTED);
  }

  #disconnect(frame: StompFrame): void {
    const { leaving, left } = this.#parts;
    leaving();
    const receipt = frame.headers.get('receipt');
    if (receipt === undefined) {
      left();
      return;
    }
    for (const step of this.#transactions?.takeAll() ?? []) {
      if (step.receipt !== null) this.#receipts.aborted(step.receipt);
    }
    this.#receipts.leave(receipt);
  }

  get #madeSubscriptions(): Subscriptions {
    if (this.#subscriptions !== null) return this.#subscriptions;
    const { link, host, dialect, principal, clientId, write, fail, isOver } = this.#parts;
    const writer = new MessageWriter(dialect, principal, (headers, body) => write('MESSAGE', headers, body));
    const deliveries = new Deliveries(link, host, principal, writer);
    const receipts = this.#receipts;
    this.#deliveries = deliveries;
    this.#subscriptions = new Subscriptions({ host, dialect, clientId, receipts, deliveries, fail, isOver });
    return this.#subscriptions;
  }

  get #madeTransactions(): Transactions {
    return (this.#transactions ??= new Transactions(this.#parts.host.limits));
  }
}

const MALFORMED_POSITION = 'the headers `stream` and `seq` name no place in a stream';

/** Nobody wants it, and nobody keeps it. */
export function isDroppable({ qos, queue }: Delivery): boolean {
  return qos === 0 && queue === undefined;
}

function acknowledgeStep(
  deliveries: Deliveries,
  frame: StompFrame,
  answered: readonly Sent[],
  accepted: boolean,
): Step {
  deliveries.claim(answered);
  return {
    receipt: frame.headers.get('receipt') ?? null,
    request: null,
    carryOut: (pending) => deliveries.answer(answered, accepted, pending),
    drop: () => deliveries.unclaim(answered),
  };
}

/** A device that skips a number would lose what it skipped if this were a RECEIPT: many clients read nothing in one but its id. */
function gapError(expected: number, receipt: string | null): ProtocolError {
  return new ProtocolError('sequence_gap', `nothing of it was stored; seq ${expected} is expected`, {
    ...(receipt === null ? {} : { 'receipt-id': receipt }),
    [EXPECTED_HEADER]: String(expected),
  });
}

/** The hub knows no receipts: what it refuses is said about the frame. */
function withReceipt(error: unknown, { headers }: Pick<StompFrame, 'headers'>): unknown {
  const receipt = headers.get('receipt');
  if (!(error instanceof ProtocolError) || receipt === undefined) return error;
  return new ProtocolError(error.reason, error.message, { ...error.context, 'receipt-id': receipt });
}
