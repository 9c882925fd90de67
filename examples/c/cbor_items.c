#include "cbor_items.h"

#include <cbor.h>
#include <math.h>
#include <string.h>

enum { MOST_LEVELS = 8 };
#define MOST_INTEGER 9007199254740991 /* 2^53 - 1 */

/* ---- Reading. libcbor calls one of these for each item; `found` stays false for what is not taken. ---- */

typedef struct {
  item *item;
  bool found;
} context;

static void found_integer(context *c, int64_t value) {
  c->item->type = ITEM_INTEGER;
  c->item->integer = value;
  c->item->is_whole = true;
  c->item->number = (double)value;
  c->found = value >= -MOST_INTEGER && value <= MOST_INTEGER;
}

static void found_float(context *c, double value) {
  c->item->type = ITEM_FLOAT;
  c->item->number = value;
  c->found = isfinite(value);
  c->item->is_whole = c->found && value == floor(value) && fabs(value) <= (double)MOST_INTEGER;
  c->item->integer = c->item->is_whole ? (int64_t)value : 0;
}

static void found_bytes(context *c, item_type type, const uint8_t *bytes, size_t length) {
  c->item->type = type;
  c->item->text = bytes;
  c->item->length = length;
  c->found = true;
}

static void found_count(context *c, item_type type, size_t count) {
  c->item->type = type;
  c->item->integer = count <= INT32_MAX ? (int64_t)count : -1;
  c->found = count <= INT32_MAX;
}

static void on_uint8(void *c, uint8_t value) { found_integer(c, value); }
static void on_uint16(void *c, uint16_t value) { found_integer(c, value); }
static void on_uint32(void *c, uint32_t value) { found_integer(c, value); }
static void on_uint64(void *c, uint64_t value) { found_integer(c, value <= INT64_MAX ? (int64_t)value : INT64_MAX); }
static void on_negint8(void *c, uint8_t value) { found_integer(c, -1 - (int64_t)value); }
static void on_negint16(void *c, uint16_t value) { found_integer(c, -1 - (int64_t)value); }
static void on_negint32(void *c, uint32_t value) { found_integer(c, -1 - (int64_t)value); }
static void on_negint64(void *c, uint64_t value) { found_integer(c, value < INT64_MAX ? -1 - (int64_t)value : INT64_MIN); }
static void on_float(void *c, float value) { found_float(c, (double)value); }
static void on_double(void *c, double value) { found_float(c, value); }
static void on_text(void *c, cbor_data text, size_t length) { found_bytes(c, ITEM_TEXT, text, length); }
static void on_bytes(void *c, cbor_data bytes, size_t length) { found_bytes(c, ITEM_BYTES, bytes, length); }
static void on_array(void *c, size_t items) { found_count(c, ITEM_ARRAY, items); }
static void on_map(void *c, size_t pairs) { found_count(c, ITEM_MAP, pairs); }
static void on_bool(void *c, bool value) {
  context *found = c;
  found->item->type = ITEM_BOOL;
  found->item->truth = value;
  found->found = true;
}
static void on_null(void *c) {
  context *found = c;
  found->item->type = ITEM_NULL;
  found->found = true;
}
/* Indefinite lengths, their end, undefined: SPEC.md allows none of them. */
static void on_refused(void *c) { (void)c; }
static void on_tag(void *c, uint64_t tag) { (void)c, (void)tag; }

static const struct cbor_callbacks CALLBACKS = {
    .uint8 = on_uint8, .uint16 = on_uint16, .uint32 = on_uint32, .uint64 = on_uint64,
    .negint8 = on_negint8, .negint16 = on_negint16, .negint32 = on_negint32, .negint64 = on_negint64,
    .byte_string = on_bytes, .byte_string_start = on_refused, .string = on_text, .string_start = on_refused,
    .array_start = on_array, .indef_array_start = on_refused, .map_start = on_map, .indef_map_start = on_refused,
    .tag = on_tag, .float2 = on_float, .float4 = on_float, .float8 = on_double, .boolean = on_bool,
    .null = on_null, .undefined = on_refused, .indef_break = on_refused,
};

/* RFC 3629: no overlong forms, no surrogates, nothing past U+10FFFF. */
static bool is_utf8(const uint8_t *text, size_t length) {
  for (size_t at = 0; at < length;) {
    uint8_t first = text[at++];
    if (first < 0x80) continue;
    int more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
    if (first < 0xc2 || first > 0xf4 || length - at < (size_t)more) return false;
    uint32_t point = first & (0x3fu >> more);
    for (int i = 0; i < more; i++) {
      if ((text[at] & 0xc0) != 0x80) return false;
      point = point << 6 | (text[at++] & 0x3f);
    }
    if ((more == 2 && point < 0x800) || (more == 3 && point < 0x10000)) return false;
    if ((point >= 0xd800 && point < 0xe000) || point > 0x10ffff) return false;
  }
  return true;
}

/*
 * libcbor trusts a text's length, and adds to it; so a length beyond what is there is refused before libcbor sees it. The head of an
 * item (RFC 8949, 3): 3 bits of type, 5 bits that are the argument or say how many bytes it has.
 */
static bool argument_fits(const reader *r) {
  uint8_t type = r->at[0] >> 5, information = r->at[0] & 31;
  size_t bytes = information < 24 ? 0 : information == 24 ? 1 : information == 25 ? 2 : information == 26 ? 4 : 8;
  if (information > 27 || bytes >= r->left) return false;
  if (type < 2 || type > 5) return true;
  uint64_t argument = bytes == 0 ? information : 0;
  for (size_t i = 1; i <= bytes; i++) argument = argument << 8 | r->at[i];
  return argument <= r->left - 1 - bytes; /* every item of an array has at least a byte, too */
}

bool read_item(reader *r, item *i) {
  memset(i, 0, sizeof *i);
  if (r->left == 0 || !argument_fits(r)) return false;
  context c = {.item = i, .found = false};
  struct cbor_decoder_result result = cbor_stream_decode(r->at, r->left, &CALLBACKS, &c);
  if (result.status != CBOR_DECODER_FINISHED || !c.found || result.read == 0 || result.read > r->left) return false;
  if (i->type == ITEM_TEXT && !is_utf8(i->text, i->length)) return false;
  if (i->type == ITEM_TEXT && i->length >= 3 && memcmp(i->text, "\xef\xbb\xbf", 3) == 0) return false; /* U+FEFF */
  r->at += result.read;
  r->left -= result.read;
  return true;
}

/* One item with all that is in it. The stack is a count of what is still to come in each open array and map. */
static bool walk(reader *r) {
  int64_t open[MOST_LEVELS];
  int depth = 0;
  do {
    item i;
    if (!read_item(r, &i)) return false;
    if (depth > 0) open[depth - 1]--;
    if (i.type == ITEM_ARRAY || i.type == ITEM_MAP) {
      if (depth == MOST_LEVELS) return false;
      open[depth++] = i.type == ITEM_MAP ? 2 * i.integer : i.integer;
    }
    while (depth > 0 && open[depth - 1] == 0) depth--;
  } while (depth > 0);
  return true;
}

bool is_sound(const uint8_t *bytes, size_t length) {
  reader r = {bytes, length};
  return length > 0 && bytes[0] >> 5 == 4 && walk(&r) && r.left == 0;
}

bool skip_item(reader *r) { return walk(r); }

bool text_is(const item *i, const char *text) {
  return i->type == ITEM_TEXT && i->length == strlen(text) && memcmp(i->text, text, i->length) == 0;
}

bool text_copy(const item *i, char *out, size_t room) {
  if (i->type != ITEM_TEXT || i->length >= room || memchr(i->text, 0, i->length) != NULL) return false;
  memcpy(out, i->text, i->length);
  out[i->length] = 0;
  return true;
}

bool map_get(reader map, const char *key, item *value) {
  item head, name;
  if (!read_item(&map, &head) || head.type != ITEM_MAP) return false;
  for (int64_t pair = 0; pair < head.integer; pair++) {
    reader at_key = map;
    if (!skip_item(&map)) return false;
    if (read_item(&at_key, &name) && text_is(&name, key)) return read_item(&map, value);
    if (!skip_item(&map)) return false;
  }
  return false;
}

/* ---- Writing ---- */

writer write_into(uint8_t *out, size_t room) { return (writer){.out = out, .room = room, .length = 0, .is_full = false}; }

/* libcbor's encoders return 0 when there is no room. */
static void wrote(writer *w, size_t bytes) {
  if (bytes == 0) w->is_full = true;
  w->length += bytes;
}

#define HERE(w) (w)->out + (w)->length, (w)->room - (w)->length

void put_array(writer *w, size_t items) { wrote(w, cbor_encode_array_start(items, HERE(w))); }
void put_map(writer *w, size_t pairs) { wrote(w, cbor_encode_map_start(pairs, HERE(w))); }
void put_bool(writer *w, bool value) { wrote(w, cbor_encode_bool(value, HERE(w))); }
void put_null(writer *w) { wrote(w, cbor_encode_null(HERE(w))); }

void put_integer(writer *w, int64_t value) {
  if (value >= 0) wrote(w, cbor_encode_uint((uint64_t)value, HERE(w)));
  else wrote(w, cbor_encode_negint((uint64_t)(-1 - value), HERE(w)));
}

void put_number(writer *w, double value) {
  if (value == floor(value) && fabs(value) <= (double)MOST_INTEGER) put_integer(w, (int64_t)value);
  else wrote(w, cbor_encode_double(value, HERE(w)));
}

void put_text(writer *w, const char *text) {
  size_t length = strlen(text);
  wrote(w, cbor_encode_string_start(length, HERE(w)));
  put_raw(w, (const uint8_t *)text, length);
}

void put_raw(writer *w, const uint8_t *bytes, size_t length) {
  if (length > w->room - w->length) {
    w->is_full = true;
    return;
  }
  if (length > 0) memcpy(w->out + w->length, bytes, length);
  w->length += length;
}
