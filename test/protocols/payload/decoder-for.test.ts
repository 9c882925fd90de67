import { describe, expect, test } from 'vitest';
import { PayloadError } from '#protocols/errors.js';
import { decodeJson } from '#protocols/payload/json.js';
import { decoderFor } from '#protocols/payload/index.js';

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
  ])('content type %s with format %s is JSON', (contentType, format) => {
    expect(decoderFor(contentType, format)).toBe(decodeJson);
  });

  test.each([
    ['text/plain', null],
    ['', null],
    ['application/jsonx', null],
    ['application/senml+json', null],
    ['application/cbor', 'json'],
    ['application/json; charset=iso-8859-1', null],
    ['application/json; charset=utf-16', 'json'],
    ['application/json', 'cbor'],
    [null, 'JSON'],
    [null, ''],
  ])('content type %s with format %s is served by nobody', (contentType, format) => {
    expect(() => decoderFor(contentType, format)).toThrow(
      expect.objectContaining({ name: 'PayloadError', code: 'unsupported_format' }) as PayloadError,
    );
  });

  test('the refusal names what came and what is served, and nothing unprintable', () => {
    expect(() => decoderFor('text/\u0007plain', null)).toThrow(
      'no decoder serves the content type "text/?plain"; served: application/json',
    );
  });
});
