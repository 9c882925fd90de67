import type { Connection } from './connection.ts';

/** All open connections: by id, and by who holds the place of a device or of an application's client. */
export class Connections {
  readonly #byId = new Map<string, Connection>();
  readonly #holders = new Map<string, Connection>();

  add(connection: Connection): void {
    this.#byId.set(connection.id, connection);
  }

  /** Frees the place only if this connection still has it. */
  remove(connection: Connection): void {
    this.#byId.delete(connection.id);
    const { holder } = connection;
    if (holder !== null && this.#holders.get(holder) === connection) this.#holders.delete(holder);
  }

  get(id: string): Connection | undefined {
    return this.#byId.get(id);
  }

  holderOf(holder: string): Connection | undefined {
    return this.#holders.get(holder);
  }

  hold(holder: string, connection: Connection): void {
    connection.holder = holder;
    this.#holders.set(holder, connection);
  }

  all(): IterableIterator<Connection> {
    return this.#byId.values();
  }

  /** Clients that have identified themselves: devices, and applications by client id. */
  get clients(): number {
    return this.#holders.size;
  }

  get size(): number {
    return this.#byId.size;
  }
}
