/*
 * CBOR without memory of its own, over the streaming half of libcbor: the reader walks over the received bytes, the writer fills a buffer.
 * It takes what SPEC.md, section 3, allows: definite lengths, no tags, 8 levels, integers up to 2^53 - 1, valid UTF-8, finite floats.
 * Only equal keys in one map are not looked for: the first of them counts.
 */
#ifndef CBOR_ITEMS_H
#define CBOR_ITEMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- Reading ---- */

typedef enum { ITEM_INTEGER, ITEM_FLOAT, ITEM_TEXT, ITEM_BYTES, ITEM_ARRAY, ITEM_MAP, ITEM_BOOL, ITEM_NULL } item_type;

typedef struct {
  item_type type;
  int64_t integer;     /* also for a float of a whole value; for ITEM_ARRAY the items, for ITEM_MAP the pairs that follow */
  bool is_whole;       /* `integer` says the value */
  double number;       /* integers and floats */
  bool truth;          /* ITEM_BOOL */
  const uint8_t *text; /* ITEM_TEXT and ITEM_BYTES: not ended by a 0 */
  size_t length;
} item;

typedef struct {
  const uint8_t *at;
  size_t left;
} reader;

/* True when `bytes` are one array within the bounds above, and nothing behind it. What follows may then be read without further care. */
bool is_sound(const uint8_t *bytes, size_t length);

/* The next item. Of an array or map it is the head: its items follow. False at the end, or at what is not allowed. */
bool read_item(reader *r, item *i);

/* The same, with all that is in it; `r` stands behind it then. */
bool skip_item(reader *r);

bool text_is(const item *i, const char *text);

/* Copies a text and ends it with 0. False when it is no text or does not fit. */
bool text_copy(const item *i, char *out, size_t room);

/* Looks up `key` in the map at which `map` stands. False when it is no map or has no such key. */
bool map_get(reader map, const char *key, item *value);

/* ---- Writing ---- */

typedef struct {
  uint8_t *out;
  size_t room, length;
  bool is_full; /* something did not fit: the bytes are of no use */
} writer;

writer write_into(uint8_t *out, size_t room);
void put_array(writer *w, size_t items);
void put_map(writer *w, size_t pairs);
void put_integer(writer *w, int64_t value);
/* As an integer where the value is whole: a quarter of the bytes. The value must be finite. */
void put_number(writer *w, double value);
void put_text(writer *w, const char *text);
void put_bool(writer *w, bool value);
void put_null(writer *w);
/* Items that are CBOR already. */
void put_raw(writer *w, const uint8_t *bytes, size_t length);

#endif
