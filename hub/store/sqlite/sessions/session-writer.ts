import type { Database, Statement } from 'better-sqlite3';
import type { NamedQueueRow, SessionRow, SubscriptionRow, WillRow } from '../../port.ts';
import { bindMessage, MESSAGE_COLUMNS, packMessages, type MessageColumns } from './message-columns.ts';
import { QueueWriter } from './queue-writer.ts';
import type { OtherWrite, ReceiptColumns, SessionRequest } from './request.ts';

/** Sessions and all that is theirs, named queues, retained messages and wills. None fails by its data: what belongs to a session that is not there is left out. */
export class SessionWriter {
  readonly #queue: QueueWriter;
  readonly #putSession: Statement;
  readonly #deleteSession: Statement<[number]>;
  readonly #putQueue: Statement;
  readonly #deleteQueue: Statement<[number]>;
  readonly #putSubscription: Statement;
  readonly #deleteSubscription: Statement<[number, string]>;
  readonly #addReceipt: Statement<[number, number, number]>;
  readonly #removeReceipt: Statement<[number, number]>;
  readonly #putRetained: Statement;
  readonly #deleteRetained: Statement<[string]>;
  readonly #putWill: Statement;
  readonly #deleteWill: Statement<[string]>;
  readonly #raiseCounter: Statement<[number, string]>;

  constructor(db: Database) {
    this.#queue = new QueueWriter(db);
    this.#putSession = db.prepare(
      'INSERT INTO sessions (id, principal_kind, principal_id, anonymous, client_id, protocol, expiry_s, created_us, ' +
        'detached_us, sent_place, dropped) VALUES (:id, :principalKind, :principalId, :anonymous, :clientId, :protocol, ' +
        ':expiryS, :createdUs, :detachedUs, :sentPlace, :dropped) ON CONFLICT DO UPDATE SET ' +
        'principal_kind = excluded.principal_kind, principal_id = excluded.principal_id, anonymous = excluded.anonymous, ' +
        'client_id = excluded.client_id, protocol = excluded.protocol, expiry_s = excluded.expiry_s, ' +
        'created_us = excluded.created_us, detached_us = excluded.detached_us, sent_place = excluded.sent_place, ' +
        'dropped = excluded.dropped',
    );
    // Subscriptions and receipts go with it by the foreign keys, entries by their rows.
    this.#deleteSession = db.prepare('DELETE FROM sessions WHERE id = ?');
    this.#putQueue = db.prepare(
      'INSERT OR REPLACE INTO named_queues (id, name, created_us, consumed, sent_place, dropped, filter, principal_kind, ' +
        'principal_id, anonymous, client_id, protocol, auto_delete, detached_us) VALUES (:id, :name, :createdUs, :consumed, ' +
        ':sentPlace, :dropped, :filter, :principalKind, :principalId, :anonymous, :clientId, :protocol, :autoDelete, :detachedUs)',
    );
    this.#deleteQueue = db.prepare('DELETE FROM named_queues WHERE id = ?');
    this.#putSubscription = db.prepare(
      'INSERT INTO subscriptions (session, id, filter, qos, share, no_local, retain_as_published, retain_handling, identifier) ' +
        'SELECT :session, :id, :filter, :qos, :share, :noLocal, :retainAsPublished, :retainHandling, :identifier ' +
        'WHERE EXISTS (SELECT 1 FROM sessions WHERE id = :session) ON CONFLICT (session, id) DO UPDATE SET ' +
        'filter = excluded.filter, qos = excluded.qos, share = excluded.share, no_local = excluded.no_local, ' +
        'retain_as_published = excluded.retain_as_published, retain_handling = excluded.retain_handling, ' +
        'identifier = excluded.identifier',
    );
    this.#deleteSubscription = db.prepare('DELETE FROM subscriptions WHERE session = ? AND id = ?');
    this.#addReceipt = db.prepare(
      'INSERT INTO receipts (session, packet_id) SELECT ?, ? WHERE EXISTS (SELECT 1 FROM sessions WHERE id = ?) ' +
        'ON CONFLICT DO NOTHING',
    );
    this.#removeReceipt = db.prepare('DELETE FROM receipts WHERE session = ? AND packet_id = ?');
    // A row that is replaced gets a new number: the order of the numbers is that of the last writes.
    this.#putRetained = db.prepare(
      `INSERT OR REPLACE INTO retained (${MESSAGE_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    );
    this.#deleteRetained = db.prepare('DELETE FROM retained WHERE topic = ?');
    this.#putWill = db.prepare(
      'INSERT OR REPLACE INTO wills (key, principal_kind, principal_id, anonymous, protocol, delay_s, expiry_s, due_us, ' +
        `${MESSAGE_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    );
    this.#deleteWill = db.prepare('DELETE FROM wills WHERE key = ?');
    this.#raiseCounter = db.prepare('UPDATE counters SET value = max(value, ?) WHERE name = ?');
  }

  /** Returns the messages that entries named and that are not there: those entries were left out. */
  write(request: SessionRequest): ReadonlySet<number> {
    for (const write of request.others) this.#other(write);
    const missing = this.#queue.write(request);
    if (request.receipts !== null) this.#receipts(request.receipts);
    for (const topic of request.retainedGone) this.#deleteRetained.run(topic);
    if (request.retained !== null) this.#retained(request.retained);
    if (request.lastSessionId > 0) this.#raiseCounter.run(request.lastSessionId, 'session');
    if (request.lastMessageId > 0) this.#raiseCounter.run(request.lastMessageId, 'message');
    return missing;
  }

  #other(write: OtherWrite): void {
    switch (write.op) {
      case 'session.put':
        this.#putSession.run(sessionValues(write.session));
        return;
      case 'session.delete':
        this.#deleteSession.run(write.id);
        return;
      case 'namedQueue.put':
        this.#putQueue.run(queueValues(write.queue));
        return;
      case 'namedQueue.delete':
        this.#deleteQueue.run(write.id);
        return;
      case 'subscription.put':
        this.#putSubscription.run(subscriptionValues(write.session, write.subscription));
        return;
      case 'subscription.delete':
        this.#deleteSubscription.run(write.session, write.id);
        return;
      case 'will.put':
        this.#putWill.run(...willValues(write.will));
        return;
      case 'will.delete':
        this.#deleteWill.run(write.key);
        return;
    }
  }

  #receipts({ session, packetId, added }: ReceiptColumns): void {
    for (let i = 0; i < added.length; i++) {
      if (added[i] === 1) this.#addReceipt.run(session[i]!, packetId[i]!, session[i]!);
      else this.#removeReceipt.run(session[i]!, packetId[i]!);
    }
  }

  #retained(columns: MessageColumns): void {
    const values: unknown[] = [];
    for (let i = 0; i < columns.count; i++) {
      bindMessage(columns, i, values, 0);
      this.#putRetained.run(values);
    }
  }
}

function sessionValues(session: SessionRow): Record<string, unknown> {
  return { ...session, anonymous: Number(session.anonymous) };
}

function queueValues({ subscription, ...queue }: NamedQueueRow): Record<string, unknown> {
  return {
    ...queue,
    consumed: Number(queue.consumed),
    filter: subscription?.filter ?? null,
    principalKind: subscription?.principalKind ?? null,
    principalId: subscription?.principalId ?? null,
    anonymous: numberOrNull(subscription?.anonymous),
    clientId: subscription?.clientId ?? null,
    protocol: subscription?.protocol ?? null,
    autoDelete: numberOrNull(subscription?.autoDelete),
    detachedUs: subscription?.detachedUs ?? null,
  };
}

function subscriptionValues(session: number, subscription: SubscriptionRow): Record<string, unknown> {
  const { id, filter, qos, share, noLocal, retainAsPublished, retainHandling, identifier } = subscription;
  return {
    session,
    id,
    filter,
    qos,
    share: share ?? null,
    noLocal: numberOrNull(noLocal),
    retainAsPublished: numberOrNull(retainAsPublished),
    retainHandling: retainHandling ?? null,
    identifier: identifier ?? null,
  };
}

function numberOrNull(flag: boolean | undefined): number | null {
  return flag === undefined ? null : Number(flag);
}

function willValues(will: WillRow): unknown[] {
  const { key, principalKind, principalId, anonymous, protocol, delayS, expiryS, dueUs, message } = will;
  const values: unknown[] = [key, principalKind, principalId, Number(anonymous), protocol, delayS, expiryS, dueUs];
  bindMessage(packMessages([message]), 0, values, values.length);
  return values;
}
