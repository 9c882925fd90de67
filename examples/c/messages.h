/* The messages of v1.cbor.muster (protocols/cbor/SPEC.md, 4 and 5) as bytes. */
#ifndef MESSAGES_H
#define MESSAGES_H

#include "cbor_items.h"

#define SUBPROTOCOL "v1.cbor.muster"

enum { HELLO = 0, DATA = 1, RECEIVED = 2, RESULT = 3, EVENT = 4 };
enum { WELCOME = 16, ACK = 17, NACK = 18, COMMAND = 19, DONE = 21, ERROR = 31 };

#define STREAM_TEXT 65     /* with the 0 */
#define COMMAND_ID_TEXT 65 /* with the 0 */
#define COMMAND_NAME_TEXT 65
#define WORDS_TEXT 161

/* ---- Device to hub. Each returns the number of bytes, or 0 when they do not fit. ---- */

/* `token`, `id`, `firmware`: NULL for none. */
size_t encode_hello(uint8_t *out, size_t room, const char *stream, uint64_t next, const char *token, const char *id, const char *firmware);

/* `type` DATA: `body` is what put_records wrote. EVENT: a text, the name, and a value. */
size_t encode_numbered(uint8_t *out, size_t room, int type, uint64_t seq, const uint8_t *body, size_t length);

size_t encode_received(uint8_t *out, size_t room, const char *command_id);

/* `status`: "succeeded", "failed" or "rejected". `value`: one CBOR item. */
size_t encode_result(uint8_t *out, size_t room, const char *command_id, const char *status, const uint8_t *value, size_t length);

typedef struct {
  const char *metric, *unit; /* unit: NULL for none, else of RFC 8428, 12.1: Cel, %RH, V, … */
  enum { IS_NUMBER, IS_BOOL, IS_TEXT } kind;
  double number;
  bool truth;
  const char *text;
  int64_t time_us; /* microseconds since 1970; 0: when the hub gets it */
} measured;

/* A SenML pack (RFC 8428, CBOR labels). */
void put_records(writer *w, const measured *values, size_t count);

/* ---- Hub to device ---- */

typedef struct {
  int64_t type;  /* one that is not named above is to be ignored */
  uint64_t seq;  /* ACK, NACK */
  bool is_gap;   /* NACK: go back to `expected` */
  uint64_t expected;
  char code[WORDS_TEXT], words[WORDS_TEXT];                                  /* NACK, ERROR: printable ASCII, cut where it is long */
  char command_id[COMMAND_ID_TEXT], command_name[COMMAND_NAME_TEXT];         /* COMMAND; DONE and NACK of seq 0: the id. A name that is too long: "" */
  reader params;                                                             /* COMMAND: one item, in the message's own bytes */
  int64_t deadline_ms;                                                       /* COMMAND */
  int64_t time_ms;                                                           /* WELCOME */
  uint64_t resume, window, max_bytes, epoch;                                 /* WELCOME */
  char device[WORDS_TEXT];                                                   /* WELCOME: printable ASCII */
} hub_message;

/* False: these bytes are not what SPEC.md allows. */
bool decode_hub_message(const uint8_t *bytes, size_t length, hub_message *message);

/* The first bytes of a message that is too long for this device: if it is a COMMAND, its id. */
bool decode_cut_command(const uint8_t *bytes, size_t length, char id[COMMAND_ID_TEXT]);

#endif
