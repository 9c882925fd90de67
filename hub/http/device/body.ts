import type { IncomingMessage } from 'node:http';
import { Problem } from '../problems.ts';

/** How much more than allowed is read and dropped, so that a client that still sends hears why it was refused. */
const DROPPED_TIMES = 4;

/**
 * Reads a body of at most `maxBytes`; none is empty. Throws Problem `too_large`, `unsupported_media_type` (compressed: it could grow
 * past the limit) or `malformed_body` (it did not come whole).
 */
export function readBody(request: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const encoding = request.headers['content-encoding'];
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity') {
    throw new Problem('unsupported_media_type', 'send the body not compressed');
  }
  return new Promise((resolve, reject) => {
    const parts = new Gathered();
    let bytes = 0;
    const end = (outcome: () => void): void => {
      request.off('data', take).off('end', whole).off('close', broken).off('error', broken);
      outcome();
    };
    const tooLarge = (): void => {
      const more = { headers: { connection: 'close' }, members: { recorded: false } };
      reject(new Problem('too_large', `a message may have ${maxBytes} bytes`, more));
    };
    const take = (part: Buffer): void => {
      bytes += part.length;
      if (bytes <= maxBytes) parts.add(part);
      else parts.drop();
      if (bytes > maxBytes * DROPPED_TIMES) end(tooLarge);
    };
    const whole = (): void => {
      end(() => {
        if (bytes > maxBytes) tooLarge();
        else resolve(parts.bytes);
      });
    };
    const broken = (): void => {
      end(() => reject(new Problem('malformed_body', 'the body did not come as announced')));
    };
    if (Number(request.headers['content-length'] ?? 0) > maxBytes * DROPPED_TIMES) {
      tooLarge();
      return;
    }
    request.on('data', take).on('end', whole).on('close', broken).on('error', broken);
  });
}

/** A body as it comes, in a buffer that doubles: kept as they are, chunks of one byte would take two hundred times their size. */
class Gathered {
  #buffer: Buffer = Buffer.alloc(0);
  #length = 0;

  /** Most bodies come in one part, which is not copied. */
  add(part: Buffer): void {
    const length = this.#length + part.length;
    if (this.#length === 0) {
      this.#buffer = part;
    } else {
      if (length > this.#buffer.length) this.#grow(length);
      part.copy(this.#buffer, this.#length);
    }
    this.#length = length;
  }

  drop(): void {
    this.#buffer = Buffer.alloc(0);
    this.#length = 0;
  }

  get bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  #grow(least: number): void {
    const larger = Buffer.alloc(Math.max(least, 2 * this.#buffer.length));
    this.#buffer.copy(larger, 0, 0, this.#length);
    this.#buffer = larger;
  }
}
