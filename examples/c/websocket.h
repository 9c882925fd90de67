/*
 * The client's side of a WebSocket (RFC 6455), as much as a device needs: binary messages, fragments, ping, pong, close.
 * All memory is in the struct. Whatever the other side sends, it is read within these bounds or ends the connection.
 */
#ifndef WEBSOCKET_H
#define WEBSOCKET_H

#include "net.h"

/* The largest message that is kept whole. */
#define WEBSOCKET_MESSAGE_BYTES 16384

typedef enum { WEBSOCKET_MESSAGE, WEBSOCKET_CUT_MESSAGE, WEBSOCKET_NOTHING, WEBSOCKET_OVER } websocket_result;

typedef struct {
  net net;
  /* What came from the socket and was not looked at yet. */
  uint8_t in[4096];
  size_t in_at, in_length;
  /* The frame that is being read: its header as far as it came, then how much of its payload is missing. */
  uint8_t head[10];
  size_t head_length;
  uint64_t missing;
  uint8_t opcode;
  bool is_last;
  bool in_payload;
  uint8_t control[125];
  size_t control_length;
  /* The message that its frames make. */
  uint8_t message[WEBSOCKET_MESSAGE_BYTES];
  size_t message_length;
  bool in_message, is_too_long;
  int64_t heard_ms; /* monotonic_ms() of the last byte */
  /* Why it is over: the hub's code (RFC 6455, 7.4.1) or 1006 when there was none. */
  unsigned close_code;
  const char *why;
  /* The answer to the handshake: its status (0: none that could be understood), and the seconds of Retry-After, at most an hour. */
  int http_status, retry_after_s;
} websocket;

typedef struct {
  const char *host, *port, *path;
  bool with_tls;
  const char *protocol;
  const char *token; /* for Authorization: Bearer; NULL for none */
} websocket_address;

/* Opens ws://host:port/path, with TLS wss://…. On failure: false, and ws->why says what went wrong. */
bool websocket_open(websocket *ws, const websocket_address *to, int timeout_ms);

/*
 * Reads what is there without waiting. WEBSOCKET_MESSAGE: ws->message holds a whole binary message, until the next call.
 * WEBSOCKET_CUT_MESSAGE: the message was longer than WEBSOCKET_MESSAGE_BYTES; its first ones are there. Pings are answered here.
 */
websocket_result websocket_read(websocket *ws);

/* One binary message. False: the connection is over. */
bool websocket_send(websocket *ws, const uint8_t *bytes, size_t length);

/* Says goodbye with `code` and lets go of the connection. */
void websocket_close(websocket *ws, unsigned code);

#endif
