import Database from 'better-sqlite3';
import { once } from 'node:events';
import { existsSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { SqliteStore } from '#hub/store/sqlite/index.js';
import { migrate, SCHEMA_VERSION } from '#hub/store/sqlite/migrations.js';
import { SCHEMA_1, SCHEMA_2, SCHEMA_3, SCHEMA_4 } from '#hub/store/sqlite/schema.js';
import { assertDurable, checkVersion } from '#hub/store/sqlite/open.js';
import { addEntry, addMessage, batch, putQueue, putSession, series, wholeLog } from '../../contract/store-batches.ts';
import { openStore, startProgram, temporaryFolder } from './folders.ts';

function permissions(path: string): string {
  return (statSync(path).mode & 0o777).toString(8);
}

describe('opening', () => {
  it('makes the folder and its files for their owner alone', async () => {
    const folder = join(temporaryFolder(), 'deep', 'data');
    const store = await openStore(folder);
    await store.commit(batch({ newSeries: [series(1)] }));
    expect(permissions(folder)).toBe('700');
    const files = readdirSync(folder).sort();
    expect(files).toEqual(['muster.db', 'muster.db-shm', 'muster.db-wal', 'muster.lock']);
    expect(files.map((file) => permissions(join(folder, file)))).toEqual(['600', '600', '600', '600']);
  });

  it('commits with synchronous=FULL on a write-ahead log, as the writing connection says', async () => {
    const store = await openStore(temporaryFolder());
    expect(await store.read.facts()).toMatchObject({ engine: 'sqlite', synchronous: 2, journalMode: 'wal' });
  });

  it('refuses when SQLite would not take that', () => {
    const facts = { engine: 'sqlite', version: '3.54.1', synchronous: 2, journalMode: 'wal' };
    expect(() => assertDurable(facts)).not.toThrow();
    expect(() => assertDurable({ ...facts, synchronous: 1 })).toThrow(/synchronous 1/);
    expect(() => assertDurable({ ...facts, journalMode: 'delete' })).toThrow(/journal delete/);
  });

  it.each([
    ['3.51.3', true],
    ['3.51.4', true],
    ['3.52.0', true],
    ['4.0.0', true],
    ['3.51.2', false],
    ['3.50.9', false],
    ['3.9.10', false],
    ['3.51', false],
  ])('with SQLite %s: %s', (version, taken) => {
    if (taken) expect(() => checkVersion(version)).not.toThrow();
    else expect(() => checkVersion(version)).toThrow(expect.objectContaining({ code: 'version' }));
  });

  it('can be done again after a close, and everything is there', async () => {
    const folder = temporaryFolder();
    const store = await openStore(folder);
    await store.commit(batch({ newSeries: [series(1)], readings: [[1, 10, 'kept']] }));
    await store.close();
    expect(existsSync(join(folder, 'muster.db-wal'))).toBe(false);
    await store.open();
    expect((await wholeLog(store)).map(({ value }) => value)).toEqual(['kept']);
  });

  it('refuses a file that is no database', async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'muster.db'), 'this is a text file'.repeat(100));
    const store = new SqliteStore(folder);
    await expect(store.open()).rejects.toMatchObject({
      code: 'corrupt',
      message: expect.stringContaining('restore the data folder from a backup'),
    });
  });

  it('refuses a folder that cannot be made', async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'file'), '');
    await expect(new SqliteStore(join(folder, 'file', 'data')).open()).rejects.toMatchObject({ code: 'io' });
  });
});

describe('the schema version', () => {
  it('is refused when it is newer than this program, and nothing is changed', async () => {
    const folder = temporaryFolder();
    await (await openStore(folder)).close();
    const db = new Database(join(folder, 'muster.db'));
    expect(db.pragma('user_version', { simple: true })).toBe(SCHEMA_VERSION);
    db.pragma(`user_version = ${SCHEMA_VERSION + 1}`);
    db.close();
    await expect(new SqliteStore(folder).open()).rejects.toMatchObject({
      code: 'version',
      message: expect.stringMatching(
        new RegExp(`schema version ${SCHEMA_VERSION + 1}, .* up to ${SCHEMA_VERSION}: run the newer Muster`),
      ),
    });
  });

  it('rises from the first one with all that the folder holds', async () => {
    const folder = temporaryFolder();
    const old = new Database(join(folder, 'muster.db'));
    migrate(old, [SCHEMA_1]);
    old.exec("INSERT INTO tokens VALUES ('aa', x'01ff', 'api', 'bootstrap', 7)");
    old.close();
    const { tokens, operators } = await (await openStore(folder)).read.startState();
    expect(operators).toEqual([]);
    expect(tokens).toEqual([
      {
        ...{ keyId: 'aa', hash: new Uint8Array([1, 255]), kind: 'api', subject: 'bootstrap', createdUs: 7 },
        ...{ label: null, scopes: null, topics: null, expiresUs: null, createdBy: null },
      },
    ]);
  });

  it('rises from one without units, and a series gets its unit', async () => {
    const folder = temporaryFolder();
    const old = new Database(join(folder, 'muster.db'));
    migrate(old, [SCHEMA_1, SCHEMA_2, SCHEMA_3, SCHEMA_4]);
    old.exec("INSERT INTO series VALUES (1, 'd1', 't'), (2, 'd1', 'u')");
    old.close();
    const store = await openStore(folder);
    await store.commit(batch({ control: [{ op: 'series.unit', series: 2, unit: 'Cel' }] }));
    expect((await store.read.startState()).series).toStrictEqual([
      { id: 1, device: 'd1', metric: 't' },
      { id: 2, device: 'd1', metric: 'u', unit: 'Cel' },
    ]);
  });

  it('rises from one without named queues, and what waited for sessions waits still', async () => {
    const folder = temporaryFolder();
    const old = new Database(join(folder, 'muster.db'));
    migrate(old, [SCHEMA_1, SCHEMA_2, SCHEMA_3]);
    old.exec(`
      INSERT INTO sessions VALUES (3, 'device', 'd1', 0, 'c', 'mqtt', 60, 5, 6, 0, 0);
      INSERT INTO messages VALUES (7, 't', 1, NULL, NULL, NULL, NULL, NULL, NULL, x'61');
      INSERT INTO queue VALUES (9, 3, 1, 100, 7, 1, '=t');
      UPDATE counters SET value = 7;
    `);
    old.close();
    const store = await openStore(folder);
    const { sessions, queues, lastSessionId } = await store.read.startState();
    expect([sessions.length, queues, lastSessionId]).toEqual([1, [], 7]);
    await store.commit(batch({ sessions: [putQueue(8), addMessage(8), addEntry(8, 1, 8)] }));
    const page = { afterPlace: 0, limit: 9, maxBytes: 1e6 };
    expect(await store.read.sessionQueue({ session: 3, ...page })).toMatchObject([{ place: 1, refused: 0 }]);
    expect(await store.read.sessionQueue({ session: 8, ...page })).toHaveLength(1);
  });

  it('rises from the second one, and sessions can be written at once', async () => {
    const folder = temporaryFolder();
    const old = new Database(join(folder, 'muster.db'));
    migrate(old, [SCHEMA_1, SCHEMA_2]);
    old.exec(`
      INSERT INTO devices VALUES ('d1', 'Pump', NULL, 0, 5);
      INSERT INTO operators VALUES ('ada', 'admin', NULL, 0, 6, 6);
      INSERT INTO series VALUES (1, 'd1', 't');
      INSERT INTO log VALUES (1, 1, 10, 2.5), (2, 1, 20, 3.5);
      INSERT INTO epochs VALUES ('d1', 7);
      INSERT INTO connections VALUES ('d1', 7, 'mqtt', '127.0.0.1', 'c', 8, NULL, NULL, NULL, NULL);
    `);
    old.close();
    const store = await openStore(folder);
    const before = await store.read.startState();
    expect(before).toMatchObject({
      devices: [{ id: 'd1', name: 'Pump' }],
      operators: [{ name: 'ada' }],
      lastSeriesId: 1,
      latest: [{ series: 1, timeUs: 20, value: 3.5 }],
      lastConnections: [{ device: 'd1', epoch: 7 }],
      ...{ sessions: [], lastSessionId: 0, lastMessageId: 0, retained: [], wills: [] },
    });
    await store.commit(
      batch({ readings: [[1, 30, 4.5]], sessions: [putSession(1), addMessage(1), addEntry(1, 1, 1)] }),
    );
    const { sessions } = await store.read.startState();
    expect(sessions.map(({ queue }) => queue.count)).toEqual([1]);
    expect((await wholeLog(store)).map(({ value }) => value)).toEqual([2.5, 3.5, 4.5]);
  });

  it('rises step by step, and a step that fails leaves nothing behind', () => {
    const db = new Database(':memory:');
    migrate(db, ['CREATE TABLE a (x)']);
    expect(() => migrate(db, ['CREATE TABLE a (x)', 'CREATE TABLE b (x)', 'CREATE TABLE c (x); oops'])).toThrow(/oops/);
    expect(db.pragma('user_version', { simple: true })).toBe(2);
    expect(db.prepare('SELECT name FROM sqlite_schema ORDER BY name').pluck().all()).toEqual(['a', 'b']);
    migrate(db, ['CREATE TABLE a (x)', 'CREATE TABLE b (x)', 'CREATE TABLE c (x)']);
    expect(db.pragma('user_version', { simple: true })).toBe(3);
  });
});

describe('the lock on the data folder', () => {
  it('keeps out a second process until the first one dies, however it dies', async () => {
    const folder = temporaryFolder();
    const holder = startProgram('lock-holder.ts', folder);
    await once(holder.stdout, 'data');
    const store = new SqliteStore(folder, { lockWaitMs: 50 });
    await expect(store.open()).rejects.toMatchObject({
      code: 'locked',
      message: expect.stringContaining('in use by another running hub'),
    });
    holder.kill('SIGKILL');
    await once(holder, 'close');
    await store.open();
    await store.close();
  });

  it('keeps out a second store of the same process, and the first one works on', async () => {
    const folder = temporaryFolder();
    const first = await openStore(folder);
    for (let attempt = 0; attempt < 2; attempt++) {
      await expect(new SqliteStore(folder, { lockWaitMs: 10 }).open()).rejects.toMatchObject({ code: 'locked' });
    }
    await first.commit(batch({ newSeries: [series(1)] }));
    await first.close();
    await openStore(folder);
  });
});
