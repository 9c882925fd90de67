import { describe, expect, test } from 'vitest';
import { Ledger, type DeviceBook } from '#devices-sim/ledger.js';
import { LedgerCheck, type LedgerVerdict, type LoggedRow } from '#devices-sim/verdict.js';

const RUN_US = 1_000_000;
const MESSAGE = {
  timeUs: RUN_US + 5,
  readings: [
    { metric: 'temperature', value: 21.5 },
    { metric: 'heating', value: true },
    { metric: 'status', value: 'ok' },
  ],
};
const ROWS: LoggedRow[] = MESSAGE.readings.map((reading) => ({ device: 'd1', timeUs: MESSAGE.timeUs, ...reading }));

/** What the ledger says after `play`, given that the log holds `rows`. */
function judge(play: (book: DeviceBook) => void, rows: readonly LoggedRow[], exactlyOnce = false): LedgerVerdict {
  const ledger = new Ledger(1000);
  play(ledger.open('d1', exactlyOnce));
  const check = new LedgerCheck(ledger, RUN_US);
  for (const row of rows) check.row(row);
  return check.finish();
}

function sentAndAcknowledged(book: DeviceBook): void {
  book.sent(MESSAGE);
  book.acknowledged(MESSAGE.timeUs);
}

function sentTwice(book: DeviceBook): void {
  book.sent(MESSAGE);
  book.sent(MESSAGE);
  book.acknowledged(MESSAGE.timeUs);
}

describe('the verdict', () => {
  test('what was acknowledged is there once with its values: ok', () => {
    const verdict = judge(sentAndAcknowledged, ROWS);
    expect(verdict).toMatchObject({ ok: true, sent: 3, acknowledged: 3, rowsRead: 3, rowsCompared: 3, examples: [] });
  });

  test('an acknowledged reading that is missing is lost', () => {
    const verdict = judge(sentAndAcknowledged, []);
    expect(verdict).toMatchObject({ ok: false, lost: 3, torn: 0 });
    expect(verdict.examples[0]).toBe('acknowledged, but not in the log: d1 temperature at 1000005 µs = 21.5');
  });

  test('another value than was sent is wrong', () => {
    const altered = { ...ROWS[0]!, value: 21.25 };
    expect(judge(sentAndAcknowledged, [altered, ...ROWS.slice(1)])).toMatchObject({
      ok: false,
      wrongValue: 1,
      lost: 1,
    });
  });

  test.each([
    [true, 1],
    [21.5, '21.5'],
    [0, -0],
    ['ok', 'ok '],
  ])('%o is not %o', (sent, logged) => {
    const message = { timeUs: RUN_US, readings: [{ metric: 'x', value: sent }] };
    const row = { device: 'd1', metric: 'x', timeUs: RUN_US, value: logged };
    expect(judge((book) => book.sent(message), [row])).toMatchObject({ ok: false, wrongValue: 1 });
  });

  test('a row that nobody sent is foreign: another time, another metric, or never handed to the socket', () => {
    const stranger = { ...ROWS[0]!, timeUs: RUN_US + 6 };
    expect(judge(sentAndAcknowledged, [...ROWS, stranger])).toMatchObject({ ok: false, foreign: 1 });
    expect(judge(sentAndAcknowledged, [...ROWS, { ...ROWS[0]!, metric: 'x' }])).toMatchObject({
      ok: false,
      foreign: 1,
    });
    expect(judge(() => undefined, ROWS)).toMatchObject({ ok: false, foreign: 3 });
  });

  test('a message that was sent once and stands twice is doubled', () => {
    expect(judge(sentAndAcknowledged, [...ROWS, ...ROWS])).toMatchObject({ ok: false, doubled: 3, repeats: 0 });
  });

  test('a resent message may stand as often as it was sent, and no oftener', () => {
    expect(judge(sentTwice, ROWS)).toMatchObject({ ok: true, repeats: 0 });
    expect(judge(sentTwice, [...ROWS, ...ROWS])).toMatchObject({ ok: true, doubled: 0, repeats: 3 });
    expect(judge(sentTwice, [...ROWS, ...ROWS, ...ROWS])).toMatchObject({ ok: false, doubled: 3, repeats: 3 });
  });

  test('with sequence numbers a resent message stands once or the hub is wrong', () => {
    expect(judge(sentTwice, ROWS, true)).toMatchObject({ ok: true });
    expect(judge(sentTwice, [...ROWS, ...ROWS], true)).toMatchObject({ ok: false, doubled: 3 });
  });

  test('a message that was not acknowledged may be there or not, but not in part', () => {
    const both = (book: DeviceBook) => {
      book.sent(MESSAGE);
      const other = { timeUs: RUN_US + 9, readings: [{ metric: 'n', value: 1 }] };
      book.sent(other);
      book.acknowledged(other.timeUs);
    };
    const other = { device: 'd1', metric: 'n', timeUs: RUN_US + 9, value: 1 };
    expect(judge(both, [other])).toMatchObject({ ok: true, storedUnacknowledged: 0 });
    expect(judge(both, [...ROWS, other])).toMatchObject({ ok: true, storedUnacknowledged: 3 });
    expect(judge(both, [ROWS[0]!, other])).toMatchObject({ ok: false, torn: 1 });
  });

  test('a sound message that the hub refused is a failure, and an acknowledgement is never taken back', () => {
    const refused = (book: DeviceBook) => {
      book.sent(MESSAGE);
      book.refused(MESSAGE.timeUs);
    };
    expect(judge(refused, [])).toMatchObject({ ok: false, refused: 1, lost: 0 });
    const both = (book: DeviceBook) => {
      sentAndAcknowledged(book);
      book.refused(MESSAGE.timeUs);
    };
    expect(judge(both, [])).toMatchObject({ lost: 3, refused: 0 });
  });

  test('a run in which nothing was acknowledged shows nothing', () => {
    expect(judge((book) => book.sent(MESSAGE), ROWS)).toMatchObject({ ok: false, acknowledged: 0 });
  });

  test("other devices' rows and rows from before the run are somebody else's", () => {
    const others = [
      { ...ROWS[0]!, device: 'd2' },
      { ...ROWS[0]!, timeUs: RUN_US - 1 },
    ];
    expect(judge(sentAndAcknowledged, [...others, ...ROWS])).toMatchObject({ ok: true, rowsRead: 5, rowsCompared: 3 });
  });

  test('the examples are bounded', () => {
    const many = Array.from({ length: 100 }, (_, i) => ({ ...ROWS[0]!, timeUs: RUN_US + 100 + i }));
    const verdict = judge(sentAndAcknowledged, [...ROWS, ...many]);
    expect(verdict.foreign).toBe(100);
    expect(verdict.examples).toHaveLength(20);
  });
});

describe('the ledger', () => {
  test('keeps thousands of messages of a device apart', () => {
    const ledger = new Ledger(10_000);
    const book = ledger.open('d1', false);
    for (let i = 0; i < 3000; i++) {
      book.sent({ timeUs: RUN_US + i * 1000, readings: [{ metric: `m${i % 3}`, value: i / 7 }] });
      if (i % 2 === 0) book.acknowledged(RUN_US + i * 1000);
    }
    const check = new LedgerCheck(ledger, RUN_US);
    for (let i = 0; i < 3000; i += 2) {
      check.row({ device: 'd1', metric: `m${i % 3}`, timeUs: RUN_US + i * 1000, value: i / 7 });
    }
    expect(check.finish()).toMatchObject({ ok: true, sent: 3000, acknowledged: 1500, storedUnacknowledged: 0 });
  });

  test('says so when it is full, and takes no message in part', () => {
    const ledger = new Ledger(4);
    const book = ledger.open('d1', false);
    book.sent(MESSAGE);
    expect(ledger.overflowed).toBe(false);
    book.sent({ ...MESSAGE, timeUs: MESSAGE.timeUs + 1 });
    expect(ledger.overflowed).toBe(true);
    expect(book.messages).toBe(1);
  });
});
