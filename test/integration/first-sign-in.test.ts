import { afterAll, beforeAll, expect, it } from 'vitest';
import { startTestHub, type TestHub } from '../support/hub.ts';

let hub: TestHub;
beforeAll(async () => {
  hub = await startTestHub();
});
afterAll(() => hub.close());

async function signIn(body: object): Promise<Response> {
  return fetch(`${hub.hub.url}/api/v1/sign-in`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
}

it('a new hub prints a link that signs its administrator in, once, and again at each start until somebody gets in', async () => {
  const link = hub.hub.signInLink!;
  expect(link).toMatch(new RegExp(`^${hub.hub.url}/sign-in#[A-Za-z0-9_-]{43}$`));
  await hub.restart();
  const again = hub.hub.signInLink!;
  expect(again).not.toBe(link);
  expect((await signIn({ link: link.split('#')[1] })).status).not.toBe(200);
  const first = await signIn({ link: again.split('#')[1] });
  expect(first.status).toBe(200);
  expect((await signIn({ link: again.split('#')[1] })).status).not.toBe(200);

  await hub.restart();
  expect(hub.hub.signInLink).toBeNull();
  // The sign-in has outlived the restart.
  const cookie = first.headers.get('set-cookie')!.split(';')[0]!;
  const me = await fetch(`${hub.hub.url}/api/v1/me`, { headers: { cookie } });
  expect(me.status).toBe(200);
  expect(await me.json()).toMatchObject({ caller: { name: 'admin', role: 'admin' } });
});
