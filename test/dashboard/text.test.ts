import { describe, expect, it } from 'vitest';
import { deviceHref, routeOf } from '../../dashboard/router.ts';
import { ago, count, duration, figure, protocolText, valueText } from '../../dashboard/text.ts';

describe('how figures read', () => {
  it('a length of time in its largest unit', () => {
    const lengths = [-5, 0, 999, 59_999, 60_000, 3_599_999, 3_600_000, 47 * 3_600_000, 48 * 3_600_000];
    expect(lengths.map(duration)).toEqual(['0 s', '0 s', '0 s', '59 s', '1 min', '59 min', '1 h', '47 h', '2 d']);
  });

  it('what is a moment ahead is now', () => {
    expect([ago(5000, 5900), ago(6000, 5000), ago(5000, 8000)]).toEqual(['now', 'now', '3 s ago']);
  });

  it('rates and latencies with three figures that count', () => {
    expect([0, 1.2345, 12.345, 123.45, 4999.6].map(figure)).toEqual(['0', '1.23', '12.3', '123', '5,000']);
    expect(count(5000)).toBe('5,000');
  });

  it('values as the device sent them, numbers to six figures', () => {
    expect([21.5, 0.1 + 0.2, 1e21, true, 'auto', '<b>'].map(valueText)).toEqual([
      '21.5',
      '0.3',
      '1e+21',
      'true',
      'auto',
      '<b>',
    ]);
    expect(protocolText('mqtt')).toBe('MQTT');
    expect(protocolText('coap')).toBe('coap');
  });
});

describe('the pages', () => {
  it('have an address each', () => {
    expect(routeOf('/dashboard/')).toEqual({ page: 'fleet' });
    expect(routeOf('/dashboard/refused')).toEqual({ page: 'refused' });
    expect(routeOf('/dashboard/refused/')).toEqual({ page: 'refused' });
    expect(routeOf(deviceHref('a:b c%'))).toEqual({ page: 'device', id: 'a:b c%' });
  });

  it('what leads nowhere says so', () => {
    for (const path of [
      '/dashboard/x',
      '/dashboard/devices/',
      '/dashboard/devices/a/b',
      '/dashboard/devices/%E0%A4%A',
    ]) {
      expect(routeOf(path)).toEqual({ page: 'unknown' });
    }
  });
});
