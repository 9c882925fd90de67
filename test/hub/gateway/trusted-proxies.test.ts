import { describe, expect, it } from 'vitest';
import { parseNetwork } from '#hub/config/network.js';
import { TrustedProxies } from '#hub/gateway/trusted-proxies.js';

const PEER = '10.0.0.7';

describe('trusted proxies', () => {
  const proxies = new TrustedProxies(['10.0.0.0/8', '192.0.2.9', '2001:db8::/32']);

  it.each([
    ['no header', undefined, PEER],
    ['one hop', '203.0.113.5', '203.0.113.5'],
    ['what a client wrote before the proxy’s own word', '198.51.100.1, 203.0.113.5', '203.0.113.5'],
    ['a chain of trusted proxies', '203.0.113.5, 192.0.2.9, 10.1.2.3', '203.0.113.5'],
    ['trusted proxies alone', '10.1.2.3, 192.0.2.9', '10.1.2.3'],
    ['ports', '203.0.113.5:4711', '203.0.113.5'],
    ['IPv6 with port', '[2001:db9::1]:4711', '2001:db9::1'],
    ['IPv6 of a proxy', '203.0.113.5, 2001:db8::1', '203.0.113.5'],
    ['IPv4 in IPv6 form', '::ffff:203.0.113.5', '203.0.113.5'],
    ['no address', 'unknown', PEER],
    ['no address behind a trusted hop', 'unknown, 10.1.2.3', '10.1.2.3'],
    ['nothing', '', PEER],
  ])('reads X-Forwarded-For: %s', (_what, header, client) => {
    expect(proxies.clientOf(PEER, header)).toBe(client);
  });

  it('takes repeated headers as one list', () => {
    expect(proxies.clientOf(PEER, ['203.0.113.5', '192.0.2.9'])).toBe('203.0.113.5');
  });

  it('believes nobody else, and nobody at all unless told to', () => {
    expect(proxies.clientOf('203.0.113.66', '198.51.100.1')).toBe('203.0.113.66');
    expect(new TrustedProxies([]).clientOf(PEER, '198.51.100.1')).toBe(PEER);
    expect(proxies.trusts('unknown')).toBe(false);
  });

  it.each(['10.0.0.0/33', '10.0.0/8', 'example.org', '10.0.0.0/8/8', '10.0.0.0/', '::1/129'])(
    'refuses %s as a network',
    (text) => {
      expect(parseNetwork(text)).toBeNull();
      expect(() => new TrustedProxies([text])).toThrow(RangeError);
    },
  );
});
