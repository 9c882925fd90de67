/*
 * Reads instructions, one a line on standard input, and prints one line for each: how the tests hold this code against
 * protocols/cbor/vectors. Fields are separated by tabs; texts are written as in a URL (%20); a value is a row of fields in which
 * {2 and [2 say how many follow, " begins a text, # a number, and true, false, null are themselves.
 *
 *   hello STREAM NEXT TOKEN ID FIRMWARE     ("-" for none)       prints the message in hexadecimal
 *   data SEQ METRIC UNIT TIME_US VALUE …    (0: no time)
 *   received ID      result ID STATUS VALUE      event SEQ NAME VALUE
 *   read HEX                                prints what a message of the hub says, or "refused"
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "messages.h"

enum { MOST_FIELDS = 256, LINE_BYTES = 1 << 20 };

typedef struct {
  char *all[MOST_FIELDS];
  int count, at;
} fields;

static int digit(int c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1; }

static void unescape(char *text) {
  char *to = text;
  for (const char *from = text; *from != 0; from++) {
    if (*from == '%' && digit(from[1]) >= 0 && digit(from[2]) >= 0) {
      *to++ = (char)(digit(from[1]) << 4 | digit(from[2]));
      from += 2;
    } else {
      *to++ = *from;
    }
  }
  *to = 0;
}

static fields split(char *line) {
  fields f = {.count = 0};
  line[strcspn(line, "\n")] = 0;
  for (char *at = line; at != NULL && f.count < MOST_FIELDS;) {
    char *tab = strchr(at, '\t');
    if (tab != NULL) *tab = 0;
    unescape(at);
    f.all[f.count++] = at;
    at = tab == NULL ? NULL : tab + 1;
  }
  return f;
}

static const char *next_field(fields *f) { return f->at < f->count ? f->all[f->at++] : ""; }
static const char *optional(const char *text) { return strcmp(text, "-") == 0 ? NULL : text; }

static void put_value(writer *w, fields *f) {
  while (f->at < f->count) {
    const char *field = next_field(f);
    if (field[0] == '{') put_map(w, strtoul(field + 1, NULL, 10));
    else if (field[0] == '[') put_array(w, strtoul(field + 1, NULL, 10));
    else if (field[0] == '"') put_text(w, field + 1);
    else if (field[0] == '#') put_number(w, strtod(field + 1, NULL));
    else if (strcmp(field, "null") == 0) put_null(w);
    else put_bool(w, strcmp(field, "true") == 0);
  }
}

static size_t make_data(uint8_t *out, size_t room, fields *f) {
  static measured values[MOST_FIELDS];
  static uint8_t body[LINE_BYTES];
  uint64_t seq = strtoull(next_field(f), NULL, 10);
  size_t count = 0;
  for (; f->at + 3 < f->count; count++) {
    measured *m = &values[count];
    memset(m, 0, sizeof *m);
    m->metric = next_field(f);
    m->unit = optional(next_field(f));
    m->time_us = strtoll(next_field(f), NULL, 10);
    const char *value = next_field(f);
    m->kind = value[0] == '#' ? IS_NUMBER : value[0] == '"' ? IS_TEXT : IS_BOOL;
    m->number = strtod(value + 1, NULL);
    m->text = value + 1;
    m->truth = strcmp(value, "true") == 0;
  }
  writer w = write_into(body, sizeof body);
  put_records(&w, values, count);
  return encode_numbered(out, room, DATA, seq, body, w.length);
}

static size_t make(uint8_t *out, size_t room, const char *what, fields *f) {
  static uint8_t bytes[LINE_BYTES];
  writer w = write_into(bytes, sizeof bytes);
  if (strcmp(what, "hello") == 0) {
    const char *stream = next_field(f);
    uint64_t next = strtoull(next_field(f), NULL, 10);
    const char *token = optional(next_field(f)), *id = optional(next_field(f)), *firmware = optional(next_field(f));
    return encode_hello(out, room, stream, next, token, id, firmware);
  }
  if (strcmp(what, "data") == 0) return make_data(out, room, f);
  if (strcmp(what, "received") == 0) return encode_received(out, room, next_field(f));
  if (strcmp(what, "result") == 0) {
    const char *id = next_field(f), *status = next_field(f);
    put_value(&w, f);
    return encode_result(out, room, id, status, bytes, w.length);
  }
  if (strcmp(what, "event") != 0) return 0;
  uint64_t seq = strtoull(next_field(f), NULL, 10);
  put_text(&w, next_field(f));
  put_value(&w, f);
  return encode_numbered(out, room, EVENT, seq, bytes, w.length);
}

/* ---- What the hub says ---- */

static void print_text(const uint8_t *text, size_t length) {
  for (size_t i = 0; i < length; i++) {
    bool is_plain = (text[i] >= '0' && text[i] <= '9') || ((text[i] | 32) >= 'a' && (text[i] | 32) <= 'z');
    printf(is_plain ? "%c" : "%%%02X", text[i]);
  }
}

static void print_value(reader r) {
  for (item i; read_item(&r, &i);) {
    putchar('\t');
    switch (i.type) {
      case ITEM_MAP: printf("{%lld", (long long)i.integer); break;
      case ITEM_ARRAY: printf("[%lld", (long long)i.integer); break;
      case ITEM_TEXT:
        putchar('"');
        print_text(i.text, i.length);
        break;
      case ITEM_BYTES: printf("bytes"); break;
      case ITEM_BOOL: printf(i.truth ? "true" : "false"); break;
      case ITEM_NULL: printf("null"); break;
      default: printf("#%.17g", i.number);
    }
  }
}

static void print_message(const uint8_t *bytes, size_t length) {
  hub_message m;
  if (!decode_hub_message(bytes, length, &m)) {
    puts("refused");
    return;
  }
  unsigned long long seq = m.seq, resume = m.resume, window = m.window, most = m.max_bytes, epoch = m.epoch, expected = m.expected;
  switch (m.type) {
    case WELCOME: printf("welcome\t%lld\t%llu\t%llu\t%llu\t%s\t%llu", (long long)m.time_ms, resume, window, most, m.device, epoch); break;
    case ACK: printf("ack\t%llu", seq); break;
    case NACK: printf("nack\t%llu\t%s\t%s\t%llu\t%s", seq, m.code, m.words, expected, m.command_id); break;
    case COMMAND:
      printf("command\t%s\t%s\t%lld", m.command_id, m.command_name, (long long)m.deadline_ms);
      print_value(m.params);
      break;
    case DONE: printf("done\t%s", m.command_id); break;
    case ERROR: printf("error\t%s\t%s", m.code, m.words); break;
    default: printf("unknown\t%lld", (long long)m.type);
  }
  putchar('\n');
}

static size_t from_hex(const char *hex, uint8_t *out) {
  size_t length = 0;
  for (; digit(hex[0]) >= 0 && digit(hex[1]) >= 0; hex += 2) out[length++] = (uint8_t)(digit(hex[0]) << 4 | digit(hex[1]));
  return length;
}

int main(void) {
  static char line[LINE_BYTES];
  static uint8_t bytes[LINE_BYTES];
  while (fgets(line, sizeof line, stdin) != NULL) {
    fields f = split(line);
    const char *what = next_field(&f);
    if (strcmp(what, "read") == 0) {
      size_t length = from_hex(next_field(&f), bytes);
      /* A block of its own, so that a byte read past the end is seen by AddressSanitizer. */
      uint8_t *exact = malloc(length + (length == 0));
      if (exact == NULL) return 1;
      memcpy(exact, bytes, length);
      print_message(exact, length);
      free(exact);
    } else {
      size_t length = make(bytes, sizeof bytes, what, &f);
      for (size_t i = 0; i < length; i++) printf("%02x", bytes[i]);
      putchar('\n');
    }
  }
  return 0;
}
