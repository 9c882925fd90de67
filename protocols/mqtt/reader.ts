import { ProtocolError } from '../errors.ts';
import { GrowingBytes } from './growing-bytes.ts';

/** Where whole packets go. */
export interface PacketSink {
  /** The fixed header of a packet is here and the rest is not: the last chance to refuse it (ProtocolError) before it is kept. */
  expect(first: number): void;
  /**
   * A whole packet: `data[start]` is its first byte, `data[body]` the first one after the fixed header, `data[end - 1]` its last.
   * `data` is the socket's: what outlives the call must be copied. False: no more packets for now.
   */
  packet(data: Buffer, start: number, body: number, end: number): boolean;
}

/**
 * Cuts a byte stream into control packets (sections 2.1 and 6: a packet may span WebSocket messages and a message may
 * hold many packets [MQTT-6.0.0-2]). The size is checked as soon as the fixed header is known, before
 * anything of the packet is kept.
 */
export class PacketReader {
  /** Largest packet that is let through, in bytes, fixed header included. */
  maxPacketBytes: number;
  /** MQTT 5.0 allows no remaining length in more bytes than it needs [MQTT-1.5.5-1]; earlier levels do not mind. */
  strictLength = false;
  /** The beginning of a packet whose end has not come. */
  #kept: GrowingBytes | null = null;
  /** Where the packet begins in `#header`'s buffer: body and end offsets; end 0 while the fixed header is incomplete. */
  #body = 0;
  #end = 0;

  constructor(maxPacketBytes: number) {
    this.maxPacketBytes = maxPacketBytes;
  }

  /**
   * Hands every packet that is now whole to the sink. Returns how many bytes of `data` were used: less than all only when
   * the sink wanted no more. Throws ProtocolError `malformed` (remaining length) or `too_large`, and what the sink throws.
   */
  feed(data: Buffer, sink: PacketSink): number {
    let at = 0;
    if (this.#kept !== null) {
      at = this.#fill(this.#kept, data, sink);
      if (this.#end === 0 || this.#kept.length < this.#end) return at;
      const whole = this.#kept.view();
      this.#kept = null;
      if (!sink.packet(whole, 0, this.#body, whole.length)) return at;
    }
    while (at < data.length) {
      if (!this.#header(data, at, data.length)) {
        this.#keep(data, at, this.maxPacketBytes);
        break;
      }
      const end = this.#end;
      if (end > data.length) {
        sink.expect(data[at]!);
        this.#body -= at;
        this.#end -= at;
        this.#keep(data, at, this.#end);
        break;
      }
      const start = at;
      at = end;
      if (!sink.packet(data, start, this.#body, end)) return at;
    }
    return data.length;
  }

  /** Forgets what it kept. */
  drop(): void {
    this.#kept = null;
  }

  #keep(data: Buffer, at: number, atMost: number): void {
    this.#kept = new GrowingBytes();
    this.#kept.append(data, at, data.length, atMost);
  }

  /** Adds to the kept beginning what belongs to its packet; returns how many bytes that were. */
  #fill(kept: GrowingBytes, data: Buffer, sink: PacketSink): number {
    let at = 0;
    while (this.#end === 0) {
      if (at === data.length) return at;
      kept.append(data, at, at + 1, this.maxPacketBytes);
      at++;
      const header = kept.view();
      if (this.#header(header, 0, header.length)) sink.expect(header[0]!);
    }
    const to = Math.min(data.length, at + this.#end - kept.length);
    kept.append(data, at, to, this.#end);
    return to;
  }

  /** Reads the fixed header at `at`; false while it is incomplete. Each length byte carries 7 bits, lowest first; four at most. */
  #header(data: Buffer, at: number, available: number): boolean {
    let remaining = 0;
    let shift = 0;
    for (let i = at + 1; i < available; i++) {
      const byte = data[i]!;
      remaining += (byte & 0x7f) << shift;
      if (byte < 0x80) {
        if (byte === 0 && shift > 0 && this.strictLength) {
          throw new ProtocolError('malformed', 'a remaining length in more bytes than it needs [MQTT-1.5.5-1]');
        }
        this.#body = i + 1;
        this.#end = this.#body + remaining;
        const packetBytes = this.#end - at;
        if (packetBytes > this.maxPacketBytes) {
          throw new ProtocolError(
            'too_large',
            `a packet of ${packetBytes} bytes, at most ${this.maxPacketBytes} are taken`,
          );
        }
        return true;
      }
      shift += 7;
      if (shift === 28) throw new ProtocolError('malformed', 'the remaining length has more than four bytes');
    }
    this.#end = 0;
    return false;
  }
}
