/* What proves that the other side speaks WebSocket (RFC 6455, 4.2.2): BASE64(SHA-1(key + a fixed text)). */
#ifndef HANDSHAKE_KEY_H
#define HANDSHAKE_KEY_H

#include <stddef.h>
#include <stdint.h>

#define KEY_TEXT 25    /* 16 random bytes in base64, and the 0 */
#define ACCEPT_TEXT 29 /* 20 bytes of SHA-1 in base64, and the 0 */

/* A new Sec-WebSocket-Key, made of 16 random bytes. */
void handshake_key(const uint8_t random[16], char key[KEY_TEXT]);

/* The Sec-WebSocket-Accept that answers `key`. */
void handshake_accept(const char key[KEY_TEXT], char accept[ACCEPT_TEXT]);

#endif
