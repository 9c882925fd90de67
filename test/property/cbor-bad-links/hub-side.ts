import { cborSubprotocol } from '#protocols/cbor/session.js';
import type { CloseReason } from '#protocols/close-reasons.js';
import { REJECT_CODES, type RejectCode } from '#protocols/errors.js';
import type { CommandProgress } from '#protocols/message.js';
import { STORED, type Pending } from '#protocols/outcome.js';
import type { Reading, StreamPosition } from '#protocols/reading.js';
import type { DeviceSession } from '#protocols/subprotocol.js';
import { CommandDesk, type CommandSink } from '#hub/fleet/commands.js';
import { MemoryStore } from '#hub/store/memory.js';
import type { BatchResult, WriteBatch } from '#hub/store/port.js';
import { TelemetryPath } from '#hub/telemetry/telemetry.js';
import { FakeHost, FakeLink } from '#test/support/fake-host.js';
import { fleetParts } from '#test/support/hub-parts.js';

/** Where the faulty hubs of the tests differ from the real one. */
export interface HubFaults {
  /** Acknowledges what is not on disk yet. */
  readonly acknowledgesEarly?: true;
  /** Stores by content alone: what comes again is stored again. */
  readonly forgetsPositions?: true;
  /** Says DONE before the result is on disk. */
  readonly doneEarly?: true;
  /** Tells a device to go on one message further than it has. */
  readonly resumesTooFar?: true;
  /** Takes messages past a gap. */
  readonly skipsGaps?: true;
}

export const DEVICE = 'd1';
export const WINDOW = 4;

/** The store, and what has become durable in it. */
class WatchedStore extends MemoryStore {
  /** Stream to the highest seq that is decided on disk. */
  readonly decided = new Map<string, number>();
  /** Command id to how often a final state was written. */
  readonly finals = new Map<string, number>();
  faults: HubFaults = {};

  override async commit(batch: WriteBatch): Promise<BatchResult> {
    const result = await super.commit(this.faults.skipsGaps === true ? this.#ordered(batch) : batch);
    batch.sequenced.forEach(({ stream, seq }, i) => {
      if (result.sequenced[i]!.kind === 'stored') this.#decide(stream, seq);
    });
    batch.control.forEach((write, i) => {
      const done = result.control[i]!;
      if (!done.ok) return;
      if (write.op === 'command.update' && write.command.state === 'succeeded') {
        this.finals.set(write.command.id, (this.finals.get(write.command.id) ?? 0) + 1);
      }
      if (write.op === 'stream.open') this.#decide(write.stream, (done.resumeSeq ?? 1) - 1);
    });
    return result;
  }

  /** Renumbers, so that no message is past a gap. */
  #ordered(batch: WriteBatch): WriteBatch {
    const marks = new Map(this.decided);
    const next = (stream: string): number => {
      const mark = (marks.get(stream) ?? 0) + 1;
      marks.set(stream, mark);
      return mark;
    };
    const renumbered = batch.sequenced.map((m) =>
      m.seq > (marks.get(m.stream) ?? 0) ? { ...m, seq: next(m.stream) } : m,
    );
    return { ...batch, sequenced: renumbered };
  }

  #decide(stream: string, seq: number): void {
    this.decided.set(stream, Math.max(this.decided.get(stream) ?? 0, seq));
  }
}

/** The real store in memory, the real way of readings and commands, and sessions of the real protocol on links of the test. */
export class HubSide {
  readonly store = new WatchedStore();
  readonly faults: HubFaults;
  desk!: CommandDesk;
  telemetry!: TelemetryPath;
  /** The connection that the hub believes in. */
  current: HubConnection | null = null;
  #parts!: Awaited<ReturnType<typeof fleetParts>>;

  constructor(faults: HubFaults) {
    this.faults = faults;
    this.store.faults = faults;
  }

  async start(): Promise<void> {
    this.#parts = await fleetParts();
    await this.store.open();
    await this.#parts.devices.create({ id: DEVICE });
    this.#boot();
    const creating = this.telemetry.write({ op: 'device.create', device: this.#parts.devices.row(DEVICE)! });
    await this.pass();
    await creating;
  }

  /** The process dies and comes back: what was not on disk is gone, and nobody was told. */
  async restart(): Promise<void> {
    this.telemetry.abandon();
    this.desk.close();
    this.current = null;
    this.store.release();
    await this.pass();
    this.#boot();
    const state = await this.store.read.startState();
    this.telemetry.restore(state);
    this.desk.restore(state);
  }

  connect(sent: (message: Buffer) => void): HubConnection {
    return new HubConnection(this, sent);
  }

  /** Lets commits and what follows from them happen. */
  async pass(): Promise<void> {
    for (let i = 0; i < 3; i++) await new Promise<void>((resolve) => setImmediate(resolve));
  }

  /** The disk is well again, and what was refused is tried again. */
  async heal(): Promise<void> {
    this.store.release();
    this.store.clearFailures();
    for (let i = 0; i < 8; i++) {
      this.#parts.clock.advance(2000);
      await this.pass();
    }
  }

  get nowMs(): number {
    return this.#parts.clock.now();
  }

  #boot(): void {
    const { clock, devices } = this.#parts;
    const limits = { backlogHighRows: 1e6, backlogLowRows: 1, backlogHighBytes: 1e9, backlogLowBytes: 1 };
    this.telemetry = new TelemetryPath(
      this.store,
      clock,
      { maxSeriesPerDevice: 9, ...limits },
      {
        committed: () => undefined,
        failed: () => undefined,
        recovered: () => undefined,
        fault: (error) => {
          throw error;
        },
      },
    );
    this.desk = new CommandDesk(this.telemetry, this.store.read, devices, clock, {
      maxPendingCommands: 1000,
      commandTtlMs: 3600_000,
      commandResponseTimeoutMs: 3600_000,
      maxCommandBytes: 100,
    });
  }
}

/** One connection as the hub sees it. */
export class HubConnection {
  readonly session: DeviceSession;
  closed: CloseReason | null = null;
  readonly #host: Host;

  constructor(hub: HubSide, sent: (message: Buffer) => void) {
    const link = new FakeLink();
    link.send = (unit) => {
      if (this.closed === null) sent(Buffer.from(unit as Buffer));
    };
    link.close = (reason) => this.end(reason);
    this.#host = new Host(hub, this);
    this.session = cborSubprotocol.open(link, this.#host, {
      connectionId: 'c',
      subprotocol: 'v1.cbor.muster',
      principal: null,
    });
  }

  /** A ProtocolError is a fault: these devices keep to the rules. */
  receive(message: Buffer): void {
    if (this.closed === null) this.session.receive(message, false);
  }

  /** The connection is over, for whatever reason. */
  end(reason: CloseReason): void {
    if (this.closed !== null) return;
    if (reason === 'taken_over') this.session.end(reason, '', {});
    this.closed = reason;
    this.#host.detach();
    this.session.closed(reason);
  }
}

/** What HubSession does, without a gateway: everything goes to the real parts. */
class Host extends FakeHost implements CommandSink {
  readonly #hub: HubSide;
  readonly #connection: HubConnection;

  constructor(hub: HubSide, connection: HubConnection) {
    super({ windowMessages: WINDOW });
    this.#hub = hub;
    this.#connection = connection;
    this.clock = hub.nowMs;
    const known = this.identity!;
    this.identity = (request) => {
      hub.current?.end('taken_over');
      hub.current = connection;
      return known(request);
    };
  }

  override now(): number {
    return this.#hub.nowMs;
  }

  override openStream(stream: string, nextSeq: number, done: (resumeSeq: number | null) => void): void {
    const timeUs = this.now() * 1000;
    this.#hub.telemetry
      .write({ op: 'stream.open', device: DEVICE, stream, nextSeq, maxStreams: 4, timeUs })
      .then(
        (result) => {
          const resumeSeq = result.ok ? (result.resumeSeq ?? null) : null;
          return resumeSeq !== null && this.#hub.faults.resumesTooFar === true ? resumeSeq + 1 : resumeSeq;
        },
        () => null,
      )
      .then((resumeSeq) => {
        if (this.#connection.closed === null) done(resumeSeq);
      })
      .catch(fault);
  }

  override ready(): void {
    this.#hub.desk.attach(DEVICE, this);
    this.#hub.desk.offer(DEVICE);
  }

  override readyForCommands(): void {
    if (this.#connection.closed === null) this.#hub.desk.offer(DEVICE);
  }

  deliver(command: Parameters<DeviceSession['deliver']>[0]): boolean {
    return this.#connection.closed === null && this.#connection.session.deliver(command);
  }

  detach(): void {
    this.#hub.desk.detach(DEVICE, this);
  }

  override ingest(readings: readonly Reading[], pending: Pending, position?: StreamPosition): void {
    const { telemetry, faults } = this.#hub;
    telemetry.accept(DEVICE, readings, pending, this.#known(position));
    if (faults.acknowledgesEarly === true) pending.settle(STORED);
  }

  override event(name: string, value: unknown, pending: Pending, position?: StreamPosition): void {
    const payload = Buffer.from(JSON.stringify(value));
    const event = { device: DEVICE, timeUs: this.now() * 1000, name, contentType: 'application/json', payload };
    this.#hub.telemetry.record(
      DEVICE,
      { op: 'event.add', event, keepPerDevice: 1000 },
      pending,
      'stored',
      this.#known(position),
    );
  }

  override reject(
    payload: Buffer,
    code: RejectCode,
    message: string,
    pending: Pending,
    position?: StreamPosition,
  ): void {
    const rejected = {
      device: DEVICE,
      timeUs: this.now() * 1000,
      protocol: 'cbor',
      topic: '',
      contentType: null,
      code,
      message,
      payload: Buffer.from(payload),
    };
    const control = { op: 'rejected.add', rejected, keepPerDevice: 1000, keepInAll: 1000 } as const;
    this.#hub.telemetry.record(DEVICE, control, pending, 'rejected', this.#known(position));
  }

  #known(position: StreamPosition | undefined): StreamPosition | undefined {
    return this.#hub.faults.forgetsPositions === true ? undefined : position;
  }

  override progress(commandId: string, progress: CommandProgress, pending: Pending): void {
    if (this.#hub.faults.doneEarly === true) pending.settle(STORED);
    this.#hub.desk.progress(DEVICE, commandId, progress).then(
      (known) => {
        if (known === 'stored') pending.settle(STORED);
        else this.reject(Buffer.alloc(0), 'unknown_command', REJECT_CODES.unknown_command, pending);
      },
      () => undefined, // the hub died in between
    );
  }
}

function fault(error: unknown): void {
  throw error;
}
