#include "handshake_key.h"

#include <string.h>

static uint32_t rotate(uint32_t value, int bits) { return value << bits | value >> (32 - bits); }

static void sha1_block(uint32_t state[5], const uint8_t block[64]) {
  uint32_t w[80];
  for (int i = 0; i < 16; i++)
    w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 | (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
  for (int i = 16; i < 80; i++) w[i] = rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
  uint32_t a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
  for (int i = 0; i < 80; i++) {
    uint32_t f, k;
    if (i < 20) f = (b & c) | (~b & d), k = 0x5a827999;
    else if (i < 40) f = b ^ c ^ d, k = 0x6ed9eba1;
    else if (i < 60) f = (b & c) | (b & d) | (c & d), k = 0x8f1bbcdc;
    else f = b ^ c ^ d, k = 0xca62c1d6;
    uint32_t next = rotate(a, 5) + f + e + k + w[i];
    e = d, d = c, c = rotate(b, 30), b = a, a = next;
  }
  state[0] += a, state[1] += b, state[2] += c, state[3] += d, state[4] += e;
}

/* SHA-1 (FIPS 180-4) of a text of at most 119 bytes: one or two blocks. Here it guards nothing; the protocol asks for it. */
static void sha1(const char *text, size_t length, uint8_t out[20]) {
  uint8_t blocks[128] = {0};
  size_t used = length < 56 ? 64 : 128;
  memcpy(blocks, text, length);
  blocks[length] = 0x80;
  blocks[used - 2] = (uint8_t)(length * 8 >> 8);
  blocks[used - 1] = (uint8_t)(length * 8);
  uint32_t state[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
  for (size_t at = 0; at < used; at += 64) sha1_block(state, blocks + at);
  for (int i = 0; i < 20; i++) out[i] = (uint8_t)(state[i / 4] >> (24 - 8 * (i % 4)));
}

static void base64(const uint8_t *bytes, size_t length, char *out) {
  static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (size_t at = 0; at < length; at += 3) {
    size_t left = length - at;
    uint32_t three = (uint32_t)bytes[at] << 16 | (left > 1 ? (uint32_t)bytes[at + 1] << 8 : 0) | (left > 2 ? bytes[at + 2] : 0);
    *out++ = letters[three >> 18];
    *out++ = letters[three >> 12 & 63];
    *out++ = left > 1 ? letters[three >> 6 & 63] : '=';
    *out++ = left > 2 ? letters[three & 63] : '=';
  }
  *out = 0;
}

void handshake_key(const uint8_t random[16], char key[KEY_TEXT]) { base64(random, 16, key); }

void handshake_accept(const char key[KEY_TEXT], char accept[ACCEPT_TEXT]) {
  char text[KEY_TEXT - 1 + 36];
  uint8_t digest[20];
  memcpy(text, key, KEY_TEXT - 1);
  memcpy(text + KEY_TEXT - 1, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11", 36);
  sha1(text, sizeof text, digest);
  base64(digest, sizeof digest, accept);
}
