import { describe, expect, it } from 'vitest';
import { Api, ApiError, path } from '../../dashboard/api.ts';

class Fixture {
  readonly asked: { url: string; init: RequestInit }[] = [];
  signedOut = 0;
  answer: () => Response = () => Response.json({});
  readonly api = new Api({
    fetch: (url, init) => {
      this.asked.push({ url: url as string, init: init ?? {} });
      return Promise.resolve().then(() => this.answer());
    },
    onSignedOut: () => this.signedOut++,
  });

  headers(): Record<string, string> {
    return this.asked.at(-1)!.init.headers as Record<string, string>;
  }
}

async function errorOf(promise: Promise<unknown>): Promise<ApiError> {
  const error: unknown = await promise.then(
    () => null,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(ApiError);
  return error as ApiError;
}

describe('asking the hub', () => {
  it('leaves out what is not asked, and encodes the rest', async () => {
    const { api, asked } = new Fixture();
    await api.get('/api/v1/fleet', { limit: 5, after: null, q: 'a&b' });
    await api.get(path`/api/v1/devices/${'a/../b?'}/latest`);
    expect(asked.map(({ url }) => url)).toEqual([
      '/api/v1/fleet?limit=5&q=a%26b',
      '/api/v1/devices/a%2F..%2Fb%3F/latest',
    ]);
  });

  it('changing requests carry the token that the hub gave this sign-in', async () => {
    const f = new Fixture();
    f.answer = () => Response.json({ caller: {}, csrf: 'secret' });
    await f.api.me();
    await f.api.post('/api/v1/devices/a/commands', { name: 'reboot' }, { 'idempotency-key': 'k' });
    expect(f.headers()).toEqual({
      'content-type': 'application/json',
      'idempotency-key': 'k',
      'x-csrf-token': 'secret',
    });
    await f.api.delete('/api/v1/devices/a');
    expect(f.headers()).toEqual({ 'x-csrf-token': 'secret' });
    await f.api.get('/api/v1/me');
    expect(f.headers()).toBeUndefined();
  });

  it('tells what the hub says is wrong', async () => {
    const f = new Fixture();
    const problem = {
      code: 'invalid',
      detail: 'body.nam: unknown field',
      errors: [{ path: 'body.nam', message: 'no' }],
    };
    f.answer = () => Response.json(problem, { status: 400 });
    const error = await errorOf(f.api.post('/api/v1/devices', {}));
    expect(error).toMatchObject({ status: 400, code: 'invalid', message: 'body.nam: unknown field' });
    expect(error.errors).toHaveLength(1);
    expect(f.signedOut).toBe(0);
  });

  it('a sign-in that has ended leads to the sign-in page', async () => {
    const f = new Fixture();
    f.answer = () => Response.json({ code: 'unauthorized', detail: 'sign in' }, { status: 401 });
    await errorOf(f.api.get('/api/v1/me'));
    expect(f.signedOut).toBe(1);
  });

  it('a hub that is away, and a proxy with a page of its own, are errors in words', async () => {
    const f = new Fixture();
    f.answer = () => {
      throw new TypeError('fetch failed');
    };
    expect(await errorOf(f.api.get('/x'))).toMatchObject({ status: 0, code: 'unreachable' });
    f.answer = () => new Response('<html>', { status: 502 });
    expect(await errorOf(f.api.get('/x'))).toMatchObject({ status: 502, message: 'the hub answered 502' });
  });

  it('a request that nobody waits for any more ends as aborted', async () => {
    const f = new Fixture();
    f.answer = () => {
      throw new DOMException('gone', 'AbortError');
    };
    await expect(f.api.get('/x')).rejects.toThrow('gone');
  });
});
