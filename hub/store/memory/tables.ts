import type { Value } from '#protocols/reading.js';
import type {
  CommandEvent,
  CommandRow,
  ConnectionRow,
  DeviceRow,
  EventRow,
  OperatorRow,
  RejectedRow,
  SeriesRow,
  SignInRow,
  TokenRow,
} from '../port.ts';
import { MemorySessions } from './sessions.ts';

export interface Stream {
  mark: number;
  /** Rising with each use: the smallest is the longest unused. */
  used: number;
}

export interface Gap {
  readonly stream: string;
  readonly fromSeq: number;
  readonly toSeq: number;
  readonly timeUs: number;
}

/** What the memory store holds. The row `i` of `log` has the id `i + 1`. */
export class MemoryTables {
  readonly devices = new Map<string, DeviceRow>();
  readonly tokens = new Map<string, TokenRow>();
  readonly series = new Map<number, SeriesRow>();
  readonly log: { readonly series: number; readonly timeUs: number; readonly value: Value }[] = [];
  readonly epochs = new Map<string, number>();
  readonly connections = new Map<string, ConnectionRow[]>();
  readonly streams = new Map<string, Map<string, Stream>>();
  readonly gaps = new Map<string, Gap[]>();
  readonly commands = new Map<string, CommandRow>();
  /** In the order of creation. */
  readonly commandNumbers = new Map<string, number>();
  readonly history = new Map<string, CommandEvent[]>();
  rejected: RejectedRow[] = [];
  readonly rejectedEvicted = new Map<string, number>();
  readonly events = new Map<string, EventRow[]>();
  readonly operators = new Map<string, OperatorRow>();
  /** By the hash in hex. */
  readonly signIns = new Map<string, SignInRow>();
  readonly sessions = new MemorySessions();
  #used = 0;
  #rejectedId = 0;
  #eventId = 0;
  #commandNumber = 0;

  nextUse(): number {
    return ++this.#used;
  }

  nextRejectedId(): number {
    return ++this.#rejectedId;
  }

  nextEventId(): number {
    return ++this.#eventId;
  }

  nextCommandNumber(): number {
    return ++this.#commandNumber;
  }

  /** The stream, used now; a new one stands before its first number. At most `most` of the device stay. */
  stream(device: string, name: string, most: number): Stream {
    const streams = this.streamsOf(device);
    let stream = streams.get(name);
    if (stream === undefined) {
      stream = { mark: 0, used: 0 };
      streams.set(name, stream);
    }
    stream.used = this.nextUse();
    this.trimStreams(device, most);
    return stream;
  }

  streamsOf(device: string): Map<string, Stream> {
    let streams = this.streams.get(device);
    if (streams === undefined) this.streams.set(device, (streams = new Map<string, Stream>()));
    return streams;
  }

  trimStreams(device: string, most: number): void {
    const streams = this.streamsOf(device);
    while (streams.size > Math.max(1, most)) {
      const [oldest] = [...streams].reduce((a, b) => (a[1].used < b[1].used ? a : b));
      streams.delete(oldest);
    }
  }
}

/** Appends to the list of `key` and lets the oldest go; returns how many went. */
export function appendBounded<T>(lists: Map<string, T[]>, key: string, item: T, most: number): number {
  const list = lists.get(key) ?? [];
  list.push(item);
  lists.set(key, list);
  const over = Math.max(0, list.length - most);
  list.splice(0, over);
  return over;
}
