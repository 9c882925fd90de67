import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FakeHub, serveApi, type Answer } from './fakes.ts';

let hub: FakeHub;
let api: Awaited<ReturnType<typeof serveApi>>;
const PUMP = '/api/v1/devices/pump';

beforeEach(async () => {
  hub = new FakeHub();
  // As the real one does: the row changes only after a commit.
  hub.devices.update = async (id, change) => {
    await new Promise((resolve) => setTimeout(resolve, 20));
    const device = { ...hub.stored.get(id)!, ...change };
    hub.stored.set(id, device);
    return device;
  };
  api = await serveApi(hub);
});
afterEach(() => api.close());

const get = (headers: Record<string, string> = {}): Promise<Answer> => api.call('GET', PUMP, { headers });
const rename = (name: string, ifMatch?: string): Promise<Answer> =>
  api.call('PATCH', PUMP, { body: { name }, headers: ifMatch === undefined ? {} : { 'if-match': ifMatch } });
const etag = (answer: Answer): string => answer.headers.get('etag')!;

function comesOnline(): void {
  const pump = hub.stored.get('pump')!;
  hub.stored.set('pump', { ...pump, presence: { ...pump.presence, online: true, epoch: 1 } });
}

describe('ETag', () => {
  it('is the same for the same, and another after any change', async () => {
    const first = etag(await get());
    expect(first).toMatch(/^"[\w-]+\.[\w-]+"$/);
    expect(etag(await get())).toBe(first);
    const changed = etag(await rename('new'));
    expect(changed).not.toBe(first);
    expect(etag(await get())).toBe(changed);
    comesOnline();
    expect(etag(await get())).not.toBe(changed);
  });

  it.each([
    ['the tag', (tag: string) => tag],
    ['the weak tag', (tag: string) => `W/${tag}`],
    ['a list with the tag', (tag: string) => `"x", ${tag}`],
    ['anything', () => '*'],
  ])('If-None-Match with %s: 304 without a body, HEAD too', async (_, header) => {
    const headers = { 'if-none-match': header(etag(await get())) };
    const answer = await get(headers);
    expect(answer).toMatchObject({ status: 304, text: '' });
    expect(etag(answer)).toBe(etag(await get()));
    expect(answer.headers.get('cache-control')).toBe('private, no-cache');
    expect((await api.call('HEAD', PUMP, { headers })).status).toBe(304);
  });

  it('If-None-Match after a change, of presence too: 200', async () => {
    const headers = { 'if-none-match': etag(await get()) };
    comesOnline();
    expect((await get(headers)).status).toBe(200);
  });
});

describe('If-Match', () => {
  it('lets a change pass that meets no other', async () => {
    const answer = await rename('new', etag(await get()));
    expect(answer).toMatchObject({ status: 200, body: { name: 'new' } });
    expect((await rename('newer', etag(answer))).status).toBe(200);
  });

  it('refuses a change that was decided on an older state, and changes nothing', async () => {
    const old = etag(await get());
    await rename('new');
    expect(await rename('lost', old)).toMatchObject({ status: 412, body: { code: 'changed' } });
    expect(hub.stored.get('pump')!.name).toBe('new');
    const gone = await api.call('DELETE', PUMP, { headers: { 'if-match': old } });
    expect(gone.status).toBe(412);
    expect(hub.stored.has('pump')).toBe(true);
  });

  it('does not care that the device came online meanwhile', async () => {
    const tag = etag(await get());
    comesOnline();
    expect((await rename('new', tag)).status).toBe(200);
  });

  it('of two changes at once, decided on the same state, lets one pass', async () => {
    const tag = etag(await get());
    const answers = await Promise.all(['a', 'b', 'c'].map((name) => rename(name, tag)));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 412, 412]);
  });

  it('a change without it takes its turn, so that none with it is lost', async () => {
    const tag = etag(await get());
    const [plain, conditional] = await Promise.all([rename('plain'), rename('lost', tag)]);
    expect([plain.status, conditional.status]).toEqual([200, 412]);
    expect(hub.stored.get('pump')!.name).toBe('plain');
  });

  it('knows lists and *, and that a weak tag matches nothing', async () => {
    const tag = etag(await get());
    expect((await rename('a', `W/${tag}`)).status).toBe(412);
    expect((await rename('a', '"x"')).status).toBe(412);
    expect((await rename('a', `"x", ${tag}`)).status).toBe(200);
    expect((await rename('b', '*')).status).toBe(200);
    expect((await api.call('PATCH', '/api/v1/devices/nobody', { body: {}, headers: { 'if-match': '*' } })).status).toBe(
      404,
    );
  });

  it('that is no tag is a mistake', async () => {
    for (const wrong of ['x', '"', 'W/', '"a" "b"', '']) {
      expect((await rename('a', wrong)).status, wrong).toBe(400);
    }
  });
});
