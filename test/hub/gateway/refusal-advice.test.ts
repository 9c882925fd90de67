import { describe, expect, it } from 'vitest';
import { REFUSAL_STATUS, REFUSAL_TITLES } from '#hub/gateway/refusal.js';
import { adviceFor } from '#hub/gateway/refusal-advice.js';
import type { RefusalCode } from '#hub/gateway/port.js';
import { registry } from '#protocols/registry.js';

const codes = Object.keys(REFUSAL_STATUS) as RefusalCode[];
const offering = (offered: string | null, code: RefusalCode = 'unknown_subprotocol', detail = '') =>
  adviceFor({ code, offered, detail });

describe('advice on a refused handshake', () => {
  it.each(codes)('%s has words that say what to do, with whole code spans', (code) => {
    const advice = offering(null, code, 'WebSockets are served on: / /mqtt');
    expect(advice.length).toBeGreaterThan(40);
    expect(advice.split('`').length % 2).toBe(1);
    expect(REFUSAL_TITLES[code]).not.toBe('');
  });

  it.each([
    ['mqttv3.1.1', 'mqtt'],
    ['MQTT', 'mqtt'],
    ['mqtt-v5, x', 'mqtt'],
    ['stomp, v13.stomp', 'v12.stomp'],
    ['cbor', 'v1.cbor.muster'],
  ])('%s gets the name that was meant', (offered, name) => {
    expect(offering(offered)).toContain(`Offer \`${name}\``);
  });

  it('names everything that is served when nothing is like the offer, and only that', () => {
    for (const advice of [offering('graphql-ws'), offering(null, 'no_subprotocol')]) {
      expect(advice).toContain('`mqtt` (MQTT), `v12.stomp` (STOMP), `v1.cbor.muster` (CBOR)');
    }
    const served = [...registry({ echo: true }).keys()];
    expect(served).toEqual(expect.arrayContaining(['mqtt', 'v12.stomp', 'v1.cbor.muster']));
  });

  it('says what the hub speaks, and nothing about versions that is not so', () => {
    const served = [...registry({ echo: false }).keys()].filter((name) => name.endsWith('.stomp'));
    for (const name of served) expect(offering('stomp')).toContain(`\`${name}\``);
    expect(offering('stomp')).not.toContain('alone');
  });

  it('tells a doubled name from a broken one', () => {
    const doubled = 'Sec-WebSocket-Protocol names one protocol twice (RFC 6455, 4.1)';
    expect(offering('mqtt, mqtt', 'malformed_subprotocol', doubled)).toContain('Name each protocol once');
    const broken = 'Sec-WebSocket-Protocol holds "mqtt 3", which is no token (RFC 6455, 4.1)';
    expect(offering('mqtt 3', 'malformed_subprotocol', broken)).toContain('Separate names by commas');
  });

  it('repeats nothing that the client sent', () => {
    for (const code of codes) expect(offering('<img src=x onerror=alert(1)>', code)).not.toContain('<img');
  });
});
