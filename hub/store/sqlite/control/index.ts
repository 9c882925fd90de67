import type { Database, Statement } from 'better-sqlite3';
import type { StoreLimits } from '../../options.ts';
import type { ControlResult, ControlWrite, SeriesUnit } from '../../port.ts';
import { notFound } from '../../wording.ts';
import { isOwnFault } from '../errors.ts';
import type { Marks } from '../marks.ts';
import { CommandWrites } from './commands.ts';
import { ConnectionWrites } from './connections.ts';
import { DeviceWrites } from './devices.ts';
import { KeptWrites } from './kept.ts';
import { OperatorWrites } from './operators.ts';
import { RetentionWrites } from './retention.ts';
import { StreamWrites } from './streams.ts';

/** The control writes of a batch, each in a savepoint: one that fails by its own data leaves nothing behind and does not hurt the others. */
export class ControlWriter {
  readonly #devices: DeviceWrites;
  readonly #connections: ConnectionWrites;
  readonly #streams: StreamWrites;
  readonly #commands: CommandWrites;
  readonly #kept: KeptWrites;
  readonly #operators: OperatorWrites;
  readonly #retention: RetentionWrites;
  readonly #setUnit: Statement;
  readonly #savepoint: Statement;
  readonly #release: Statement;
  readonly #rollback: Statement;

  constructor(db: Database, limits: StoreLimits, marks: Marks) {
    this.#kept = new KeptWrites(db);
    this.#devices = new DeviceWrites(db, this.#kept);
    this.#connections = new ConnectionWrites(db, limits.connectionsPerDevice);
    this.#streams = new StreamWrites(db, marks, limits.gapsPerDevice);
    this.#commands = new CommandWrites(db, limits.historyPerCommand);
    this.#operators = new OperatorWrites(db);
    this.#retention = new RetentionWrites(db, this.#kept);
    this.#setUnit = db.prepare('UPDATE series SET unit = :unit WHERE id = :series');
    this.#savepoint = db.prepare('SAVEPOINT control');
    this.#release = db.prepare('RELEASE control');
    this.#rollback = db.prepare('ROLLBACK TO control');
  }

  /** Throws when the disk fails, not when the write does. */
  apply(write: ControlWrite): ControlResult {
    this.#savepoint.run();
    try {
      const result = this.#run(write);
      this.#release.run();
      return result;
    } catch (error) {
      if (!isOwnFault(error)) throw error;
      this.#rollback.run();
      this.#release.run();
      return {
        ok: false,
        code: 'failed',
        message: `${write.op}: ${error instanceof Error ? error.message : String(error)}`,
      };
    }
  }

  #run(write: ControlWrite): ControlResult {
    switch (write.op) {
      case 'device.create':
        return this.#devices.create(write.device);
      case 'device.update':
        return this.#devices.update(write);
      case 'device.delete':
        return this.#devices.delete(write.id);
      case 'token.create':
        return this.#devices.createToken(write.token);
      case 'token.delete':
        return this.#devices.deleteToken(write.keyId);
      case 'connection.open':
        return this.#connections.open(write);
      case 'connection.close':
        return this.#connections.close(write);
      case 'connection.recover':
        return this.#connections.recover(write.reason, write.timeUs);
      case 'stream.open':
        return this.#streams.open(write);
      case 'command.create':
        return this.#devices.has(write.command.device)
          ? this.#commands.create(write.command)
          : this.#devices.missing(write.command.device);
      case 'command.update':
        return this.#commands.update(write.command, write.event);
      case 'rejected.add':
        return this.#kept.addRejected(write.rejected, write.keepPerDevice, write.keepInAll);
      case 'event.add':
        return this.#kept.addEvent(write.event, write.keepPerDevice);
      case 'series.unit':
        return this.#setUnits([write]);
      case 'series.units':
        return this.#setUnits(write.units);
      case 'operator.create':
        return this.#operators.create(write.operator);
      case 'operator.update':
        return this.#operators.update(write.operator);
      case 'operator.delete':
        return this.#operators.delete(write.name);
      case 'signIn.create':
        return this.#operators.createSignIn(write.signIn);
      case 'signIn.delete':
        return this.#operators.deleteSignIn(write.hash);
      case 'signIn.deleteOf':
        return this.#operators.deleteSignInsOf(write.operator);
      case 'retain.connections':
      case 'retain.rejected':
      case 'retain.commands':
      case 'retain.events':
        return this.#retention.apply(write);
    }
  }

  #setUnits(units: readonly SeriesUnit[]): ControlResult {
    const missing = units.find((unit) => this.#setUnit.run(unit).changes === 0);
    return missing === undefined ? { ok: true } : notFound('series', String(missing.series));
  }
}

/** One kind of control write. */
export type Write<Op extends ControlWrite['op']> = Extract<ControlWrite, { op: Op }>;
