import { CLOSE_REASONS } from '#protocols/close-reasons.js';
import type { StoreLimits } from '../options.ts';
import { openStream } from '../sequence.ts';
import type { ConnectionRow, ControlResult, ControlWrite, SeriesUnit } from '../port.ts';
import { exists, notFound, takenOverDetail } from '../wording.ts';
import { MemoryOperators } from './operators.ts';
import { MemoryRetention } from './retention.ts';
import { appendBounded, type MemoryTables } from './tables.ts';

type Write<Op extends ControlWrite['op']> = Extract<ControlWrite, { op: Op }>;

/** The control writes on maps. Each either does all of its work or none. */
export class MemoryControl {
  readonly #tables: MemoryTables;
  readonly #limits: StoreLimits;
  readonly #operators: MemoryOperators;
  readonly #retention: MemoryRetention;

  constructor(tables: MemoryTables, limits: StoreLimits) {
    this.#operators = new MemoryOperators(tables);
    this.#retention = new MemoryRetention(tables);
    this.#tables = tables;
    this.#limits = limits;
  }

  apply(write: ControlWrite): ControlResult {
    switch (write.op) {
      case 'device.create':
        if (this.#tables.devices.has(write.device.id)) return exists('device', write.device.id);
        this.#tables.devices.set(write.device.id, { ...write.device });
        return { ok: true };
      case 'device.update':
        return this.#updateDevice(write);
      case 'device.delete':
        return this.#deleteDevice(write.id);
      case 'token.create':
        return this.#createToken(write);
      case 'token.delete':
        return this.#tables.tokens.delete(write.keyId) ? { ok: true } : notFound('token', write.keyId);
      case 'connection.open':
        return this.#openConnection(write);
      case 'connection.close':
        return this.#closeConnection(write);
      case 'connection.recover':
        return this.#recoverConnections(write);
      case 'stream.open':
        return this.#openStream(write);
      case 'command.create':
        return this.#createCommand(write);
      case 'command.update':
        return this.#updateCommand(write);
      case 'rejected.add':
        return this.#addRejected(write);
      case 'event.add':
        return this.#addEvent(write);
      case 'series.unit':
        return this.#setUnits([write]);
      case 'series.units':
        return this.#setUnits(write.units);
      case 'operator.create':
      case 'operator.update':
      case 'operator.delete':
      case 'signIn.create':
      case 'signIn.delete':
      case 'signIn.deleteOf':
        return this.#operators.apply(write);
      case 'retain.connections':
      case 'retain.rejected':
      case 'retain.commands':
      case 'retain.events':
        return this.#retention.apply(write);
    }
  }

  #setUnits(units: readonly SeriesUnit[]): ControlResult {
    const missing = units.find(({ series }) => !this.#tables.series.has(series));
    if (missing !== undefined) return notFound('series', String(missing.series));
    for (const { series, unit } of units) {
      this.#tables.series.set(series, { ...this.#tables.series.get(series)!, unit });
    }
    return { ok: true };
  }

  #updateDevice({ id, name, protocols, disabled }: Write<'device.update'>): ControlResult {
    const device = this.#tables.devices.get(id);
    if (device === undefined) return notFound('device', id);
    this.#tables.devices.set(id, {
      ...device,
      name: name === undefined ? device.name : name,
      protocols: protocols === undefined ? device.protocols : protocols,
      disabled: disabled ?? device.disabled,
    });
    return { ok: true };
  }

  #deleteDevice(id: string): ControlResult {
    const tables = this.#tables;
    if (!tables.devices.delete(id)) return notFound('device', id);
    for (const token of tables.tokens.values()) {
      if (token.kind === 'device' && token.subject === id) tables.tokens.delete(token.keyId);
    }
    for (const command of tables.commands.values()) {
      if (command.device !== id) continue;
      tables.commands.delete(command.id);
      tables.commandNumbers.delete(command.id);
      tables.history.delete(command.id);
    }
    tables.streams.delete(id);
    tables.gaps.delete(id);
    tables.events.delete(id);
    tables.rejected = tables.rejected.filter((row) => row.device !== id);
    tables.rejectedEvicted.delete(id);
    return { ok: true };
  }

  #createToken({ token }: Write<'token.create'>): ControlResult {
    if (token.kind === 'device' && !this.#tables.devices.has(token.subject)) return notFound('device', token.subject);
    if (this.#tables.tokens.has(token.keyId)) return exists('token', token.keyId);
    this.#tables.tokens.set(token.keyId, { ...token, hash: new Uint8Array(token.hash) });
    return { ok: true };
  }

  #openConnection(write: Write<'connection.open'>): ControlResult {
    const { device, protocol, address, clientId, timeUs } = write;
    const epoch = (this.#tables.epochs.get(device) ?? 0) + 1;
    this.#tables.epochs.set(device, epoch);
    this.#end(device, (row) => row.disconnectedUs === null, {
      disconnectedUs: timeUs,
      reason: 'taken_over',
      initiator: CLOSE_REASONS.taken_over.initiator,
      detail: takenOverDetail(epoch),
    });
    const open = { disconnectedUs: null, reason: null, initiator: null, detail: null };
    const row: ConnectionRow = { device, epoch, protocol, address, clientId, connectedUs: timeUs, ...open };
    const rows = this.#tables.connections.get(device) ?? [];
    // By epoch: some in between may have gone by age.
    const kept = rows.filter((old) => old.epoch > epoch - this.#limits.connectionsPerDevice);
    this.#tables.connections.set(device, [...kept, row]);
    return { ok: true, epoch };
  }

  #closeConnection({ device, epoch, reason, initiator, detail, timeUs }: Write<'connection.close'>): ControlResult {
    this.#end(device, (row) => row.epoch === epoch && row.disconnectedUs === null, {
      disconnectedUs: timeUs,
      reason,
      initiator,
      detail,
    });
    return { ok: true };
  }

  #recoverConnections({ reason, timeUs }: Write<'connection.recover'>): ControlResult {
    const { initiator } = CLOSE_REASONS[reason];
    const closed = [...this.#tables.connections.keys()].filter((device) =>
      this.#end(device, (row) => row.disconnectedUs === null, {
        disconnectedUs: timeUs,
        reason,
        initiator,
        detail: '',
      }),
    );
    return { ok: true, closed: closed.sort() };
  }

  /** Ends the connections of the device that match; says whether any did. */
  #end(device: string, matches: (row: ConnectionRow) => boolean, end: Partial<ConnectionRow>): boolean {
    const rows = this.#tables.connections.get(device) ?? [];
    const before = rows.some(matches);
    this.#tables.connections.set(
      device,
      rows.map((row) => (matches(row) ? { ...row, ...end } : row)),
    );
    return before;
  }

  #openStream({ device, stream: name, nextSeq, maxStreams, timeUs }: Write<'stream.open'>): ControlResult {
    const { mark, gap } = openStream(this.#tables.streamsOf(device).get(name)?.mark, nextSeq);
    if (gap !== null) {
      const row = { stream: name, ...gap, timeUs };
      appendBounded(this.#tables.gaps, device, row, this.#limits.gapsPerDevice);
    }
    this.#tables.stream(device, name, maxStreams).mark = mark;
    return { ok: true, resumeSeq: mark + 1 };
  }

  #createCommand({ command }: Write<'command.create'>): ControlResult {
    if (!this.#tables.devices.has(command.device)) return notFound('device', command.device);
    if (this.#tables.commands.has(command.id)) return exists('command', command.id);
    this.#tables.commands.set(command.id, { ...command });
    this.#tables.commandNumbers.set(command.id, this.#tables.nextCommandNumber());
    this.#tables.history.set(command.id, [{ state: command.state, timeUs: command.createdUs, detail: null }]);
    return { ok: true };
  }

  #updateCommand({ command, event }: Write<'command.update'>): ControlResult {
    const old = this.#tables.commands.get(command.id);
    if (old === undefined) return notFound('command', command.id);
    const { device, name, params, createdUs } = old;
    this.#tables.commands.set(command.id, { ...command, device, name, params, createdUs });
    appendBounded(this.#tables.history, command.id, { ...event }, this.#limits.historyPerCommand);
    return { ok: true };
  }

  #addRejected({ rejected, keepPerDevice, keepInAll }: Write<'rejected.add'>): ControlResult {
    const tables = this.#tables;
    const payload = new Uint8Array(rejected.payload);
    tables.rejected.push({ ...rejected, payload, id: tables.nextRejectedId() });
    const ofDevice = tables.rejected.filter((row) => row.device === rejected.device);
    const gone = new Set(ofDevice.slice(0, Math.max(0, ofDevice.length - keepPerDevice)));
    const rest = tables.rejected.filter((row) => !gone.has(row));
    for (const row of rest.slice(0, Math.max(0, rest.length - keepInAll))) gone.add(row);
    tables.rejected = tables.rejected.filter((row) => !gone.has(row));
    for (const { device } of gone) tables.rejectedEvicted.set(device, (tables.rejectedEvicted.get(device) ?? 0) + 1);
    return { ok: true, evicted: gone.size };
  }

  #addEvent({ event, keepPerDevice }: Write<'event.add'>): ControlResult {
    const row = { ...event, payload: new Uint8Array(event.payload), id: this.#tables.nextEventId() };
    return { ok: true, evicted: appendBounded(this.#tables.events, event.device, row, keepPerDevice) };
  }
}
