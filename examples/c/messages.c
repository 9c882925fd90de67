#include "messages.h"

#include <string.h>

/* SenML labels (RFC 8428, table 4). */
enum { BASE_TIME = -3, NAME = 0, UNIT = 1, VALUE = 2, TEXT_VALUE = 3, BOOL_VALUE = 4, TIME = 6 };

static size_t written(const writer *w) { return w->is_full ? 0 : w->length; }

static void put_pair(writer *w, const char *key, const char *text) {
  if (text == NULL) return;
  put_text(w, key);
  put_text(w, text);
}

size_t encode_hello(uint8_t *out, size_t room, const char *stream, uint64_t next, const char *token, const char *id, const char *firmware) {
  writer w = write_into(out, room);
  put_array(&w, 2);
  put_integer(&w, HELLO);
  put_map(&w, 2u + (token != NULL) + (id != NULL) + (firmware != NULL));
  put_pair(&w, "stream", stream);
  put_text(&w, "next");
  put_integer(&w, (int64_t)next);
  put_pair(&w, "token", token);
  put_pair(&w, "id", id);
  put_pair(&w, "firmware", firmware);
  return written(&w);
}

size_t encode_numbered(uint8_t *out, size_t room, int type, uint64_t seq, const uint8_t *body, size_t length) {
  writer w = write_into(out, room);
  put_array(&w, type == EVENT ? 4 : 3);
  put_integer(&w, type);
  put_integer(&w, (int64_t)seq);
  put_raw(&w, body, length);
  return written(&w);
}

size_t encode_received(uint8_t *out, size_t room, const char *command_id) {
  writer w = write_into(out, room);
  put_array(&w, 2);
  put_integer(&w, RECEIVED);
  put_text(&w, command_id);
  return written(&w);
}

size_t encode_result(uint8_t *out, size_t room, const char *command_id, const char *status, const uint8_t *value, size_t length) {
  writer w = write_into(out, room);
  put_array(&w, 4);
  put_integer(&w, RESULT);
  put_text(&w, command_id);
  put_text(&w, status);
  put_raw(&w, value, length);
  return written(&w);
}

void put_records(writer *w, const measured *values, size_t count) {
  int64_t base_us = 0; /* the base time holds for the records behind it, too; 0 is none */
  put_array(w, count);
  for (size_t i = 0; i < count; i++) {
    const measured *m = &values[i];
    bool is_base = m->time_us != base_us && (m->time_us == 0 || base_us == 0);
    put_map(w, 2u + (m->time_us != base_us) + (m->unit != NULL));
    if (is_base) {
      put_integer(w, BASE_TIME);
      put_number(w, (double)m->time_us / 1e6); /* exact to the microsecond until 2106 */
      base_us = m->time_us;
    } else if (m->time_us != base_us) {
      put_integer(w, TIME);
      put_number(w, (double)(m->time_us - base_us) / 1e6);
    }
    put_integer(w, NAME);
    put_text(w, m->metric);
    if (m->unit != NULL) {
      put_integer(w, UNIT);
      put_text(w, m->unit);
    }
    put_integer(w, m->kind == IS_NUMBER ? VALUE : m->kind == IS_TEXT ? TEXT_VALUE : BOOL_VALUE);
    if (m->kind == IS_NUMBER) put_number(w, m->number);
    else if (m->kind == IS_TEXT) put_text(w, m->text);
    else put_bool(w, m->truth);
  }
}

/* ---- Hub to device ---- */

/* An integer from `least` on, as the next item. */
static bool read_whole(reader *r, int64_t least, uint64_t *out) {
  item i;
  if (!read_item(r, &i) || !i.is_whole || (i.type != ITEM_INTEGER && i.type != ITEM_FLOAT) || i.integer < least) return false;
  *out = (uint64_t)i.integer;
  return true;
}

/* Words of the hub go to logs and terminals: what is not printable becomes a dot, what is too long is cut. */
static bool printable(const item *i, char *out, size_t room) {
  if (i->type != ITEM_TEXT) return false;
  size_t length = i->length < room - 1 ? i->length : room - 1;
  for (size_t at = 0; at < length; at++) out[at] = i->text[at] >= 0x20 && i->text[at] < 0x7f ? (char)i->text[at] : '.';
  out[length] = 0;
  return true;
}

static bool read_words(reader *r, char *out, size_t room) {
  item i;
  return read_item(r, &i) && printable(&i, out, room);
}

static bool get_whole(reader map, const char *key, int64_t least, uint64_t *out) {
  item i;
  if (!map_get(map, key, &i) || !i.is_whole || i.integer < least) return false;
  *out = (uint64_t)i.integer;
  return true;
}

static bool read_welcome(reader map, hub_message *m) {
  uint64_t time_ms;
  item device;
  if (!get_whole(map, "time", 0, &time_ms) || !get_whole(map, "resume", 1, &m->resume)) return false;
  if (!get_whole(map, "window", 1, &m->window) || !get_whole(map, "max", 1, &m->max_bytes)) return false;
  if (!get_whole(map, "epoch", 0, &m->epoch) || !map_get(map, "device", &device)) return false;
  m->time_ms = (int64_t)time_ms;
  return printable(&device, m->device, sizeof m->device);
}

/* A command id: [A-Za-z0-9-]{1,64}. */
static bool read_command_id(reader *r, char out[COMMAND_ID_TEXT]) {
  static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-";
  item i;
  return read_item(r, &i) && text_copy(&i, out, COMMAND_ID_TEXT) && out[0] != 0 && strspn(out, letters) == strlen(out);
}

static bool read_command(reader *r, hub_message *m) {
  item name;
  uint64_t deadline_ms;
  if (!read_command_id(r, m->command_id) || !read_item(r, &name) || name.type != ITEM_TEXT) return false;
  if (!text_copy(&name, m->command_name, sizeof m->command_name)) m->command_name[0] = 0;
  m->params = *r;
  if (!skip_item(r)) return false;
  m->params.left -= r->left;
  if (!read_whole(r, 0, &deadline_ms)) return false;
  m->deadline_ms = (int64_t)deadline_ms;
  return true;
}

static bool read_nack(reader *r, int64_t items, hub_message *m) {
  if ((items != 4 && items != 5) || !read_whole(r, 0, &m->seq)) return false;
  if (!read_words(r, m->code, sizeof m->code) || !read_words(r, m->words, sizeof m->words)) return false;
  m->is_gap = strcmp(m->code, "gap") == 0;
  if (m->is_gap) return items == 5 && read_whole(r, 1, &m->expected);
  return items == 4 || m->seq != 0 || read_command_id(r, m->command_id);
}

bool decode_hub_message(const uint8_t *bytes, size_t length, hub_message *m) {
  memset(m, 0, sizeof *m);
  if (!is_sound(bytes, length)) return false;
  reader r = {bytes, length};
  item head;
  uint64_t type;
  if (!read_item(&r, &head) || head.integer < 1 || !read_whole(&r, 0, &type)) return false;
  m->type = (int64_t)type;
  switch (type) {
    case WELCOME: return head.integer == 2 && read_welcome(r, m);
    case ACK: return head.integer == 2 && read_whole(&r, 0, &m->seq);
    case NACK: return read_nack(&r, head.integer, m);
    case COMMAND: return head.integer == 5 && read_command(&r, m);
    case DONE: return head.integer == 2 && read_command_id(&r, m->command_id);
    case ERROR:
      return head.integer == 3 && read_words(&r, m->code, sizeof m->code) && read_words(&r, m->words, sizeof m->words);
    default: return true;
  }
}

bool decode_cut_command(const uint8_t *bytes, size_t length, char id[COMMAND_ID_TEXT]) {
  reader r = {bytes, length};
  item head;
  uint64_t type;
  return read_item(&r, &head) && head.type == ITEM_ARRAY && read_whole(&r, 0, &type) && type == COMMAND && read_command_id(&r, id);
}
