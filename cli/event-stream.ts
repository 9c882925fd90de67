/** One event of a text/event-stream. */
export interface StreamEvent {
  readonly event: string;
  readonly data: string;
  /** The last id that the stream gave, with this event or before it; null: none so far. */
  readonly id: string | null;
}

/** Reads text/event-stream (WHATWG HTML, 9.2.6) in pieces of any size. */
export class EventStreamReader {
  readonly #maxEventCharacters: number;
  #line = '';
  #endsWithCr = false;
  #isFirstLine = true;
  #event = '';
  #data: string[] = [];
  #dataCharacters = 0;
  /** The last id of the stream, of events and of beats. */
  lastId: string | null = null;
  /** How long the server wants clients to wait before they come back; null: it said nothing. */
  retryMs: number | null = null;

  constructor(maxEventCharacters: number) {
    this.#maxEventCharacters = maxEventCharacters;
  }

  /** The events that this piece completes. Throws RangeError when one grows past the limit. */
  read(text: string): StreamEvent[] {
    const events: StreamEvent[] = [];
    // A line end of two characters may come in two pieces.
    let from = this.#endsWithCr && text.startsWith('\n') ? 1 : 0;
    if (text !== '') this.#endsWithCr = text.endsWith('\r');
    for (const end of text.matchAll(/\r\n|\n|\r/g)) {
      if (end.index < from) continue;
      const event = this.#take(this.#line + text.slice(from, end.index));
      if (event !== null) events.push(event);
      this.#line = '';
      from = end.index + end[0].length;
    }
    this.#line += text.slice(from);
    this.#bound(this.#line.length);
    return events;
  }

  #take(line: string): StreamEvent | null {
    const text = this.#isFirstLine && line.startsWith('\ufeff') ? line.slice(1) : line;
    this.#isFirstLine = false;
    if (text === '') return this.#dispatch();
    const colon = text.indexOf(':');
    const [field, rest] = colon < 0 ? [text, ''] : [text.slice(0, colon), text.slice(colon + 1)];
    this.#field(field, rest.startsWith(' ') ? rest.slice(1) : rest);
    return null;
  }

  #field(field: string, value: string): void {
    if (field === 'event') this.#event = value;
    else if (field === 'data') {
      this.#data.push(value);
      this.#dataCharacters += value.length + 1;
      this.#bound(this.#dataCharacters);
    } else if (field === 'id' && !value.includes('\0')) this.lastId = value;
    else if (field === 'retry' && /^\d{1,9}$/.test(value)) this.retryMs = Number(value);
  }

  #dispatch(): StreamEvent | null {
    const [event, data] = [this.#event, this.#data];
    this.#event = '';
    this.#data = [];
    this.#dataCharacters = 0;
    return data.length === 0 ? null : { event: event || 'message', data: data.join('\n'), id: this.lastId };
  }

  #bound(characters: number): void {
    if (characters > this.#maxEventCharacters) {
      throw new RangeError(`an event has more than ${this.#maxEventCharacters} characters`);
    }
  }
}
