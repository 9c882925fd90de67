import { open, rename, rm, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { crc32 } from 'node:zlib';

/**
 * A log of records in one file, each with its length and checksum. What was written at once is written and synced at once; a
 * tail that was torn by a power cut is cut off when the file is opened.
 *
 * A record: the byte 0xA5, the type as one byte, the length of the payload and the CRC-32 of type and payload, each as four
 * bytes big-endian, and the payload.
 */
const MARK = 0xa5;
const HEAD_BYTES = 10;

export interface LogRecord {
  /** One ASCII character. */
  readonly type: string;
  readonly payload: Buffer;
}

/** What was read from a file. */
export interface LogContents {
  readonly records: readonly LogRecord[];
  /** Bytes of the file that are whole records. */
  readonly bytes: number;
  /** Nothing, or what a write that was cut off leaves behind; `damaged`: whole records follow bytes that are none. */
  readonly tail: 'none' | 'torn' | 'damaged';
}

/** `payload` is not empty. */
export function encodeRecord(type: string, payload: string): Buffer {
  const length = Buffer.byteLength(payload);
  const record = Buffer.allocUnsafe(HEAD_BYTES + length);
  record[0] = MARK;
  record[1] = type.charCodeAt(0);
  record.writeUInt32BE(length, 2);
  record.write(payload, HEAD_BYTES, 'utf8');
  record.writeUInt32BE(checksum(record, 0, length), 6);
  return record;
}

/** Reads as far as the records are whole, and beyond only to see whether there are more. */
export function readRecords(file: Buffer): LogContents {
  const records: LogRecord[] = [];
  let at = 0;
  for (let next = recordAt(file, at); next !== null; next = recordAt(file, at)) {
    records.push(next);
    at += HEAD_BYTES + next.payload.length;
  }
  const bytes = at;
  if (bytes === file.length) return { records, bytes, tail: 'none' };
  // Also reads on: what comes after damage is not lost with it.
  let damaged = false;
  for (at = file.indexOf(MARK, at + 1); at !== -1; at = file.indexOf(MARK, at)) {
    const next = recordAt(file, at);
    if (next === null) {
      at++;
      continue;
    }
    damaged = true;
    records.push(next);
    at += HEAD_BYTES + next.payload.length;
  }
  return { records, bytes, tail: damaged ? 'damaged' : 'torn' };
}

function recordAt(file: Buffer, at: number): LogRecord | null {
  if (at + HEAD_BYTES > file.length || file[at] !== MARK) return null;
  const length = file.readUInt32BE(at + 2);
  // The mark and then zeros, as a torn write may leave them, have a checksum that fits.
  if (length === 0) return null;
  const end = at + HEAD_BYTES + length;
  if (end > file.length || file.readUInt32BE(at + 6) !== checksum(file, at, length)) return null;
  return { type: String.fromCharCode(file[at + 1]!), payload: file.subarray(at + HEAD_BYTES, end) };
}

function checksum(bytes: Buffer, at: number, length: number): number {
  return crc32(bytes.subarray(at + HEAD_BYTES, at + HEAD_BYTES + length), bytes[at + 1]);
}

/** The file of a log, open for writing at its end. One write at a time. */
export class LogFile {
  readonly #path: string;
  #handle: FileHandle;
  /** Length of what is whole. */
  #bytes: number;
  /** A write failed and what it left could not be cut off. */
  #dirty = false;

  private constructor(path: string, handle: FileHandle, bytes: number) {
    this.#path = path;
    this.#handle = handle;
    this.#bytes = bytes;
  }

  /** Goes on after the first `bytes` bytes of a file that is there. */
  static async continue(path: string, bytes: number): Promise<LogFile> {
    const handle = await open(path, 'r+');
    await handle.truncate(bytes);
    await handle.datasync();
    return new LogFile(path, handle, bytes);
  }

  /** Makes the file anew with this content, in one step: after a power cut it is the old file or the new one. */
  static async replace(path: string, content: Buffer): Promise<LogFile> {
    const draft = `${path}.new`;
    await rm(draft, { force: true });
    const handle = await open(draft, 'wx+');
    try {
      await writeAll(handle, content, 0);
      await handle.sync();
      await rename(draft, path);
      await syncFolder(dirname(path));
    } catch (error) {
      await handle.close().catch(() => undefined);
      // On a full disk it would take the room that the log itself may need.
      await rm(draft, { force: true }).catch(() => undefined);
      throw error;
    }
    return new LogFile(path, handle, content.length);
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Rejects when it could not be written; then nothing of it is there. */
  async append(content: Buffer, sync: boolean): Promise<void> {
    if (this.#dirty || this.#bytes === 0) await this.#cut();
    try {
      await writeAll(this.#handle, content, this.#bytes);
      if (sync) await this.#handle.datasync();
    } catch (error) {
      this.#dirty = true;
      await this.#cut().catch(() => undefined);
      throw error;
    }
    this.#bytes += content.length;
  }

  /** The same log with other content. Rejects when that could not be written; then this one is as it was. */
  async rewrite(content: Buffer): Promise<void> {
    const next = await LogFile.replace(this.#path, content);
    const before = this.#handle;
    this.#handle = next.#handle;
    this.#bytes = next.#bytes;
    this.#dirty = false;
    // That file has no name any more: what becomes of it concerns nobody.
    await before.close().catch(() => undefined);
  }

  /** The same without a second file: what was there is gone when it fails, or the power does. */
  async restart(content: Buffer): Promise<void> {
    this.#bytes = 0;
    await this.append(content, true);
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }

  async #cut(): Promise<void> {
    await this.#handle.truncate(this.#bytes);
    await this.#handle.datasync();
    this.#dirty = false;
  }
}

async function writeAll(handle: FileHandle, content: Buffer, position: number): Promise<void> {
  for (let done = 0; done < content.length;) {
    const { bytesWritten } = await handle.write(content, done, content.length - done, position + done);
    done += bytesWritten;
  }
}

/** So that the new name is on disk as well. Some file systems do not let folders be opened, and need none of it. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r').catch(() => null);
  if (handle === null) return;
  await handle.sync().catch(() => undefined);
  await handle.close().catch(() => undefined);
}
