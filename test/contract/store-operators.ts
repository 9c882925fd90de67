import { describe, expect, it } from 'vitest';
import type { ControlResult, ControlWrite, OperatorRow, SignInRow, Store, TokenRow } from '#hub/store/port.js';
import { batch } from './store-batches.ts';
import type { StoreUnderTest } from './store.ts';

const ok = { ok: true };

export function operator(name: string, more: Partial<OperatorRow> = {}): OperatorRow {
  return { name, role: 'viewer', passwordHash: null, disabled: false, createdUs: 1000, updatedUs: 1000, ...more };
}

function signIn(text: string, name: string): SignInRow {
  return { hash: Uint8Array.from(Buffer.from(text)), operator: name, createdUs: 2000, expiresUs: 3000 };
}

export function storeOperators({ make }: StoreUnderTest): void {
  const write = async (store: Store, ...control: ControlWrite[]): Promise<readonly ControlResult[]> =>
    (await store.commit(batch({ control }))).control;
  const signIns = async (store: Store): Promise<string[]> =>
    (await store.read.startState()).signIns.map(({ hash }) => Buffer.from(hash).toString());

  describe('operators', () => {
    it('are made once, replaced but for their beginning, and there again at a start', async () => {
      const store = await make();
      const made = await write(
        store,
        { op: 'operator.create', operator: operator('bob', { role: 'admin' }) },
        { op: 'operator.create', operator: operator('ann@work') },
        { op: 'operator.create', operator: operator('bob') },
        { op: 'operator.update', operator: operator('carl') },
      );
      expect(made).toMatchObject([ok, ok, { ok: false, code: 'exists' }, { ok: false, code: 'not_found' }]);

      const changed = operator('bob', { role: 'operator', passwordHash: '$x', disabled: true, updatedUs: 5 });
      await write(store, { op: 'operator.update', operator: { ...changed, createdUs: 77 } });
      const { operators } = await store.read.startState();
      expect(operators).toEqual([operator('ann@work'), changed]);
    });

    it('have sign-ins, which go one by one, all together, or with the operator', async () => {
      const store = await make();
      const made = await write(
        store,
        { op: 'operator.create', operator: operator('bob') },
        { op: 'operator.create', operator: operator('ann') },
        ...['b1', 'b2', 'b3', 'b1'].map((text): ControlWrite => ({ op: 'signIn.create', signIn: signIn(text, 'bob') })),
        { op: 'signIn.create', signIn: signIn('a1', 'ann') },
        { op: 'signIn.create', signIn: signIn('c1', 'carl') },
      );
      const codes = made.map((result) => (result.ok ? 'ok' : result.code)).join(' ');
      expect(codes).toBe('ok ok ok ok ok exists ok not_found');
      expect((await store.read.startState()).signIns[0]).toEqual(signIn('b1', 'bob'));

      expect(await write(store, { op: 'signIn.delete', hash: Buffer.from('b2') })).toEqual([ok]);
      expect(await write(store, { op: 'signIn.delete', hash: Buffer.from('b2') })).toMatchObject([
        { ok: false, code: 'not_found' },
      ]);
      expect(await signIns(store)).toEqual(['b1', 'b3', 'a1']);
      expect(await write(store, { op: 'signIn.deleteOf', operator: 'bob' })).toEqual([{ ok: true, removed: 2 }]);
      expect(await write(store, { op: 'signIn.deleteOf', operator: 'bob' })).toEqual([{ ok: true, removed: 0 }]);

      await write(store, { op: 'signIn.create', signIn: signIn('b4', 'bob') });
      expect(
        await write(store, { op: 'operator.delete', name: 'bob' }, { op: 'operator.delete', name: 'bob' }),
      ).toMatchObject([ok, { ok: false, code: 'not_found' }]);
      expect(await signIns(store)).toEqual(['a1']);
      // One of the same name begins with nothing.
      await write(store, { op: 'operator.create', operator: operator('bob') });
      expect(await signIns(store)).toEqual(['a1']);
    });

    it('do not share the bytes of a hash with whoever gave them', async () => {
      const store = await make();
      const pool = Buffer.from('..hash..');
      const row = { ...signIn('', 'bob'), hash: pool.subarray(2, 6) };
      await write(store, { op: 'operator.create', operator: operator('bob') }, { op: 'signIn.create', signIn: row });
      pool.fill(0);
      expect(await signIns(store)).toEqual(['hash']);
    });
  });

  describe('tokens of programs', () => {
    it('keep what they allow, until when, and who made them', async () => {
      const store = await make();
      const token = (keyId: string, more: Partial<TokenRow>): TokenRow => ({
        ...{ keyId, hash: new Uint8Array([9]), kind: 'application', subject: 'home', createdUs: 1 },
        ...{ label: null, scopes: null, topics: null, expiresUs: null, createdBy: null },
        ...more,
      });
      const rows = [
        token('aa', {
          label: 'Home “é”',
          topics: { publish: [], subscribe: ['home/#', 'devices/+/telemetry'] },
          expiresUs: 1_800_000_000_000_000,
          createdBy: 'ann@work',
        }),
        token('bb', { kind: 'api', label: 'ci', scopes: ['read', 'commands'] }),
        token('cc', { kind: 'api', scopes: [] }),
      ];
      await write(store, ...rows.map((row): ControlWrite => ({ op: 'token.create', token: row })));
      const { tokens } = await store.read.startState();
      expect(tokens.map((row) => ({ ...row, hash: Uint8Array.from(row.hash) }))).toEqual(rows);
    });
  });
}
