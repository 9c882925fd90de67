import { describe, expect, it } from 'vitest';
import {
  groupsOf,
  isAboutOffer,
  isStream,
  pieces,
  sumsOf,
  type Refused,
} from '../../../dashboard/parts/refused/groups.ts';

let now = 1000;
const refused = (change: Partial<Refused> = {}): Refused => ({
  timeMs: now--,
  address: '10.0.0.1',
  path: '/mqtt',
  offered: 'mqttv5',
  userAgent: null,
  code: 'unknown_subprotocol',
  status: 400,
  title: 'No offered subprotocol is served',
  detail: 'none is served',
  advice: 'Offer `mqtt`.',
  ...change,
});

describe('refused handshakes', () => {
  it('that are alike stand together, with how often, since when and from where', () => {
    const items = [refused(), refused({ address: '10.0.0.2' }), refused({ address: '10.0.0.2' })];
    const [group, ...others] = groupsOf(items, 'often');
    expect(others).toEqual([]);
    expect(group).toMatchObject({ count: 3, newest: items[0], firstMs: items[2]!.timeMs });
    expect(group!.addresses).toEqual([
      ['10.0.0.2', 2],
      ['10.0.0.1', 1],
    ]);
  });

  it.each([
    { offered: 'MQTTV5' },
    { offered: null },
    { offered: '' },
    { path: '/other' },
    { userAgent: 'x' },
    { code: 'bad_credentials' },
  ])('that differ in %j stand apart', (change) => {
    expect(groupsOf([refused(), refused(change)], 'often')).toHaveLength(2);
  });

  it('are not joined by what a client can write into a field', () => {
    expect(
      groupsOf([refused({ offered: 'a","b', path: 'c' }), refused({ offered: 'a', path: 'b","c' })], 'often'),
    ).toHaveLength(2);
  });

  it('stand in the order that is asked for, and the codes that were most first', () => {
    const items = [
      refused({ offered: 'new' }),
      refused(),
      refused({ offered: 'often' }),
      refused({ offered: 'often' }),
    ];
    const order = (by: 'often' | 'newest') => groupsOf(items, by).map((group) => group.newest.offered);
    expect(order('newest')).toEqual(['new', 'mqttv5', 'often']);
    expect(order('often')).toEqual(['often', 'new', 'mqttv5']);
    expect(sumsOf({ unknown_path: 2, bad_credentials: 9 })).toEqual([
      ['bad_credentials', 9],
      ['unknown_path', 2],
    ]);
  });

  it('say whether it was the offer that was wrong', () => {
    expect(isAboutOffer(refused())).toBe(true);
    expect(isAboutOffer(refused({ code: 'protocol_not_allowed' }))).toBe(true);
    expect(isAboutOffer(refused({ code: 'bad_credentials' }))).toBe(false);
  });

  it('say whether there was a handshake at all', () => {
    expect(['/mqtt', '/', 'mqtts:'].map((path) => isStream(refused({ path })))).toEqual([false, false, true]);
  });

  it('have advice with code in it', () => {
    expect(pieces('Offer `mqtt` now')).toEqual([
      { text: 'Offer ', isCode: false },
      { text: 'mqtt', isCode: true },
      { text: ' now', isCode: false },
    ]);
    expect(pieces('plain')).toEqual([{ text: 'plain', isCode: false }]);
  });
});
