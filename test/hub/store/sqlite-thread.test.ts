import { describe, expect, it, onTestFinished } from 'vitest';
import { StoreError } from '#hub/store/port.js';
import { CallError, Thread } from '#hub/store/sqlite/thread.js';

interface Requests {
  echo: unknown;
  wait: null;
  throw: null;
  exit: null;
}

function dying(onDeath: (error: StoreError) => void = () => undefined): Thread<Requests> {
  const thread = new Thread<Requests>('../../../test/hub/store/dying-worker', 'test', null, onDeath);
  onTestFinished(() => thread.end());
  return thread;
}

async function causeOf(call: Promise<unknown>): Promise<StoreError> {
  const error = await call.then(
    () => null,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(CallError);
  const { cause } = error as CallError;
  expect(cause).toBeInstanceOf(StoreError);
  return cause;
}

describe('a worker thread that dies', () => {
  it.each(['throw', 'exit'] as const)('by %s fails the calls under way and all later ones', async (how) => {
    const deaths: StoreError[] = [];
    const thread = dying((error) => void deaths.push(error));
    expect(await thread.call('echo', 'hello')).toBe('hello');
    const waiting = [thread.call('wait', null), thread.call('wait', null)].map(causeOf);
    thread.call(how, null).catch(() => undefined);
    for (const cause of await Promise.all(waiting)) {
      expect(cause.code).toBe('internal');
      expect(cause.message).toMatch(/test thread of the store has ended .*(a fault in the worker|exit code 3)/);
    }
    expect((await causeOf(thread.call('echo', 'hello'))).code).toBe('internal');
    expect(deaths.map((error) => error.code)).toEqual(['internal']);
  });

  it('on purpose fails them as closed', async () => {
    const deaths: StoreError[] = [];
    const thread = dying((error) => void deaths.push(error));
    const waiting = causeOf(thread.call('wait', null));
    await thread.end();
    expect((await waiting).code).toBe('closed');
    expect((await causeOf(thread.call('echo', 1))).code).toBe('closed');
    expect(deaths).toEqual([]);
  });

  it('a request that cannot be sent leaves no call waiting', async () => {
    const thread = dying();
    await expect(thread.call('echo', () => 1)).rejects.toThrow(/could not be cloned/);
    expect(await thread.call('echo', 1)).toBe(1);
  });
});
