import type { Command, Delivery } from '../message.ts';
import type { Principal } from '../principal.ts';
import { answerTopic } from '../topics.ts';
import { answerHeaders } from './answers.ts';
import { destinationOfTopic } from './destinations.ts';
import type { Dialect } from './dialect.ts';
import type { Header } from './encoder.ts';
import type { Wanted } from './subscribe.ts';
import { userHeaders } from './user-headers.ts';

/** Writes MESSAGE frames. */
export class MessageWriter {
  readonly #dialect: Dialect;
  readonly #principal: Principal;
  readonly #write: (headers: readonly Header[], body: Buffer) => void;

  constructor(dialect: Dialect, principal: Principal, write: (headers: readonly Header[], body: Buffer) => void) {
    this.#dialect = dialect;
    this.#principal = principal;
    this.#write = write;
  }

  /** `id`: what an ACK repeats. */
  message(wanted: Wanted, id: string, { message, retain, dup, queue }: Delivery): void {
    const headers = this.#headers(wanted, id, message.topic);
    if (message.contentType !== null) headers.push(['content-type', message.contentType]);
    if (retain) headers.push(['retain', 'true']);
    if (dup && queue !== undefined) headers.push(['redelivered', 'true']);
    const answers = message.properties === undefined ? [] : answerHeaders(message);
    const besides = answers.map(([name]) => name);
    headers.push(...answers, ...userHeaders(message.headers, besides));
    this.#write(headers, message.payload);
  }

  command(wanted: Wanted, id: string, topic: string, command: Command): void {
    const headers = this.#headers(wanted, id, topic);
    headers.push(
      ['content-type', 'application/json'],
      ['command-id', command.id],
      ['command-name', command.name],
      ['deadline', String(command.deadlineMs)],
    );
    this.#write(headers, command.payload);
  }

  #headers({ subscription, name, mode, destination }: Wanted, id: string, topic: string): Header[] {
    const answered =
      this.#principal.kind === 'device' ? answerTopic(topic, subscription.filter, this.#principal.id) : topic;
    const headers: Header[] = [
      ['message-id', id],
      ['destination', destination ?? destinationOfTopic(answered)],
    ];
    if (name !== null) headers.unshift(['subscription', name]);
    if (mode !== 'auto' && this.#dialect.acknowledgesBy === 'ack') headers.push(['ack', id]);
    return headers;
  }
}
