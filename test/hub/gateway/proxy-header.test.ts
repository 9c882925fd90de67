import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readProxyHeader } from '#hub/gateway/proxy-header.js';

const SIGNATURE = '0d0a0d0a000d0a515549540a';
/** PROXY, TCP over IPv4: 203.0.113.5:51966 to 192.0.2.1:1883. */
const IPV4 = Buffer.from(`${SIGNATURE}2111000ccb007105c0000201cafe075b`, 'hex');
const IPV6 = Buffer.from(
  `${SIGNATURE}2121002420010db800000000000000000000000120010db8000000000000000000000002cafe075b`,
  'hex',
);

describe('PROXY protocol version 2', () => {
  it('reads the source address', () => {
    expect(readProxyHeader(IPV4)).toEqual({ kind: 'header', bytes: 28, address: '203.0.113.5' });
    expect(readProxyHeader(IPV6)).toEqual({ kind: 'header', bytes: 52, address: '2001:db8::1' });
  });

  it('shows IPv4 in IPv6 form as IPv4', () => {
    const mapped = Buffer.from(IPV6);
    mapped.write('00000000000000000000ffffcb007105', 16, 'hex');
    expect(readProxyHeader(mapped)).toMatchObject({ address: '203.0.113.5' });
  });

  it('passes over extensions, and leaves what comes after the header', () => {
    const extended = Buffer.concat([IPV4, Buffer.from('03000400000000', 'hex'), Buffer.from([0x10, 0x0c])]);
    extended.writeUInt16BE(12 + 7, 14);
    expect(readProxyHeader(extended)).toEqual({ kind: 'header', bytes: 35, address: '203.0.113.5' });
  });

  it('has no address for the proxy’s own connections, and for sockets without one', () => {
    const local = Buffer.from(`${SIGNATURE}20000000`, 'hex');
    expect(readProxyHeader(local)).toEqual({ kind: 'header', bytes: 16, address: null });
    const unix = Buffer.concat([Buffer.from(`${SIGNATURE}213100d8`, 'hex'), Buffer.alloc(216)]);
    expect(readProxyHeader(unix)).toEqual({ kind: 'header', bytes: 232, address: null });
  });

  it.each([
    ['IPv4', IPV4],
    ['IPv6', IPV6],
  ])('waits for the rest, byte by byte: %s', (_name, whole) => {
    for (let n = 0; n < whole.length; n++)
      expect(readProxyHeader(whole.subarray(0, n))).toEqual({ kind: 'incomplete' });
  });

  it.each([
    ['an MQTT CONNECT', Buffer.from('100c00044d5154540402003c0000', 'hex')],
    ['version 1', Buffer.from('PROXY TCP4 203.0.113.5 192.0.2.1 1 2\r\n')],
    ['another version', Buffer.from(`${SIGNATURE}3111000c`, 'hex')],
    ['an unknown command', Buffer.from(`${SIGNATURE}2211000c`, 'hex')],
    ['addresses cut off', Buffer.concat([Buffer.from(`${SIGNATURE}2111000b`, 'hex'), Buffer.alloc(11)])],
    ['a header past the limit', Buffer.from(`${SIGNATURE}21110801`, 'hex')],
  ])('refuses %s', (_name, data) => {
    expect(readProxyHeader(data)).toMatchObject({ kind: 'malformed' });
  });

  it('takes a header of the largest size', () => {
    const largest = Buffer.concat([IPV4, Buffer.alloc(2048 - 12)]);
    largest.writeUInt16BE(2048, 14);
    expect(readProxyHeader(largest)).toMatchObject({ kind: 'header', bytes: 2064 });
  });

  it('reads anything without throwing', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), fc.boolean(), (bytes, signed) => {
        const data = signed ? Buffer.concat([Buffer.from(SIGNATURE, 'hex'), bytes]) : Buffer.from(bytes);
        expect(['header', 'incomplete', 'malformed']).toContain(readProxyHeader(data).kind);
      }),
    );
  });
});
