import { parentPort, Worker, type Transferable } from 'node:worker_threads';
import { StoreError, type StoreErrorCode } from '../port.ts';

/** Calls from the main thread to a worker of the store, answered in order. */

interface Call {
  readonly id: number;
  readonly op: string;
  readonly request: unknown;
}

type Reply =
  | { readonly id: number; readonly ok: true; readonly value: unknown }
  | {
      readonly id: number;
      readonly ok: false;
      readonly code: StoreErrorCode;
      readonly message: string;
      readonly returned: unknown;
    };

/** The worker's side: its operations by name. What they throw becomes the caller's StoreError. */
export type Operations<Requests> = {
  readonly [Op in keyof Requests]: (request: Requests[Op]) => Answer | Promise<Answer>;
};

export class Answer {
  readonly value: unknown;
  readonly transfer: readonly Transferable[];

  constructor(value: unknown, transfer: readonly Transferable[] = []) {
    this.value = value;
    this.transfer = transfer;
  }
}

/** A failure that gives back what the caller had transferred. */
export class ReturningError extends Error {
  override readonly cause: StoreError;
  readonly returned: unknown;
  readonly transfer: readonly Transferable[];

  constructor(cause: StoreError, returned: unknown, transfer: readonly Transferable[]) {
    super(cause.message);
    this.cause = cause;
    this.returned = returned;
    this.transfer = transfer;
  }
}

export function serve<Requests>(operations: Operations<Requests>): void {
  parentPort!.on('message', ({ id, op, request }: Call) => {
    const succeed = (answer: Answer): void => post({ id, ok: true, value: answer.value }, answer.transfer);
    const fail = (error: unknown): void => {
      if (error instanceof ReturningError) post(failure(id, error.cause, error.returned), error.transfer);
      else post(failure(id, error, null), []);
    };
    try {
      const answer = operations[op as keyof Requests](request as Requests[keyof Requests]);
      if (answer instanceof Promise) answer.then(succeed, fail);
      else succeed(answer);
    } catch (error) {
      fail(error);
    }
  });
}

function failure(id: number, error: unknown, returned: unknown): Reply {
  const code = error instanceof StoreError ? error.code : 'internal';
  return { id, ok: false, code, message: error instanceof Error ? error.message : String(error), returned };
}

function post(reply: Reply, transfer: readonly Transferable[]): void {
  parentPort!.postMessage(reply, transfer);
}

/** A call that the worker refused; `returned` is what it gave back. */
export class CallError extends Error {
  override readonly cause: StoreError;
  readonly returned: unknown;

  constructor(cause: StoreError, returned: unknown) {
    super(cause.message);
    this.cause = cause;
    this.returned = returned;
  }
}

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: CallError) => void;
}

/** The main thread's side. When the worker dies, the calls under way and all later ones reject with StoreError `internal`. */
export class Thread<Requests> {
  readonly #worker: Worker;
  readonly #name: string;
  readonly #onDeath: (error: StoreError) => void;
  readonly #waiting = new Map<number, Waiting>();
  #dead: StoreError | null = null;
  #lastId = 0;

  /** `file` has no extension: it is `.ts` in a checkout and `.js` in a build, as this file is. */
  constructor(file: string, name: string, workerData: unknown, onDeath: (error: StoreError) => void) {
    this.#name = name;
    this.#onDeath = onDeath;
    const extension = import.meta.url.slice(import.meta.url.lastIndexOf('.'));
    // `execArgv` is inherited: in a checkout it carries --conditions=muster-source.
    this.#worker = new Worker(new URL(`${file}${extension}`, import.meta.url), { workerData, name });
    this.#worker.on('message', (reply: Reply) => {
      this.#settle(reply);
    });
    this.#worker.on('messageerror', (error) => this.#die(error.message));
    this.#worker.on('error', (error) => this.#die(error instanceof Error ? error.message : String(error)));
    this.#worker.on('exit', (code) => this.#die(`exit code ${code}`));
  }

  /** Rejects with CallError. */
  call(
    op: keyof Requests & string,
    request: Requests[typeof op],
    transfer: readonly Transferable[] = [],
  ): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#dead !== null) {
        reject(new CallError(this.#dead, null));
        return;
      }
      const id = ++this.#lastId;
      this.#worker.postMessage({ id, op, request } satisfies Call, transfer);
      this.#waiting.set(id, { resolve, reject });
    });
  }

  async end(): Promise<void> {
    this.#dead ??= new StoreError('closed', 'The store is closed.');
    await this.#worker.terminate();
  }

  #settle(reply: Reply): void {
    const waiting = this.#waiting.get(reply.id);
    this.#waiting.delete(reply.id);
    if (reply.ok) waiting?.resolve(reply.value);
    else waiting?.reject(new CallError(new StoreError(reply.code, reply.message), reply.returned));
  }

  #die(why: string): void {
    const onPurpose = this.#dead !== null;
    const text = `The ${this.#name} thread of the store has ended (${why}): restart the hub.`;
    const dead = (this.#dead ??= new StoreError('internal', text));
    for (const { reject } of this.#waiting.values()) reject(new CallError(dead, null));
    this.#waiting.clear();
    if (!onPurpose) this.#onDeath(dead);
  }
}
