import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import type { Random } from './random.ts';

/** What a bad link does. */
export interface LinkOptions {
  /** Where the hub really is: `ws://…`. */
  readonly url: string;
  /** Of the chunks that pass in either direction, handshakes included, the share that is cut, in [0, 1]. */
  readonly cuts: number;
  readonly random: Random;
}

/** What went through a link. */
export interface LinkFigures {
  readonly connections: number;
  readonly chunks: number;
  readonly cuts: number;
}

/** A cut connection, on both sides. */
interface Pair {
  readonly device: Socket;
  readonly hub: Socket;
  isCut: boolean;
}

/**
 * A relay between devices and hub that cuts connections: a chunk of bytes (on a quiet link: a message) is lost, or comes
 * in part, or comes whole, and then the connection is gone on both sides. What came before it did come.
 */
export class BadLink {
  readonly #options: LinkOptions;
  readonly #server: Server;
  readonly #pairs = new Set<Pair>();
  #cuts: number;
  #connections = 0;
  #chunks = 0;
  #cut = 0;

  private constructor(options: LinkOptions) {
    this.#options = options;
    this.#cuts = options.cuts;
    this.#server = createServer({ allowHalfOpen: true }, (socket) => this.#relay(socket));
  }

  /** Listens on a free port of 127.0.0.1. Rejects when there is none. */
  static open(options: LinkOptions): Promise<BadLink> {
    const link = new BadLink(options);
    return new Promise((resolve, reject) => {
      link.#server.once('error', reject);
      link.#server.listen({ host: '127.0.0.1', port: 0, backlog: 4096 }, () => {
        link.#server.off('error', reject);
        link.#server.on('error', () => undefined);
        resolve(link);
      });
    });
  }

  /** The hub's URL as the devices see it. */
  get url(): string {
    const url = new URL(this.#options.url);
    url.hostname = '127.0.0.1';
    url.port = String((this.#server.address() as AddressInfo).port);
    return url.href;
  }

  get figures(): LinkFigures {
    return { connections: this.#connections, chunks: this.#chunks, cuts: this.#cut };
  }

  /** Cuts nothing any more: what is still owed can be acknowledged. */
  heal(): void {
    this.#cuts = 0;
  }

  /** Resolves when nothing of it is open. */
  close(): Promise<void> {
    for (const pair of this.#pairs) {
      pair.device.destroy();
      pair.hub.destroy();
    }
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  #relay(device: Socket): void {
    const { hostname, port } = new URL(this.#options.url);
    const hub = connect({
      host: hostname.replace(/^\[|\]$/g, ''),
      port: port === '' ? 80 : Number(port),
      // The hub counts connections by address, and sees the device's own.
      ...(isLoopback4(hostname) && isLoopback4(device.remoteAddress) ? { localAddress: device.remoteAddress! } : {}),
      allowHalfOpen: true,
      noDelay: true,
    });
    device.setNoDelay(true);
    const pair: Pair = { device, hub, isCut: false };
    this.#connections++;
    this.#pairs.add(pair);
    this.#join(pair, device, hub);
    this.#join(pair, hub, device);
  }

  #join(pair: Pair, from: Socket, to: Socket): void {
    from.on('data', (chunk) => this.#pass(pair, from, to, chunk));
    from.on('end', () => to.end());
    from.on('error', () => to.destroy());
    from.on('close', () => {
      if (!pair.isCut) to.destroySoon();
      if (to.destroyed) this.#pairs.delete(pair);
    });
    to.on('drain', () => from.resume());
  }

  #pass(pair: Pair, from: Socket, to: Socket, chunk: Buffer): void {
    if (pair.isCut) return;
    this.#chunks++;
    const { random } = this.#options;
    if (random.next() < this.#cuts) {
      this.#cut++;
      pair.isCut = true;
      // Equally often: nothing of it, a part of it, all of it.
      const kind = random.integer(3);
      const bytes = kind === 0 ? 0 : kind === 1 ? random.integer(chunk.length) : chunk.length;
      if (bytes > 0) to.write(chunk.subarray(0, bytes));
      // What was passed on before still arrives.
      to.destroySoon();
      from.destroy();
      return;
    }
    if (!to.write(chunk)) from.pause();
  }
}

function isLoopback4(host: string | undefined): boolean {
  return host !== undefined && /^127\.\d+\.\d+\.\d+$/.test(host);
}
