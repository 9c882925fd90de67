import { describe, expect, test } from 'vitest';
import { closeEnd, refusalEnd } from '#devices-sim/device/socket.js';
import { CLOSE_REASONS, type CloseReason } from '#protocols/close-reasons.js';

describe('whether a device comes back', () => {
  test.each(Object.keys(CLOSE_REASONS) as CloseReason[])('after %s the table decides', (reason) => {
    const { webSocketCode, text, reconnect } = CLOSE_REASONS[reason];
    expect(closeEnd(webSocketCode, `${reason}: ${text}`).reconnect).toBe(reconnect);
  });

  test.each([
    [1006, '', true],
    [1000, '', true],
    [4009, '', false],
    [4003, 'who?', false],
    // One code for reasons of both kinds, and a name that is none.
    [1008, 'toString: x', true],
  ])('after code %i with the reason "%s": %s', (code, reason, reconnect) => {
    expect(closeEnd(code, reason).reconnect).toBe(reconnect);
  });

  test.each([
    [301, true],
    [400, false],
    [401, false],
    [403, false],
    // What a proxy says while the hub is being replaced.
    [404, true],
    [426, false],
    [429, true],
    [503, true],
  ])('after a handshake that was answered with %i: %s', (status, reconnect) => {
    expect(refusalEnd(status, undefined).reconnect).toBe(reconnect);
  });

  test.each([
    ['12', 12_000],
    [undefined, 0],
    ['Wed, 21 Oct 2026 07:28:00 GMT', 0],
    ['99999999', 0],
    ['-1', 0],
  ])('Retry-After: %s', (text, retryAfterMs) => {
    expect(refusalEnd(503, text).retryAfterMs).toBe(retryAfterMs);
  });
});
