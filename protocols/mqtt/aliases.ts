import { ProtocolError } from '../errors.ts';

/** Topic aliases of a client's own, MQTT 5.0, 3.3.2.3.4. They end with the connection [MQTT-3.3.2-7]. */
export class IncomingAliases {
  readonly #maximum: number;
  readonly #topics = new Map<number, string>();

  /** `maximum` as the CONNACK told it: so many topics are kept at most. */
  constructor(maximum: number) {
    this.#maximum = maximum;
  }

  /** The topic of a PUBLISH with an alias: the one written, which the alias means from now on, or if none is written the one that it means. */
  resolve(topic: string, alias: number): string {
    if (alias > this.#maximum) {
      throw new ProtocolError('topic_alias_invalid', `topic alias ${alias}, at most ${this.#maximum} [MQTT-3.3.2-9]`);
    }
    if (topic !== '') {
      this.#topics.set(alias, topic);
      return topic;
    }
    const known = this.#topics.get(alias);
    if (known === undefined) {
      throw new ProtocolError('protocol_error', `topic alias ${alias} means no topic yet (MQTT 5.0, 3.3.4)`);
    }
    return known;
  }
}

/** Topic aliases that the hub gives to topics on their way to a client. The oldest gives way to a new one. */
export class OutgoingAliases {
  readonly #maximum: number;
  /** In the order in which they were given. */
  readonly #aliases = new Map<string, number>();

  /** `maximum`: 1 or more. */
  constructor(maximum: number) {
    this.#maximum = maximum;
  }

  /** The alias that the client knows for `topic`, or 0. */
  of(topic: string): number {
    return this.#aliases.get(topic) ?? 0;
  }

  /** The alias that the next new topic gets. */
  next(): number {
    if (this.#aliases.size < this.#maximum) return this.#aliases.size + 1;
    return this.#aliases.values().next().value!;
  }

  /** The client was sent `topic` with the alias that `next` had named. */
  given(topic: string, alias: number): void {
    if (this.#aliases.size === this.#maximum) this.#aliases.delete(this.#aliases.keys().next().value!);
    this.#aliases.set(topic, alias);
  }
}
