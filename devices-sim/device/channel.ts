import type { Message } from './message.ts';
import type { DeviceSocket, OpenSocket, SocketEnd } from './socket.ts';
import type { DeviceWire, Receipt, StreamStart, WireEvents, WireLink, WireResult } from './wire.ts';

/** What a channel tells its device besides what wires do. */
export interface ChannelEvents extends WireEvents {
  /** Something was heard from the hub. */
  heard(): void;
  /** The hub broke the protocol. The device ends the channel. */
  broken(text: string): void;
  /** Once, and last. */
  closed(end: SocketEnd): void;
}

/** One connection of a device, from the attempt to its end: a wire on a socket, or HTTP requests. */
export interface Channel {
  /** Messages that may be sent and not yet acknowledged. */
  readonly window: number;
  /** A new channel can say that messages were left out; elsewhere only a new stream can. */
  readonly opensGaps: boolean;
  /** As `DeviceWire.send`. */
  send(seq: number, message: Message, resent: boolean): boolean;
  received(receipt: Receipt): void;
  /** As `DeviceWire.result`. */
  result(result: WireResult): boolean;
  beat(): void;
  /** A polite end; `ready`: the hub has taken the device in. `closed` follows. */
  close(ready: boolean): void;
  /** At once, without a goodbye. */
  terminate(): void;
}

/** Begins a connection. Events come later, never before it returns. */
export type OpenChannel = (start: StreamStart, events: ChannelEvents) => Channel;

/** Opens a fresh wire for each connection. */
export type OpenWire = (start: StreamStart, link: WireLink, events: WireEvents) => DeviceWire;

/** Channels made of a WebSocket and a wire that speaks on it. */
export function webSocketChannels(openSocket: OpenSocket, openWire: OpenWire): OpenChannel {
  return (start, events) => new WebSocketChannel(openSocket, openWire, start, events);
}

class WebSocketChannel implements Channel {
  readonly #wire: DeviceWire;
  readonly #socket: DeviceSocket;

  constructor(openSocket: OpenSocket, openWire: OpenWire, start: StreamStart, events: ChannelEvents) {
    this.#wire = openWire(start, { send: (unit) => this.#socket.send(unit) }, events);
    this.#socket = openSocket({
      opened: () => this.#wire.open(),
      message: (data, isText) => this.#receive(data, isText, events),
      alive: () => events.heard(),
      closed: (end) => events.closed(end),
    });
  }

  get window(): number {
    return this.#wire.window;
  }

  get opensGaps(): boolean {
    return this.#wire.opensGaps;
  }

  send(seq: number, message: Message, resent: boolean): boolean {
    return this.#wire.send(seq, message, resent);
  }

  received(receipt: Receipt): void {
    this.#wire.received(receipt);
  }

  result(result: WireResult): boolean {
    return this.#wire.result(result);
  }

  beat(): void {
    this.#wire.beat();
  }

  close(ready: boolean): void {
    if (ready) this.#wire.goodbye();
    this.#socket.close();
  }

  terminate(): void {
    this.#socket.terminate();
  }

  #receive(data: Uint8Array, isText: boolean, events: ChannelEvents): void {
    events.heard();
    try {
      this.#wire.receive(data, isText);
    } catch (error) {
      events.broken(error instanceof Error ? error.message : String(error));
    }
  }
}
