import { open, rename, rm, type FileHandle } from 'node:fs/promises';
import { CliError } from '../io.ts';
import { fileProblem } from '../secret-file.ts';

/** Writes `path` whole or not at all: under another name until `finish`. */
export class WholeFile {
  readonly #path: string;
  readonly #part: string;
  readonly #handle: FileHandle;

  private constructor(path: string, part: string, handle: FileHandle) {
    this.#path = path;
    this.#part = part;
    this.#handle = handle;
  }

  static async open(path: string): Promise<WholeFile> {
    const part = `${path}.part`;
    return new WholeFile(path, part, await orCliError(part, () => open(part, 'w')));
  }

  write(text: string): Promise<void> {
    return orCliError(this.#part, () => this.#handle.writeFile(text));
  }

  async finish(): Promise<void> {
    await orCliError(this.#path, async () => {
      await this.#handle.sync();
      await this.#handle.close();
      await rename(this.#part, this.#path);
    });
  }

  async discard(): Promise<void> {
    await this.#handle.close().catch(() => undefined);
    await rm(this.#part, { force: true });
  }
}

async function orCliError<T>(path: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    throw new CliError(fileProblem(error, path));
  }
}
