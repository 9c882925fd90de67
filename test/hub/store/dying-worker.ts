import { Answer, serve } from '#hub/store/sqlite/thread.js';

/** A worker that dies when told. */
serve<{ echo: unknown; wait: null; throw: null; exit: null }>({
  echo: (request) => new Answer(request),
  wait: () => new Promise<Answer>(() => undefined),
  throw() {
    setImmediate(() => {
      throw new Error('a fault in the worker');
    });
    return new Answer('about to throw');
  },
  exit: () => process.exit(3),
});
