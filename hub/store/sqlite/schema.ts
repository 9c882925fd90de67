/**
 * The tables, version 1. `PRAGMA user_version` holds the version; `migrations.ts` brings a folder up to date.
 *
 * `log` is append-only: what an ack waits for is one insert at the end of one table, and no index is kept on it (one keyed by
 * series and time fell to a quarter of the speed within 1.5 million rows). The kind of a value is its type in SQLite:
 * REAL is a number, INTEGER 0 or 1 a boolean, TEXT a string; `ANY` in a STRICT table keeps it as it was bound.
 *
 * `log.id` is the commit order and is never given twice. SQLite takes the largest id present + 1, so this holds as
 * long as the row with the largest id stays: the sealer that will move old rows into blocks must leave it. (AUTOINCREMENT would say
 * it without that rule, for one more row written in every insert.) Blocks come as a migration with tables of their own.
 *
 * `connections` outlive their device, and `epochs` outlives them: an epoch is never given twice to one device id.
 * `kept` counts the rows of the bounded lists, so that no write has to count them. Device '' is the sum over all.
 */
export const SCHEMA_1 = `
CREATE TABLE series (
  id INTEGER PRIMARY KEY,
  device TEXT NOT NULL,
  metric TEXT NOT NULL,
  UNIQUE (device, metric)
) STRICT;

CREATE TABLE log (
  id INTEGER PRIMARY KEY,
  series INTEGER NOT NULL,
  time_us INTEGER NOT NULL,
  value ANY NOT NULL
) STRICT;

CREATE TABLE devices (
  id TEXT PRIMARY KEY,
  name TEXT,
  protocols TEXT,
  disabled INTEGER NOT NULL,
  created_us INTEGER NOT NULL
) STRICT;

CREATE TABLE tokens (
  key_id TEXT PRIMARY KEY,
  hash BLOB NOT NULL,
  kind TEXT NOT NULL,
  subject TEXT NOT NULL,
  created_us INTEGER NOT NULL
) STRICT;
CREATE INDEX tokens_subject ON tokens (subject, kind);

CREATE TABLE epochs (
  device TEXT PRIMARY KEY,
  epoch INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE connections (
  device TEXT NOT NULL,
  epoch INTEGER NOT NULL,
  protocol TEXT NOT NULL,
  address TEXT NOT NULL,
  client_id TEXT NOT NULL,
  connected_us INTEGER NOT NULL,
  disconnected_us INTEGER,
  reason TEXT,
  initiator TEXT,
  detail TEXT,
  PRIMARY KEY (device, epoch)
) STRICT, WITHOUT ROWID;
CREATE INDEX connections_open ON connections (device) WHERE disconnected_us IS NULL;

CREATE TABLE streams (
  device TEXT NOT NULL,
  stream TEXT NOT NULL,
  mark INTEGER NOT NULL,
  used INTEGER NOT NULL,
  PRIMARY KEY (device, stream)
) STRICT, WITHOUT ROWID;

CREATE TABLE gaps (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  device TEXT NOT NULL,
  stream TEXT NOT NULL,
  from_seq INTEGER NOT NULL,
  to_seq INTEGER NOT NULL,
  time_us INTEGER NOT NULL
) STRICT;
CREATE INDEX gaps_device ON gaps (device, id);

CREATE TABLE commands (
  n INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  device TEXT NOT NULL,
  name TEXT NOT NULL,
  params TEXT NOT NULL,
  state TEXT NOT NULL,
  created_us INTEGER NOT NULL,
  expires_us INTEGER NOT NULL,
  response_timeout_ms INTEGER NOT NULL,
  sent_us INTEGER,
  received_us INTEGER,
  finished_us INTEGER,
  attempts INTEGER NOT NULL,
  result TEXT,
  late_status TEXT,
  late_result TEXT
) STRICT;
CREATE INDEX commands_device ON commands (device, n);
CREATE INDEX commands_state ON commands (device, state, n);
CREATE INDEX commands_unfinished ON commands (n) WHERE state IN ('queued', 'sent', 'received');

CREATE TABLE command_history (
  command INTEGER NOT NULL REFERENCES commands (n) ON DELETE CASCADE,
  step INTEGER NOT NULL,
  state TEXT NOT NULL,
  time_us INTEGER NOT NULL,
  detail TEXT,
  PRIMARY KEY (command, step)
) STRICT, WITHOUT ROWID;

CREATE TABLE rejected (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  device TEXT NOT NULL,
  time_us INTEGER NOT NULL,
  protocol TEXT NOT NULL,
  topic TEXT NOT NULL,
  content_type TEXT,
  payload BLOB NOT NULL,
  code TEXT NOT NULL,
  message TEXT NOT NULL
) STRICT;
CREATE INDEX rejected_device ON rejected (device, id);

CREATE TABLE events (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  device TEXT NOT NULL,
  time_us INTEGER NOT NULL,
  name TEXT NOT NULL,
  content_type TEXT,
  payload BLOB NOT NULL
) STRICT;
CREATE INDEX events_device ON events (device, id);

CREATE TABLE kept (
  list TEXT NOT NULL,
  device TEXT NOT NULL,
  kept INTEGER NOT NULL,
  evicted INTEGER NOT NULL,
  PRIMARY KEY (list, device)
) STRICT, WITHOUT ROWID;
`;

/**
 * Version 2: operators and their sign-ins; what tokens of programs may do; indexes by which the old goes without a look at all.
 *
 * `scopes` and `topics` are JSON. The partial indexes hold only what can go: ended connections and ended commands.
 */
export const SCHEMA_2 = `
ALTER TABLE tokens ADD COLUMN label TEXT;
ALTER TABLE tokens ADD COLUMN scopes TEXT;
ALTER TABLE tokens ADD COLUMN topics TEXT;
ALTER TABLE tokens ADD COLUMN expires_us INTEGER;
ALTER TABLE tokens ADD COLUMN created_by TEXT;

CREATE TABLE operators (
  name TEXT PRIMARY KEY,
  role TEXT NOT NULL,
  password_hash TEXT,
  disabled INTEGER NOT NULL,
  created_us INTEGER NOT NULL,
  updated_us INTEGER NOT NULL
) STRICT;

CREATE TABLE sign_ins (
  hash BLOB PRIMARY KEY,
  operator TEXT NOT NULL REFERENCES operators (name) ON DELETE CASCADE,
  created_us INTEGER NOT NULL,
  expires_us INTEGER NOT NULL
) STRICT;
CREATE INDEX sign_ins_operator ON sign_ins (operator);

CREATE INDEX connections_ended ON connections (disconnected_us) WHERE disconnected_us IS NOT NULL;
CREATE INDEX commands_finished ON commands (finished_us) WHERE finished_us IS NOT NULL;
CREATE INDEX rejected_time ON rejected (time_us);
CREATE INDEX events_time ON events (time_us);
`;

/**
 * Version 3: sessions that last, their queues, retained messages and wills.
 *
 * `queue` and `messages` are written at their ends alone, by rising ids, and have no further index: a table keyed by session and
 * place would rewrite a page for each session that one message goes to. The main thread holds which rows a session has
 * (`sessions/queue-index.ts`) and names them by id. Rows of `queue` are narrow, so that a start counts a million of them in a second.
 *
 * `queue.message` 0 is a release that is owed. `shared` counts the entries of messages that more than one names; a message without a
 * row there has one. `queue.flags` is QoS (2 bits) and retain (4); `messages.flags` the same and payload-is-text (8).
 * `counters` holds the highest ids ever given.
 */
export const SCHEMA_3 = `
CREATE TABLE sessions (
  id INTEGER PRIMARY KEY,
  principal_kind TEXT NOT NULL,
  principal_id TEXT NOT NULL,
  anonymous INTEGER NOT NULL,
  client_id TEXT NOT NULL,
  protocol TEXT NOT NULL,
  expiry_s INTEGER NOT NULL,
  created_us INTEGER NOT NULL,
  detached_us INTEGER,
  sent_place INTEGER NOT NULL,
  dropped INTEGER NOT NULL
) STRICT;

CREATE TABLE subscriptions (
  n INTEGER PRIMARY KEY,
  session INTEGER NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
  id TEXT NOT NULL,
  filter TEXT NOT NULL,
  qos INTEGER NOT NULL,
  share TEXT,
  no_local INTEGER,
  retain_as_published INTEGER,
  retain_handling INTEGER,
  identifier INTEGER,
  UNIQUE (session, id)
) STRICT;

CREATE TABLE receipts (
  session INTEGER NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
  packet_id INTEGER NOT NULL,
  PRIMARY KEY (session, packet_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE queue (
  id INTEGER PRIMARY KEY,
  session INTEGER NOT NULL,
  place INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  message INTEGER NOT NULL,
  flags INTEGER NOT NULL,
  matches TEXT NOT NULL
) STRICT;

CREATE TABLE messages (
  id INTEGER PRIMARY KEY,
  topic TEXT NOT NULL,
  flags INTEGER NOT NULL,
  content_type TEXT,
  headers TEXT,
  response_topic TEXT,
  correlation BLOB,
  expires_ms INTEGER,
  origin TEXT,
  payload BLOB NOT NULL
) STRICT;

CREATE TABLE shared (
  message INTEGER PRIMARY KEY,
  entries INTEGER NOT NULL
) STRICT;

CREATE TABLE retained (
  n INTEGER PRIMARY KEY,
  topic TEXT NOT NULL UNIQUE,
  flags INTEGER NOT NULL,
  content_type TEXT,
  headers TEXT,
  response_topic TEXT,
  correlation BLOB,
  expires_ms INTEGER,
  origin TEXT,
  payload BLOB NOT NULL
) STRICT;

CREATE TABLE wills (
  key TEXT PRIMARY KEY,
  principal_kind TEXT NOT NULL,
  principal_id TEXT NOT NULL,
  anonymous INTEGER NOT NULL,
  protocol TEXT NOT NULL,
  delay_s INTEGER NOT NULL,
  expiry_s INTEGER,
  due_us INTEGER,
  topic TEXT NOT NULL,
  flags INTEGER NOT NULL,
  content_type TEXT,
  headers TEXT,
  response_topic TEXT,
  correlation BLOB,
  expires_ms INTEGER,
  origin TEXT,
  payload BLOB NOT NULL
) STRICT;

CREATE TABLE counters (
  name TEXT PRIMARY KEY,
  value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO counters VALUES ('session', 0), ('message', 0);
`;

/**
 * Version 4: queues that consumers share, and durable subscriptions. Their entries stand in `queue` under ids that sessions do not have.
 * A durable subscription has a `filter`, and is found by its name and whose it is; a queue has none.
 */
export const SCHEMA_4 = `
CREATE TABLE named_queues (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  created_us INTEGER NOT NULL,
  consumed INTEGER NOT NULL,
  sent_place INTEGER NOT NULL,
  dropped INTEGER NOT NULL,
  filter TEXT,
  principal_kind TEXT,
  principal_id TEXT,
  anonymous INTEGER,
  client_id TEXT,
  protocol TEXT,
  auto_delete INTEGER,
  detached_us INTEGER
) STRICT;

ALTER TABLE queue ADD COLUMN refused INTEGER NOT NULL DEFAULT 0;
`;

/** Version 5: what the readings of a series were last given in; null: no unit ever. */
export const SCHEMA_5 = `
ALTER TABLE series ADD COLUMN unit TEXT;
`;
