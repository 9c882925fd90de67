#include "websocket.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "handshake_key.h"

enum { CONTINUATION = 0, TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10 };
enum { WRITE_LIMIT_MS = 10000 };

/* ---- The handshake ---- */

/* Value of a header of the answer, without the spaces around it. False when it is missing, given twice or longer than `room`. */
static bool header_value(const char *head, const char *name, char *out, size_t room) {
  size_t name_length = strlen(name);
  int found = 0;
  for (const char *line = strstr(head, "\r\n"); line != NULL; line = strstr(line, "\r\n")) {
    line += 2;
    if (strncasecmp(line, name, name_length) != 0 || line[name_length] != ':') continue;
    const char *from = line + name_length + 1;
    const char *to = strstr(from, "\r\n");
    while (from < to && (*from == ' ' || *from == '\t')) from++;
    while (to > from && (to[-1] == ' ' || to[-1] == '\t')) to--;
    if (found++ || (size_t)(to - from) >= room) return false;
    memcpy(out, from, (size_t)(to - from));
    out[to - from] = 0;
  }
  return found == 1;
}

/* Whether a list of words with commas between them (RFC 9110, 5.6.1) has this one: proxies add words to Connection. */
static bool has_word(const char *list, const char *word) {
  size_t length = strlen(word);
  for (const char *at = list; *at != 0; at += strcspn(at, ", \t")) {
    at += strspn(at, ", \t");
    if (strncasecmp(at, word, length) == 0 && strcspn(at, ", \t") == length) return true;
  }
  return false;
}

/* Reads up to the empty line. What came behind it stays in ws->in. False: too long, too late, or the connection is over. */
static bool read_answer(websocket *ws, char *head, size_t room, int64_t end_ms) {
  size_t length = 0;
  for (;;) {
    while (ws->in_at < ws->in_length) {
      if (length + 1 >= room) return false;
      head[length++] = (char)ws->in[ws->in_at++];
      head[length] = 0;
      if (head[length - 1] == 0) return false;
      if (length >= 4 && memcmp(head + length - 4, "\r\n\r\n", 4) == 0) return true;
    }
    int64_t left = end_ms - monotonic_ms();
    if (left <= 0) return false;
    net_wait(&ws->net, (int)left);
    long got = net_read(&ws->net, ws->in, sizeof ws->in);
    if (got < 0) return false;
    ws->in_at = 0;
    ws->in_length = (size_t)got;
  }
}

/* NULL when the answer opens a WebSocket (RFC 6455, 4.1), else what is wrong with it. */
static const char *judge_answer(websocket *ws, const char *head, const char *key, const char *protocol) {
  char value[128], accept[ACCEPT_TEXT];
  if (strncmp(head, "HTTP/1.1 ", 9) != 0 || strspn(head + 9, "0123456789") != 3) return "the answer is not HTTP/1.1";
  ws->http_status = atoi(head + 9);
  if (header_value(head, "Retry-After", value, sizeof value) && strspn(value, "0123456789") == strlen(value))
    ws->retry_after_s = strlen(value) > 4 || atoi(value) > 3600 ? 3600 : atoi(value);
  if (ws->http_status != 101) return "the hub refused the WebSocket";
  if (!header_value(head, "Upgrade", value, sizeof value) || strcasecmp(value, "websocket") != 0) return "no Upgrade: websocket";
  if (!header_value(head, "Connection", value, sizeof value) || !has_word(value, "upgrade")) return "no Connection: Upgrade";
  handshake_accept(key, accept);
  if (!header_value(head, "Sec-WebSocket-Accept", value, sizeof value) || strcmp(value, accept) != 0)
    return "Sec-WebSocket-Accept does not fit";
  if (!header_value(head, "Sec-WebSocket-Protocol", value, sizeof value) || strcmp(value, protocol) != 0)
    return "the hub did not agree to the subprotocol";
  if (header_value(head, "Sec-WebSocket-Extensions", value, sizeof value)) return "an extension that nobody asked for";
  return NULL;
}

static const char *shake_hands(websocket *ws, const websocket_address *to, int timeout_ms) {
  uint8_t random[16];
  char key[KEY_TEXT], request[1024], head[4096];
  random_bytes(random, sizeof random);
  handshake_key(random, key);
  int length = snprintf(request, sizeof request,
                        "GET %s HTTP/1.1\r\nHost: %s:%s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\nSec-WebSocket-Protocol: %s\r\n%s%s%s\r\n",
                        to->path, to->host, to->port, key, to->protocol, to->token == NULL ? "" : "Authorization: Bearer ",
                        to->token == NULL ? "" : to->token, to->token == NULL ? "" : "\r\n");
  if (length < 0 || (size_t)length >= sizeof request) return "the address and the token are too long";
  if (!net_write(&ws->net, (const uint8_t *)request, (size_t)length, timeout_ms)) return "the connection broke";
  if (!read_answer(ws, head, sizeof head, monotonic_ms() + timeout_ms)) return "no answer to the handshake";
  return judge_answer(ws, head, key, to->protocol);
}

bool websocket_open(websocket *ws, const websocket_address *to, int timeout_ms) {
  memset(ws, 0, sizeof *ws);
  ws->close_code = 1006;
  if (!net_open(&ws->net, to->host, to->port, to->with_tls, timeout_ms, &ws->why)) return false;
  ws->why = shake_hands(ws, to, timeout_ms);
  ws->heard_ms = monotonic_ms();
  if (ws->why == NULL) return true;
  net_close(&ws->net);
  return false;
}

/* ---- Sending ---- */

/* One frame, masked with a key of its own (RFC 6455, 5.3), in pieces that fit the stack of a small device. */
static bool send_frame(websocket *ws, uint8_t opcode, const uint8_t *bytes, size_t length) {
  uint8_t piece[512], mask[4];
  size_t used = 0, at = 0;
  if (ws->net.fd < 0) return false;
  random_bytes(mask, sizeof mask);
  piece[used++] = 0x80 | opcode;
  if (length < 126) {
    piece[used++] = (uint8_t)(0x80 | length);
  } else if (length <= 0xffff) {
    piece[used++] = 0x80 | 126;
    piece[used++] = (uint8_t)(length >> 8);
    piece[used++] = (uint8_t)length;
  } else {
    piece[used++] = 0x80 | 127;
    for (int shift = 56; shift >= 0; shift -= 8) piece[used++] = (uint8_t)((uint64_t)length >> shift);
  }
  memcpy(piece + used, mask, 4);
  used += 4;
  do {
    while (used < sizeof piece && at < length) {
      piece[used++] = bytes[at] ^ mask[at % 4];
      at++;
    }
    if (!net_write(&ws->net, piece, used, WRITE_LIMIT_MS)) return false;
    used = 0;
  } while (at < length);
  return true;
}

static websocket_result over(websocket *ws, unsigned close_code, const char *why) {
  ws->close_code = close_code;
  ws->why = why;
  net_close(&ws->net);
  return WEBSOCKET_OVER;
}

/* The hub broke RFC 6455. It is told so; for us that is a lost connection. */
static websocket_result failed(websocket *ws, unsigned code, const char *why) {
  uint8_t payload[2] = {(uint8_t)(code >> 8), (uint8_t)code};
  (void)send_frame(ws, CLOSE, payload, 2);
  return over(ws, 1006, why);
}

bool websocket_send(websocket *ws, const uint8_t *bytes, size_t length) {
  if (send_frame(ws, BINARY, bytes, length)) return true;
  over(ws, 1006, "nothing could be sent any more");
  return false;
}

void websocket_close(websocket *ws, unsigned code) {
  uint8_t payload[2] = {(uint8_t)(code >> 8), (uint8_t)code};
  (void)send_frame(ws, CLOSE, payload, 2);
  over(ws, 1000, "we closed it");
}

/* ---- Reading ---- */

/* How many bytes a frame's header has, once its first two are there (RFC 6455, 5.2). */
static size_t header_bytes(const uint8_t head[2]) {
  switch (head[1] & 0x7f) {
    case 126: return 4;
    case 127: return 10;
    default: return 2;
  }
}

/* A whole header is there: is the frame allowed now? NULL, or what is wrong. */
static const char *begin_frame(websocket *ws) {
  ws->is_last = (ws->head[0] & 0x80) != 0;
  ws->opcode = ws->head[0] & 0x0f;
  size_t bytes = header_bytes(ws->head);
  ws->missing = ws->head[1] & 0x7f;
  if (bytes > 2) ws->missing = 0;
  for (size_t i = 2; i < bytes; i++) ws->missing = ws->missing << 8 | ws->head[i];
  if (ws->head[0] & 0x70) return "reserved bits are set";
  if (ws->head[1] & 0x80) return "a server must not mask";
  if ((bytes == 4 && ws->missing < 126) || (bytes == 10 && ws->missing <= 0xffff)) return "a length in more bytes than it needs";
  if (ws->missing >> 63) return "a length beyond 2^63";
  if (ws->opcode >= CLOSE) {
    if (ws->opcode > PONG) return "an unknown opcode";
    if (!ws->is_last || ws->missing > sizeof ws->control) return "a control frame in fragments or over 125 bytes";
    ws->control_length = 0;
    return NULL;
  }
  if (ws->opcode > BINARY) return "an unknown opcode";
  if ((ws->opcode == CONTINUATION) != ws->in_message) return "a fragment where none belongs";
  if (ws->opcode == TEXT) return "a text message";
  if (!ws->in_message) {
    ws->in_message = true;
    ws->is_too_long = false;
    ws->message_length = 0;
  }
  return NULL;
}

/* Takes what is there of the frame's payload. */
static void take_payload(websocket *ws) {
  size_t here = ws->in_length - ws->in_at;
  if (here > ws->missing) here = (size_t)ws->missing;
  const uint8_t *from = ws->in + ws->in_at;
  if (ws->opcode >= CLOSE) {
    memcpy(ws->control + ws->control_length, from, here);
    ws->control_length += here;
  } else {
    size_t room = sizeof ws->message - ws->message_length, kept = here < room ? here : room;
    memcpy(ws->message + ws->message_length, from, kept);
    ws->message_length += kept;
    if (kept < here) ws->is_too_long = true;
  }
  ws->in_at += here;
  ws->missing -= here;
}

static websocket_result end_of_control(websocket *ws) {
  if (ws->opcode == PING) {
    if (!send_frame(ws, PONG, ws->control, ws->control_length)) return over(ws, 1006, "nothing could be sent any more");
  } else if (ws->opcode == CLOSE) {
    if (ws->control_length == 1) return failed(ws, 1002, "half a close code");
    (void)send_frame(ws, CLOSE, ws->control, ws->control_length < 2 ? 0 : 2);
    unsigned code = ws->control_length < 2 ? 1005u : (unsigned)ws->control[0] << 8 | ws->control[1];
    return over(ws, code, "the hub closed it");
  }
  return WEBSOCKET_NOTHING;
}

static websocket_result end_of_frame(websocket *ws) {
  ws->in_payload = false;
  ws->head_length = 0;
  if (ws->opcode >= CLOSE) return end_of_control(ws);
  if (!ws->is_last) return WEBSOCKET_NOTHING;
  ws->in_message = false;
  return ws->is_too_long ? WEBSOCKET_CUT_MESSAGE : WEBSOCKET_MESSAGE;
}

/* Goes through what was read from the socket, up to the end of a message or of the bytes. */
static websocket_result go_on(websocket *ws) {
  while (ws->in_at < ws->in_length) {
    if (!ws->in_payload) {
      ws->head[ws->head_length++] = ws->in[ws->in_at++];
      if (ws->head_length < 2 || ws->head_length < header_bytes(ws->head)) continue;
      const char *wrong = begin_frame(ws);
      if (wrong != NULL) return failed(ws, 1002, wrong);
      ws->in_payload = true;
    } else {
      take_payload(ws);
    }
    if (ws->in_payload && ws->missing == 0) {
      websocket_result result = end_of_frame(ws);
      if (result != WEBSOCKET_NOTHING) return result;
    }
  }
  return WEBSOCKET_NOTHING;
}

websocket_result websocket_read(websocket *ws) {
  if (ws->net.fd < 0) return WEBSOCKET_OVER;
  websocket_result result = go_on(ws);
  if (result != WEBSOCKET_NOTHING) return result;
  long got = net_read(&ws->net, ws->in, sizeof ws->in);
  if (got < 0) return over(ws, 1006, "the connection broke");
  ws->in_at = 0;
  ws->in_length = (size_t)got;
  if (got > 0) ws->heard_ms = monotonic_ms();
  return go_on(ws);
}
