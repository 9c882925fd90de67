import Database from 'better-sqlite3';
import { join } from 'node:path';

/** What must hold of the tables of queues at every moment. Returns what does not. */
export function queueFaults(folder: string): string[] {
  const db = new Database(join(folder, 'muster.db'), { readonly: true });
  try {
    const faults: string[] = [];
    const none = (what: string, sql: string): void => {
      const found = db.prepare<[], unknown[]>(sql).raw().all();
      if (found.length > 0) faults.push(`${what}: ${JSON.stringify(found.slice(0, 3))}`);
    };
    none(
      'entry without its message',
      'SELECT id, message FROM queue WHERE message > 0 AND message NOT IN (SELECT id FROM messages)',
    );
    none('message that no entry names', 'SELECT id FROM messages WHERE id NOT IN (SELECT message FROM queue)');
    none(
      'entry of no session',
      'SELECT id, session FROM queue WHERE session NOT IN (SELECT id FROM sessions UNION SELECT id FROM named_queues)',
    );
    none('place that is taken twice', 'SELECT session, place FROM queue GROUP BY 1, 2 HAVING count(*) > 1');
    none('count of no message', 'SELECT message FROM shared WHERE message NOT IN (SELECT id FROM messages)');
    none(
      'message with a wrong count',
      'SELECT queue.message, count(*), coalesce(min(entries), 1) AS counted FROM queue LEFT JOIN shared USING (message) ' +
        'WHERE queue.message > 0 GROUP BY 1 HAVING count(*) <> counted',
    );
    return faults;
  } finally {
    db.close();
  }
}
