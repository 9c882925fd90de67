const NOTHING = Buffer.alloc(0);
/** Room that is made at first: most packets fit (some clients send each field as a message), and a client that stops halfway costs no more. */
const FIRST_BYTES = 256;

/**
 * Bytes that arrive in pieces and must outlive the piece. Owns its memory: a slice of what the socket read would pin a
 * 64 KiB buffer, and a slice of Node's small-buffer pool 8 KiB. It doubles, so that a client which sends byte by byte
 * costs linear work, and past the first room what is allocated stays below twice what was really received, whatever a
 * length field claims.
 */
export class GrowingBytes {
  #bytes: Buffer = NOTHING;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** Copies data[from, to). `atMost` is the most that will ever be held: nothing is allocated past it. */
  append(data: Buffer, from: number, to: number, atMost: number): void {
    const length = this.#length + to - from;
    if (length > this.#bytes.length) {
      const room = Math.max(length, Math.min(2 * this.#bytes.length, atMost), Math.min(FIRST_BYTES, atMost));
      const grown = Buffer.allocUnsafeSlow(room);
      this.#bytes.copy(grown, 0, 0, this.#length);
      this.#bytes = grown;
    }
    data.copy(this.#bytes, this.#length, from, to);
    this.#length = length;
  }

  /** What is held, not copied. Valid until the next `append`. */
  view(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }
}
