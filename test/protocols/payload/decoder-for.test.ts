import { describe, expect, test } from 'vitest';
import type { PayloadError } from '#protocols/errors.js';
import { decodeJson } from '#protocols/payload/json.js';
import { decoderFor, PAYLOAD_FORMATS, readsJson } from '#protocols/payload/index.js';

const format = (name: string) => PAYLOAD_FORMATS.find((one) => one.name === name)!;

describe('which decoder serves a message', () => {
  test.each([
    [null, null],
    [null, 'json'],
    ['application/json', null],
    ['application/json', 'json'],
    ['Application/JSON', null],
    ['application/json; charset=utf-8', null],
    ['application/json;charset="UTF-8"', null],
    ['application/json ; profile=x', null],
    ['application/octet-stream', 'json'],
  ])('content type %s with format %s is JSON', (contentType, topicFormat) => {
    expect(decoderFor(contentType, topicFormat)).toBe(decodeJson);
  });

  test.each(PAYLOAD_FORMATS)('$name is named by its content types, its topic formats, and both together', (one) => {
    for (const contentType of one.contentTypes) {
      expect(decoderFor(contentType, null)).toBe(one.decode);
      expect(decoderFor(`${contentType.toUpperCase()} ; q=1`, null)).toBe(one.decode);
      for (const topicFormat of one.topicFormats) expect(decoderFor(contentType, topicFormat)).toBe(one.decode);
    }
    for (const topicFormat of one.topicFormats) {
      expect(decoderFor(null, topicFormat)).toBe(one.decode);
      expect(decoderFor('application/octet-stream', topicFormat)).toBe(one.decode);
    }
    expect(readsJson(one.decode)).toBe(one.name === 'JSON');
  });

  test('no name stands for two formats', () => {
    const names = PAYLOAD_FORMATS.flatMap((one) => [...one.contentTypes, ...one.topicFormats]);
    expect(new Set(names).size).toBe(names.length);
  });

  test('a content type that contradicts the topic is refused, whichever of them is JSON', () => {
    for (const one of PAYLOAD_FORMATS) {
      for (const other of PAYLOAD_FORMATS) {
        if (one === other) continue;
        expect(() => decoderFor(one.contentTypes[0]!, other.topicFormats[0]!)).toThrow(
          `the content type "${one.contentTypes[0]!}" says ${one.name}, and the topic says ${other.name}`,
        );
      }
    }
  });

  test('a charset matters to texts alone', () => {
    expect(decoderFor('application/senml+json; charset=UTF-8', null)).toBe(format('SenML JSON').decode);
    expect(() => decoderFor('application/senml+json; charset=latin1', null)).toThrow('JSON is UTF-8');
    expect(decoderFor('application/cbor; charset=latin1', null)).toBe(format('CBOR').decode);
  });

  test.each([
    ['text/plain', null],
    ['', null],
    ['', 'json'],
    ['application/jsonx', null],
    ['application/octet-stream', null],
    ['application/x-www-form-urlencoded', 'cbor'],
    ['application/senml-json', null],
    ['application/senml+xml', null],
    ['application/json, application/cbor', null],
    ['application/json; charset=iso-8859-1', null],
    ['application/json; charset=utf-16', 'json'],
    [null, 'JSON'],
    [null, ''],
    [null, 'senml'],
    [null, 'application/json'],
    [null, '__proto__'],
  ])('content type %s with format %s is served by nobody', (contentType, topicFormat) => {
    expect(() => decoderFor(contentType, topicFormat)).toThrow(
      expect.objectContaining({ name: 'PayloadError', code: 'unsupported_format' }) as PayloadError,
    );
  });

  test('the refusal names what came and what is served, and nothing unprintable', () => {
    expect(() => decoderFor('text/\u0007plain', null)).toThrow(
      'no decoder serves the content type "text/?plain"; served: application/json, application/senml+json, ' +
        'application/senml+cbor, application/cbor, application/msgpack, application/x-protobuf',
    );
    expect(() => decoderFor(null, 'x\u0007')).toThrow(
      'no decoder serves the format "x?"; served: json, senml-json, senml-cbor, cbor, msgpack, protobuf',
    );
  });
});
