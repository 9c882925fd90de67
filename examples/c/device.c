#include "device.h"

#include <stdio.h>
#include <string.h>

enum {
  CONNECT_LIMIT_MS = 10000,
  /* SPEC.md, 7 and 10 */
  WELCOME_LIMIT_MS = 15000,
  SILENCE_LIMIT_MS = 90000,
  STALL_LIMIT_MS = 120000,
  STABLE_MS = 60000,
  MESSAGES_AT_ONCE = 64,    /* read in a row, so that a hub that never stops talking does not stop the measuring */
  RESULTS_UNDER_WAY = 16    /* the hub sends as many commands without an answer, and so stops when answers have to wait */
};

#define MESSAGE_BYTES 1024 /* every hub takes that much (SPEC.md, 12) */

void device_init(device *d, const device_options *options, queue *to_send) {
  memset(d, 0, sizeof *d);
  d->options = *options;
  d->to_send = to_send;
  d->ws.net.fd = -1;
  d->retry_at_ms = monotonic_ms();
}

int64_t device_time_us(const device *d) { return d->knows_time ? (monotonic_ms() + d->hub_clock_ms) * 1000 : 0; }

/* ---- Connecting ---- */

/* Full jitter: a fleet that was cut off at one moment does not come back at one moment. */
static void plan_retry(device *d, int at_least_s) {
  int64_t most = d->options.retry_first_ms;
  for (int i = 0; i < d->attempt && most < d->options.retry_most_ms; i++) most *= 2;
  if (most > d->options.retry_most_ms) most = d->options.retry_most_ms;
  uint32_t random;
  random_bytes(&random, sizeof random);
  d->attempt++;
  d->retry_at_ms = monotonic_ms() + at_least_s * 1000 + (int64_t)((double)random / 4294967296.0 * (double)most);
}

/* "Stay away" and "taken over" of SPEC.md, 2 and 11: HTTP statuses and close codes after which coming back will not help. */
static bool is_final(unsigned code) {
  switch (code) {
    case 400: case 401: case 403: case 404: return true;
    case 1002: case 1003: case 1007: case 1008: case 1009: case 1010: case 4003: case 4009: return true;
    default: return false;
  }
}

static void lost(device *d, const char *why) {
  fprintf(stderr, "offline: %s (%u)\n", why, d->ws.close_code);
  if (is_final(d->ws.close_code)) d->must_stop = true;
  if (d->is_welcome && monotonic_ms() - d->connected_ms > STABLE_MS) d->attempt = 0;
  net_close(&d->ws.net);
  d->is_connected = d->is_welcome = false;
  plan_retry(d, 0);
}

/* The hub said what it must not: nothing it says in this connection is believed any more. */
static void broken(device *d, const char *why) {
  websocket_close(&d->ws, 1002);
  lost(d, why);
}

static void send_message(device *d, const uint8_t *bytes, size_t length) {
  if (d->is_connected && !websocket_send(&d->ws, bytes, length)) lost(d, d->ws.why);
}

static void open_connection(device *d) {
  const device_options *o = &d->options;
  if (!websocket_open(&d->ws, &o->hub, CONNECT_LIMIT_MS)) {
    fprintf(stderr, "offline: %s (HTTP %d)\n", d->ws.why, d->ws.http_status);
    if (is_final((unsigned)d->ws.http_status)) d->must_stop = true;
    plan_retry(d, d->ws.retry_after_s);
    return;
  }
  d->is_connected = true;
  d->connected_ms = monotonic_ms();
  d->went_back_to = 0;
  for (int i = 0; i < ANSWERS; i++) d->answers[i].is_sent = false;
  uint8_t hello[MESSAGE_BYTES];
  size_t length = encode_hello(hello, sizeof hello, d->to_send->stream, d->to_send->first, NULL, o->id, o->firmware);
  if (length == 0) broken(d, "id and firmware are too long for a HELLO");
  else send_message(d, hello, length);
}

static void on_welcome(device *d, const hub_message *m) {
  if (d->is_welcome || m->resume < d->to_send->first) {
    broken(d, "a WELCOME that does not fit");
  } else if (m->resume > d->to_send->next) {
    /* It knows more of this stream than we do: our file is an old copy. Under its old numbers nothing new would be stored. */
    if (!queue_rename(d->to_send)) fprintf(stderr, "the queue's file cannot be written\n");
    broken(d, "the hub is ahead of this queue; it goes on under a new name");
  } else {
    queue_drop_below(d->to_send, m->resume);
    d->next_to_send = m->resume;
    d->window = m->window;
    d->moved_ms = monotonic_ms();
    d->hub_clock_ms = m->time_ms - monotonic_ms();
    d->knows_time = d->is_welcome = true;
    fprintf(stderr, "online: %s, epoch %llu, resume at %llu\n", m->device, (unsigned long long)m->epoch, (unsigned long long)m->resume);
  }
}

/* ---- What is acknowledged ---- */

static void on_ack(device *d, uint64_t seq) {
  if (seq >= d->next_to_send) {
    broken(d, "an ACK of what was never sent");
    return;
  }
  d->attempt = 0; /* it works: the next loss starts with a short wait again */
  d->went_back_to = 0;
  d->moved_ms = monotonic_ms();
  queue_drop_below(d->to_send, seq + 1);
}

static void on_gap(device *d, const hub_message *m) {
  if (m->expected == d->went_back_to) return; /* one for each message that was under way: go back once */
  if (m->expected < d->to_send->first || m->expected > d->next_to_send) {
    broken(d, "a gap where nothing is missing");
    return;
  }
  d->went_back_to = d->next_to_send = m->expected;
}

/* ---- Commands ---- */

static answer *find_answer(device *d, const char *id) {
  for (int i = 0; i < ANSWERS; i++)
    if (strcmp(d->answers[i].id, id) == 0) return &d->answers[i];
  return NULL;
}

/* Results that were sent in this connection, and not answered by DONE. */
static int results_under_way(const device *d) {
  int count = 0;
  for (int i = 0; i < ANSWERS; i++) count += d->answers[i].id[0] != 0 && d->answers[i].is_sent && !d->answers[i].is_done;
  return count;
}

/* A place for a new answer: the oldest whose result the hub has. NULL: the hub has none of them. */
static answer *free_answer(device *d) {
  for (int i = 0; i < ANSWERS; i++) {
    answer *a = &d->answers[(d->oldest_answer + i) % ANSWERS];
    if (a->id[0] != 0 && !a->is_done) continue;
    d->oldest_answer = (d->oldest_answer + i + 1) % ANSWERS;
    return a;
  }
  return NULL;
}

static void work_on(device *d, answer *a, const char *id, const hub_message *m) {
  uint8_t value[ANSWER_BYTES - 128];
  writer w = write_into(value, sizeof value);
  const char *status = "rejected";
  if (m == NULL) put_text(&w, "too long for this device");
  else if (device_time_us(d) / 1000 > m->deadline_ms) put_text(&w, "past its deadline");
  else status = d->options.on_command(d->options.context, m->command_name, m->params, &w);
  if (w.is_full) w = write_into(value, sizeof value); /* a value that is too long is left out */
  if (w.length == 0) put_null(&w);
  memset(a, 0, sizeof *a);
  memcpy(a->id, id, strlen(id));
  a->length = encode_result(a->result, sizeof a->result, id, status, value, w.length);
}

/* `m` NULL: the command is too long to be read. */
static void on_command(device *d, const char *id, const hub_message *m) {
  answer *known = find_answer(d, id), *a = known == NULL ? free_answer(d) : known;
  if (a == NULL) return; /* no hub that keeps to SPEC.md has so many of them open */
  uint8_t received[96];
  if (results_under_way(d) < RESULTS_UNDER_WAY) send_message(d, received, encode_received(received, sizeof received, id));
  if (known == NULL) work_on(d, a, id, m);
  else a->is_sent = a->is_done = false; /* a repeat is answered as before, and not worked on again */
}

/* The hub has the result, or will never take it. */
static void on_done(device *d, const char *id) {
  answer *a = id[0] == 0 ? NULL : find_answer(d, id);
  if (a != NULL) a->is_done = true;
}

static void on_nack(device *d, const hub_message *m) {
  if (m->is_gap) {
    on_gap(d, m);
    return;
  }
  /* A message is recorded by the hub as refused, and the ACK that covers it follows; with seq 0 it was the answer to a command. */
  fprintf(stderr, "refused: message %llu %s: %s: %s\n", (unsigned long long)m->seq, m->command_id, m->code, m->words);
  if (m->seq == 0) on_done(d, m->command_id);
}

/* ---- The connection's work ---- */

static void on_message(device *d) {
  hub_message m;
  if (!decode_hub_message(d->ws.message, d->ws.message_length, &m)) {
    broken(d, "a message that SPEC.md does not allow");
    return;
  }
  if (m.type == ERROR) {
    fprintf(stderr, "the hub says: %s: %s\n", m.code, m.words); /* the close follows, with its code */
  } else if (m.type == WELCOME) {
    on_welcome(d, &m);
  } else if (!d->is_welcome) {
    broken(d, "something else before WELCOME");
  } else if (m.type == ACK) {
    on_ack(d, m.seq);
  } else if (m.type == NACK) {
    on_nack(d, &m);
  } else if (m.type == COMMAND) {
    on_command(d, m.command_id, &m);
  } else if (m.type == DONE) {
    on_done(d, m.command_id);
  }
}

/* Only a COMMAND can be so long. Whatever else it is, a later version may know it. */
static void on_cut_message(device *d) {
  char id[COMMAND_ID_TEXT];
  if (!d->is_welcome) broken(d, "something else before WELCOME");
  else if (decode_cut_command(d->ws.message, d->ws.message_length, id)) on_command(d, id, NULL);
}

static void read_messages(device *d) {
  for (int i = 0; i < MESSAGES_AT_ONCE && d->is_connected; i++) {
    websocket_result result = websocket_read(&d->ws);
    if (result == WEBSOCKET_NOTHING) break;
    if (result == WEBSOCKET_OVER) lost(d, d->ws.why);
    else if (result == WEBSOCKET_CUT_MESSAGE) on_cut_message(d);
    else on_message(d);
  }
}

static void look_at_the_clock(device *d) {
  int64_t now_ms = monotonic_ms();
  if (d->is_welcome && d->next_to_send == d->to_send->first) d->moved_ms = now_ms;
  if (!d->is_connected) return;
  if (!d->is_welcome && now_ms - d->connected_ms > WELCOME_LIMIT_MS) broken(d, "no WELCOME");
  else if (now_ms - d->ws.heard_ms > SILENCE_LIMIT_MS) broken(d, "the hub is silent");
  else if (d->is_welcome && now_ms - d->moved_ms > STALL_LIMIT_MS) broken(d, "the hub acknowledges nothing");
}

/* Results first: somebody waits for them. Then what the window allows of the queue. */
static void send_waiting(device *d) {
  int room = RESULTS_UNDER_WAY - results_under_way(d);
  for (int i = 0; i < ANSWERS && d->is_welcome && room > 0; i++) {
    answer *a = &d->answers[i];
    if (a->id[0] == 0 || a->is_done || a->is_sent) continue;
    a->is_sent = true;
    room--;
    send_message(d, a->result, a->length);
  }
  while (d->is_welcome && d->next_to_send < d->to_send->next && d->next_to_send - d->to_send->first < d->window) {
    uint8_t body[QUEUE_BODY_BYTES], message[MESSAGE_BYTES];
    int type;
    size_t length = queue_get(d->to_send, d->next_to_send, &type, body);
    length = encode_numbered(message, sizeof message, type, d->next_to_send, body, length);
    d->next_to_send++;
    send_message(d, message, length);
  }
}

device_state device_work(device *d, int wait_ms) {
  if (d->must_stop) return DEVICE_STOPPED;
  int64_t until_retry_ms = d->retry_at_ms - monotonic_ms();
  if (!d->is_connected && until_retry_ms <= 0) open_connection(d);
  else if (!d->is_connected && until_retry_ms < wait_ms) wait_ms = (int)until_retry_ms;
  if (d->is_connected) send_waiting(d);
  net_wait(&d->ws.net, wait_ms);
  if (d->is_connected) read_messages(d);
  look_at_the_clock(d);
  if (d->is_connected) send_waiting(d);
  return d->must_stop ? DEVICE_STOPPED : d->is_welcome ? DEVICE_ONLINE : DEVICE_OFFLINE;
}

bool device_is_idle(const device *d) {
  for (int i = 0; i < ANSWERS; i++)
    if (d->answers[i].id[0] != 0 && !d->answers[i].is_done) return false;
  return d->to_send->first == d->to_send->next;
}

void device_close(device *d) {
  if (d->is_connected) websocket_close(&d->ws, 1000);
  d->is_connected = d->is_welcome = false;
}
