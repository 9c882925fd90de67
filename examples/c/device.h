/*
 * A device of Muster: keeps a connection to the hub, hands over what the queue holds, and answers commands.
 *
 *   device d;
 *   device_init(&d, &options, &queue);
 *   for (;;) {
 *     queue_push(…);             whenever something was measured, connected or not
 *     if (device_work(&d, 100) == DEVICE_STOPPED) …
 *   }
 */
#ifndef DEVICE_H
#define DEVICE_H

#include "queue.h"
#include "websocket.h"

/*
 * Handles a command. `params` is one CBOR item, already found sound. What it writes into `value` (one item, or nothing) goes to the
 * hub with the status that it returns: "succeeded", "failed" or "rejected".
 */
typedef const char *(*command_handler)(void *context, const char *name, reader params, writer *value);

typedef struct {
  websocket_address hub;
  const char *id, *firmware; /* NULL for none; `id` is for hubs that admit devices without a token */
  int retry_first_ms, retry_most_ms; /* bounds of the waits between two attempts to connect */
  command_handler on_command;
  void *context;
} device_options;

#define ANSWERS 64
#define ANSWER_BYTES 256

/* A command that was worked on: its answer is kept until the hub says DONE, and longer, so that a repeat is not worked on again. */
typedef struct {
  char id[COMMAND_ID_TEXT]; /* "": free */
  uint8_t result[ANSWER_BYTES];
  size_t length;
  bool is_done;
  bool is_sent; /* in this connection */
} answer;

typedef struct {
  device_options options;
  queue *to_send;
  websocket ws;
  bool is_connected, is_welcome;
  int64_t connected_ms, moved_ms; /* when the connection was opened; when it last moved on: WELCOME, ACK, or nothing was under way */
  uint64_t next_to_send, window;
  uint64_t went_back_to; /* 0, or the `expected` of the gap that was answered since the last ACK */
  int64_t hub_clock_ms;  /* hub's clock minus monotonic_ms() */
  bool knows_time;
  int attempt;
  int64_t retry_at_ms;
  answer answers[ANSWERS];
  int oldest_answer;
  bool must_stop; /* the hub said that coming back will not help */
} device;

typedef enum { DEVICE_OFFLINE, DEVICE_ONLINE, DEVICE_STOPPED } device_state;

void device_init(device *d, const device_options *options, queue *to_send);

/* Connects when it is time to, sends, reads and answers, for about `wait_ms` at most (longer while it connects). */
device_state device_work(device *d, int wait_ms);

/* Microseconds since 1970 by the hub's clock; 0 while no hub has told the time. */
int64_t device_time_us(const device *d);

/* Nothing waits for the hub any more. */
bool device_is_idle(const device *d);

/* Says goodbye. */
void device_close(device *d);

#endif
