/** Runs pieces of work one after the other, in the order in which they were asked for: what a piece has looked at stays so until it ends. */
export class OneAtATime {
  #last: Promise<unknown> = Promise.resolve();

  run<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#last.then(work);
    // The next does not care how this one ended; its caller does.
    this.#last = done.catch(() => undefined);
    return done;
  }
}
