import { describe, expect, it } from 'vitest';
import { BROKEN_MS, SILENT_MS } from '../../dashboard/live.ts';
import { FakeFeed } from './fake-feed.ts';

function watching(devices: readonly string[] | null = null): FakeFeed {
  const feed = new FakeFeed();
  feed.live.watch(devices);
  return feed;
}

describe('the live client', () => {
  it('is live from hello on, and asks for the state then, not before', () => {
    const feed = watching();
    expect(feed.live.status.value).toEqual({ state: 'connecting' });
    expect(feed.reloads).toBe(0);
    feed.hello();
    expect(feed.live.status.value).toEqual({ state: 'live' });
    expect(feed.reloads).toBe(1);
  });

  it('needs no new state when the stream goes on where it was', () => {
    const feed = watching();
    feed.hello();
    feed.source.breaks();
    feed.hello(true);
    expect(feed.live.status.value).toEqual({ state: 'live' });
    expect(feed.reloads).toBe(1);
  });

  it('takes the state anew when changes are missing', () => {
    const feed = watching();
    feed.hello();
    feed.source.says('resync', { reason: 'too_slow' });
    expect(feed.reloads).toBe(2);
  });

  it('passes changes on to those who listen, until they stop', () => {
    const feed = watching();
    const seen: unknown[] = [];
    const off = feed.live.on('latest', (changes) => seen.push(changes));
    feed.hello();
    const change = [{ device: 'a', values: [{ metric: 't', value: 1, timeUs: 1 }] }];
    feed.source.says('latest', change);
    off();
    feed.source.says('latest', change);
    expect(seen).toEqual([change]);
  });

  it('says at once that a broken connection is not live, and since when by the hub’s clock', () => {
    const feed = watching();
    feed.hubAheadMs = 3_600_000;
    feed.hello();
    feed.speaks(3);
    const lastWordMs = feed.nowMs;
    feed.clock.advance(700);
    feed.source.breaks();
    expect(feed.live.status.value).toEqual({ state: 'stale', sinceMs: lastWordMs, why: 'broken' });
    expect(feed.live.hubNowMs()).toBe(feed.nowMs);
  });

  it('is not live after some silence, and live again with the next word', () => {
    const feed = watching();
    feed.hello();
    feed.clock.advance(SILENT_MS - 1);
    expect(feed.live.status.value.state).toBe('live');
    feed.clock.advance(1000);
    expect(feed.live.status.value).toMatchObject({ state: 'stale', why: 'silent' });
    feed.figures();
    expect(feed.live.status.value.state).toBe('live');
    expect(feed.reloads).toBe(1);
  });

  it('stays live as long as the hub speaks each second', () => {
    const feed = watching();
    feed.hello();
    feed.speaks(120);
    expect(feed.live.status.value.state).toBe('live');
    expect(feed.sources).toHaveLength(1);
  });

  it('opens another stream when the way is silent for 45 s, and does not count as live before its hello', () => {
    const feed = watching();
    feed.hello();
    feed.clock.advance(BROKEN_MS + 1000);
    expect(feed.sources).toHaveLength(2);
    expect(feed.sources[0]!.isClosed).toBe(true);
    expect(feed.live.status.value.state).toBe('stale');
    feed.sources[0]!.says('figures', { nowMs: 1 });
    expect(feed.live.status.value.state).toBe('stale');
    feed.hello();
    expect(feed.live.status.value.state).toBe('live');
    expect(feed.reloads).toBe(2);
  });

  it('tries again by itself when the hub refuses the stream, more and more slowly, and looks whether the sign-in is good', () => {
    const feed = watching();
    feed.source.isRefused();
    expect(feed.live.status.value).toEqual({ state: 'stale', sinceMs: null, why: 'refused' });
    expect(feed.refusals).toBe(1);
    expect(feed.reloads).toBe(1);
    feed.clock.advance(1000);
    expect(feed.sources).toHaveLength(2);
    feed.source.isRefused();
    feed.clock.advance(1999);
    expect(feed.sources).toHaveLength(2);
    feed.clock.advance(1);
    expect(feed.sources).toHaveLength(3);
    feed.hello();
    feed.source.isRefused();
    feed.clock.advance(1000);
    expect(feed.sources).toHaveLength(4);
  });

  it('watches what the page shows, and once it has watched all, goes on watching all', () => {
    const feed = watching(['a b']);
    expect(feed.source.url).toBe('/api/v1/live?devices=a%20b');
    feed.live.watch(['a b']);
    expect(feed.sources).toHaveLength(1);
    feed.live.watch(null);
    expect(feed.source.url).toBe('/api/v1/live');
    feed.live.watch(['c']);
    expect(feed.sources).toHaveLength(2);
  });

  it('asks for the state of another device though the feed is refused', () => {
    const feed = watching(['a']);
    feed.hello();
    feed.live.watch(['b']);
    feed.source.isRefused();
    expect(feed.reloads).toBe(2);
  });

  it('lets go of the stream while nobody looks, says that nothing is live, and comes back', () => {
    const feed = watching();
    feed.hello();
    feed.live.rest();
    expect(feed.source.isClosed).toBe(true);
    expect(feed.live.status.value).toMatchObject({ state: 'stale', why: 'resting' });
    feed.clock.advance(600_000);
    expect(feed.sources).toHaveLength(1);
    feed.live.wake();
    feed.live.wake();
    expect(feed.sources).toHaveLength(2);
    feed.hello();
    expect(feed.live.status.value.state).toBe('live');
    expect(feed.reloads).toBe(2);
  });

  it('knows which alarms are raised', () => {
    const feed = watching();
    const alarm = { code: 'backlog_high', raised: true, sinceMs: 1, detail: 'much waits' };
    feed.hello(false, [alarm]);
    expect(feed.live.alarms.value).toEqual([alarm]);
    feed.source.says('alarm', [{ ...alarm, code: 'many_refused' }]);
    feed.source.says('alarm', [{ ...alarm, raised: false }]);
    expect(feed.live.alarms.value.map(({ code }) => code)).toEqual(['many_refused']);
  });

  it('does not show figures of before a break as those of now', () => {
    const feed = watching();
    feed.hello();
    feed.figures({ online: 300 });
    feed.source.breaks();
    expect(feed.live.figures.value).toMatchObject({ online: 300 });
    feed.hello(true);
    expect(feed.live.figures.value).toBeNull();
    feed.figures({ online: 3 });
    expect(feed.live.figures.value).toMatchObject({ online: 3 });
  });

  it('asks for no stream before a page has said what it shows', () => {
    const feed = new FakeFeed();
    feed.live.wake();
    expect(feed.sources).toHaveLength(0);
  });

  it('notices silence though the clock of the browser was set back', () => {
    const feed = watching();
    feed.hello();
    feed.clock.step(-3_600_000);
    feed.clock.advance(SILENT_MS + 2000);
    expect(feed.live.status.value).toMatchObject({ state: 'stale', why: 'silent' });
  });
});
