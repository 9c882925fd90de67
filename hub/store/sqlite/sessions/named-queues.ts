import type { Database } from 'better-sqlite3';
import type { DurableRow, NamedQueueRow } from '../../port.ts';

type Stored = Omit<NamedQueueRow, 'subscription' | 'consumed'> & {
  readonly consumed: number;
  /** Null: it is a queue, and so are the others. */
  readonly filter: string | null;
  readonly principalKind: DurableRow['principalKind'];
  readonly principalId: string;
  readonly anonymous: number;
  readonly clientId: string;
  readonly protocol: string;
  readonly autoDelete: number;
  readonly detachedUs: number | null;
};

/** Queues and durable subscriptions, in the order of their ids. */
export function readNamedQueues(db: Database): NamedQueueRow[] {
  const rows = db
    .prepare<[], Stored>(
      'SELECT id, name, created_us AS createdUs, consumed, sent_place AS sentPlace, dropped, filter, ' +
        'principal_kind AS principalKind, principal_id AS principalId, anonymous, client_id AS clientId, protocol, ' +
        'auto_delete AS autoDelete, detached_us AS detachedUs FROM named_queues ORDER BY id',
    )
    .all();
  return rows.map((row) => {
    const { id, name, createdUs, consumed, sentPlace, dropped } = row;
    return { id, name, subscription: durable(row), createdUs, consumed: consumed !== 0, sentPlace, dropped };
  });
}

function durable(row: Stored): DurableRow | null {
  const { filter, principalKind, principalId, anonymous, clientId, protocol, autoDelete, detachedUs } = row;
  if (filter === null) return null;
  const whose = { principalKind, principalId, anonymous: anonymous !== 0, clientId, protocol };
  return { ...whose, filter, autoDelete: autoDelete !== 0, detachedUs };
}
