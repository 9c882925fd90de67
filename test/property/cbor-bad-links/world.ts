import { TYPE } from '#protocols/cbor/messages.js';
import { DEFAULT_LIMITS } from '#protocols/limits.js';
import { SENML } from '#protocols/payload/senml.js';
import { flawOfMessage } from '#test/support/cddl/muster.js';
import { decodeDeviceMessage, decodeHubMessage } from '#protocols/cbor/codec.js';
import { DEVICE, HubSide, WINDOW, type HubConnection, type HubFaults } from './hub-side.ts';
import { kindOf, SimpleDevice, type DeviceFaults, type Kind } from './simple-device.ts';

/** One thing that happens. The link carries messages in order, as WebSocket does, where it is not said otherwise. */
export type Step =
  /** The device measures. */
  | { readonly do: 'produce'; readonly count: number }
  /** Messages arrive at the hub, at the device. What is left is delayed. */
  | { readonly do: 'up' | 'down'; readonly count: number }
  /** One message is lost in the middle, which no WebSocket does; a gateway of somebody's own might. */
  | { readonly do: 'loseUp' | 'loseDown' }
  /** The link breaks with all that is on it. Either side may not notice for a while. */
  | { readonly do: 'cut'; readonly hubHears: boolean; readonly deviceHears: boolean }
  /** The device comes (back), from a live connection too. */
  | { readonly do: 'connect' }
  /** The device restarts and has lost its queue. */
  | { readonly do: 'lose' }
  /** An operator sends a command. */
  | { readonly do: 'command' }
  /** The disk becomes slow, quick again, or refuses the next commit. */
  | { readonly do: 'slowDisk' | 'quickDisk' | 'fullDisk' }
  /** The hub dies and comes back. */
  | { readonly do: 'restart' };

export interface Faults extends DeviceFaults, HubFaults {}

/** A rule was broken. */
export class Broken extends Error {}

interface Link {
  readonly up: Buffer[];
  readonly down: Buffer[];
  readonly hub: HubConnection;
  alive: boolean;
  /** Commands that the hub has sent on it. */
  readonly commands: Set<string>;
}

/** A device, a hub, and a bad link between them, with the rules that must hold at every moment. */
export class World {
  readonly hub: HubSide;
  readonly device: SimpleDevice;
  #link: Link | null = null;
  #produced = 0;
  /** What the device lost with its queue: it may stand on disk or not. */
  readonly #lost = new Set<number>();
  readonly #commands: string[] = [];
  readonly #creating: Promise<unknown>[] = [];

  constructor(faults: Faults) {
    this.hub = new HubSide(faults);
    this.device = new SimpleDevice(faults);
    this.device.onAck = (seq) => {
      const decided = this.hub.store.decided.get(this.device.stream) ?? 0;
      if (faults.forgetsPositions !== true && seq > decided) throw new Broken(`ACK ${seq}, and ${decided} is on disk`);
    };
    this.device.onDone = (id) => {
      if (!this.hub.store.finals.has(id)) throw new Broken(`DONE ${id}, whose result is not on disk`);
    };
  }

  async run(steps: readonly Step[]): Promise<void> {
    await this.hub.start();
    for (const step of steps) {
      await this.#step(step);
      await this.hub.pass();
    }
    await this.#heal();
    await this.#verify();
  }

  async #step(step: Step): Promise<void> {
    const { store } = this.hub;
    switch (step.do) {
      case 'produce':
        for (let i = 0; i < step.count; i++) this.#produce();
        return;
      case 'up':
        for (let i = 0; i < step.count; i++) this.#arriveAtHub();
        return;
      case 'down':
        for (let i = 0; i < step.count; i++) this.#arriveAtDevice();
        return;
      case 'loseUp':
        // A HELLO that is lost is a connection that is cut before it began.
        if (this.device.state === 'open') this.#link?.up.shift();
        return;
      case 'loseDown':
        this.#link?.down.shift();
        return;
      case 'cut':
        this.#cut(step.hubHears, step.deviceHears);
        return;
      case 'connect':
        this.#connect();
        return;
      case 'lose':
        this.#cut(false, true);
        for (const n of this.device.lose()) this.#lost.add(n);
        return;
      case 'command':
        this.#creating.push(
          this.hub.desk.create({ device: DEVICE, name: 'turn', params: {} }).then(
            (row) => this.#commands.push(row.id),
            () => undefined,
          ),
        );
        return;
      case 'slowDisk':
        store.hold();
        return;
      case 'quickDisk':
        store.release();
        return;
      case 'fullDisk':
        store.failNext('full');
        return;
      case 'restart':
        this.#cut(true, true);
        await this.hub.restart();
    }
  }

  #produce(): void {
    this.#produced++;
    this.device.produce();
  }

  #connect(): void {
    this.#cut(false, true);
    const down: Buffer[] = [];
    const hub = this.hub.connect((message) => this.#fromHub(link, message));
    const link: Link = { up: [], down, hub, alive: true, commands: new Set() };
    this.#link = link;
    this.device.connected((message) => this.#fromDevice(link, message));
  }

  #cut(hubHears: boolean, deviceHears: boolean): void {
    const link = this.#link;
    if (link === null) return;
    link.alive = false;
    link.up.length = 0;
    link.down.length = 0;
    if (hubHears) link.hub.end('connection_lost');
    if (!deviceHears) return;
    this.#link = null;
    this.device.disconnected();
  }

  #fromDevice(link: Link, message: Buffer): void {
    check('device-message', message);
    if (this.device.underWay >= WINDOW && isNumbered(message) && this.device.state === 'open') {
      throw new Broken(`${this.device.underWay + 1} messages are under way in a window of ${WINDOW}`);
    }
    if (link.alive) link.up.push(message);
  }

  #fromHub(link: Link, message: Buffer): void {
    check('hub-message', message);
    const said = decodeHubMessage(message);
    if (said.type === 'command') {
      if (link.commands.has(said.id)) throw new Broken(`command ${said.id} twice in one connection`);
      link.commands.add(said.id);
    }
    if (link.alive) link.down.push(message);
  }

  #arriveAtHub(): void {
    const message = this.#link?.up.shift();
    if (message !== undefined) this.#link!.hub.receive(message);
  }

  #arriveAtDevice(): void {
    const message = this.#link?.down.shift();
    if (message !== undefined) this.device.receive(message);
  }

  /** The network and the disk are well from now on; the device connects once more and sends what is left. */
  async #heal(): Promise<void> {
    await this.hub.heal();
    await Promise.all(this.#creating);
    this.#connect();
    for (let rounds = 0; rounds < 400; rounds++) {
      for (let i = 0; i < 4; i++) this.#arriveAtHub();
      await this.hub.pass();
      for (let i = 0; i < 4; i++) this.#arriveAtDevice();
      if (this.device.state === 'open' && this.device.idle && this.#quiet()) return;
    }
    throw new Broken(
      `the device does not get on: ${this.device.queue.length} messages, ${this.device.owed.size} results`,
    );
  }

  #quiet(): boolean {
    return this.#link!.up.length === 0 && this.#link!.down.length === 0;
  }

  async #verify(): Promise<void> {
    const { read } = this.hub.store;
    this.#complete(
      'readings',
      'data',
      (await read.log(0, 10_000)).map(({ value }) => value as number),
    );
    const events = (await read.events(DEVICE, { limit: 1000, after: null })).items.toReversed();
    this.#complete(
      'events',
      'event',
      events.map(({ payload }) => JSON.parse(Buffer.from(payload).toString()) as number),
    );
    const rejected = (await read.rejected(DEVICE, { limit: 1000, after: null })).items.toReversed();
    this.#complete(
      'refused',
      'bad',
      rejected.map(({ payload }) => valueIn(Buffer.from(payload))),
    );
    // One whose creator was not told, because the hub died, may stand there too.
    const commands = (await read.commands(DEVICE, { limit: 1000, after: null, state: null })).items;
    const known = commands.map(({ id }) => id);
    same(
      'commands lost',
      this.#commands.filter((id) => !known.includes(id)),
      [],
    );
    for (const { id, state } of commands) {
      const times = this.hub.store.finals.get(id) ?? 0;
      if (times !== 1 || state !== 'succeeded')
        throw new Broken(`the result of ${id} was decided ${times} times (${state})`);
    }
    same('commands worked on', this.device.worked.toSorted(), known.toSorted());
  }

  /** Everything of that kind once and in order; what the device lost itself may be missing. */
  #complete(what: string, kind: Kind, there: readonly number[]): void {
    const all = Array.from({ length: this.#produced }, (_, i) => i + 1);
    const found = new Set(there);
    same(
      what,
      there,
      all.filter((n) => kindOf(n) === kind && (found.has(n) || !this.#lost.has(n))),
    );
  }
}

/** The value in a DATA message with one record. */
function valueIn(payload: Buffer): number {
  const message = decodeDeviceMessage(payload, DEFAULT_LIMITS);
  if (message.type !== 'data') throw new Broken(`${message.type} among what was refused`);
  return (message.records as Map<number, number>[])[0]!.get(SENML.v)!;
}

function isNumbered(message: Buffer): boolean {
  return message[1] === TYPE.data || message[1] === TYPE.event;
}

function check(side: 'device-message' | 'hub-message', message: Buffer): void {
  const found = flawOfMessage(side, message);
  if (found !== null) throw new Broken(found);
}

function same(what: string, actual: readonly unknown[], expected: readonly unknown[]): void {
  if (JSON.stringify(actual) !== JSON.stringify(expected)) {
    throw new Broken(`${what}: ${JSON.stringify(actual)} instead of ${JSON.stringify(expected)}`);
  }
}
