import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { negotiate } from '#protocols/negotiate.js';
import { registry } from '#protocols/registry.js';

const SERVED = registry({ echo: false });
const chosen = (header: string | undefined, allowed: readonly string[] | null = null): string => {
  const result = negotiate(header, SERVED, allowed);
  return result.ok ? result.name : result.code;
};

describe('negotiation', () => {
  it('serves these names, echo only when asked', () => {
    expect([...SERVED.keys()]).toEqual(['mqtt', 'mqttv3.1', 'v12.stomp', 'v11.stomp', 'v10.stomp', 'v1.cbor.muster']);
    expect(registry({ echo: true }).has('v1.echo.muster')).toBe(true);
  });

  it('takes the first offer that is served, wherever it stands in the list', () => {
    expect(chosen('mqtt')).toBe('mqtt');
    expect(chosen('mqtt, mqttv3.1')).toBe('mqtt');
    expect(chosen('mqttv3.1,mqtt')).toBe('mqttv3.1');
    expect(chosen('v10.stomp, v11.stomp, v12.stomp')).toBe('v10.stomp');
    expect(chosen('v99.stomp ,\tv12.stomp , mqtt')).toBe('v12.stomp');
  });

  it('names are compared as they are: case and versions matter', () => {
    for (const name of ['MQTT', 'mqttv3.1.1', 'mqttv5', 'V11.STOMP', 'v13.stomp', 'stomp', 'mqtt2']) {
      expect(chosen(name)).toBe('unknown_subprotocol');
    }
  });

  it('refuses what is missing or broken', () => {
    for (const header of [undefined, '', '  ']) expect(chosen(header)).toBe('no_subprotocol');
    for (const header of ['mqtt,', ',mqtt', 'mqtt,,v12.stomp', 'mq tt', 'mqtt;q=1', '"mqtt"', 'mqtt, mqtt']) {
      expect(chosen(header), header).toBe('malformed_subprotocol');
    }
  });

  it('passes over what the policy of the device forbids, and says so when nothing is left', () => {
    expect(chosen('mqtt, v12.stomp', ['stomp'])).toBe('v12.stomp');
    expect(chosen('mqtt', ['stomp'])).toBe('protocol_not_allowed');
    expect(chosen('mqtt', [])).toBe('protocol_not_allowed');
    expect(chosen('nothing', ['stomp'])).toBe('unknown_subprotocol');
  });

  it('tells what was offered and what is served', () => {
    const refused = negotiate('foo, bar', SERVED, null);
    expect(refused).toMatchObject({ ok: false, offered: ['foo', 'bar'] });
    if (!refused.ok) for (const name of SERVED.keys()) expect(refused.detail).toContain(name);
  });

  it('never throws, and echoes nothing that was not offered', () => {
    fc.assert(
      fc.property(fc.string(), (header) => {
        const result = negotiate(header, SERVED, null);
        return !result.ok || header.includes(result.name);
      }),
    );
  });
});
