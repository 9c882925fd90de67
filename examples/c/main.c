/*
 * A device that measures, stores and forwards, and answers commands. See examples/README.md.
 *
 *   ./device ws://127.0.0.1:8080 [--id pump-1] [--queue FILE] [--interval-ms N] [--count N] [--retry-ms FIRST,MOST]
 *
 * The token is taken from the environment, DEVICE_TOKEN, so that it stands in no list of processes.
 * Exit code: 0 done (--count) or told to stop, 1 wrong use, 3 the hub does not want this device as it is.
 */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device.h"

static volatile sig_atomic_t is_told_to_stop = 0;
static void on_signal(int number) { (void)number, is_told_to_stop = 1; }

/* ---- What it measures, and the commands it knows: the part to replace ---- */

typedef struct {
  int interval_ms;
  uint64_t measured, dropped;
} pump_state;

static bool measure(pump_state *p, queue *q, int64_t time_us) {
  double temp = round((20 + 2 * sin((double)p->measured / 10)) * 100) / 100;
  const measured values[] = {
      {.metric = "n", .kind = IS_NUMBER, .number = (double)(p->measured + 1), .time_us = time_us},
      {.metric = "temp", .unit = "Cel", .kind = IS_NUMBER, .number = temp, .time_us = time_us},
      {.metric = "running", .kind = IS_BOOL, .truth = true, .time_us = time_us},
  };
  uint8_t body[QUEUE_BODY_BYTES];
  writer w = write_into(body, sizeof body);
  put_records(&w, values, sizeof values / sizeof values[0]);
  return !w.is_full && queue_push(q, DATA, body, w.length) != 0;
}

static void say_boot(queue *q) {
  uint8_t body[QUEUE_BODY_BYTES];
  writer w = write_into(body, sizeof body);
  put_text(&w, "boot"); /* an event: its name, and a value */
  put_map(&w, 1);
  put_text(&w, "cause");
  put_text(&w, "power");
  queue_push(q, EVENT, body, w.length);
}

static const char *on_command(void *context, const char *name, reader params, writer *value) {
  pump_state *p = context;
  item wanted;
  if (strcmp(name, "blink") == 0 && map_get(params, "times", &wanted) && wanted.is_whole) {
    printf("blinking %lld times\n", (long long)wanted.integer);
    put_map(value, 1);
    put_text(value, "blinked");
    put_integer(value, wanted.integer);
    return "succeeded";
  }
  if (strcmp(name, "interval") == 0 && map_get(params, "ms", &wanted) && wanted.is_whole) {
    if (wanted.integer < 10 || wanted.integer > 3600000) return "failed";
    p->interval_ms = (int)wanted.integer;
    return "succeeded";
  }
  put_text(value, "this device knows blink {times} and interval {ms}");
  return "rejected";
}

/* ---- The program ---- */

typedef struct {
  device_options device;
  const char *queue_path;
  int interval_ms;
  uint64_t count; /* 0: no end */
  char host[256], port[6], path[256];
} program;

/* ws://host[:port][/path], wss://… */
static bool read_url(const char *url, program *p) {
  websocket_address *hub = &p->device.hub;
  hub->with_tls = strncmp(url, "wss://", 6) == 0;
  if (!hub->with_tls && strncmp(url, "ws://", 5) != 0) return false;
  url += hub->with_tls ? 6 : 5;
  size_t host = strcspn(url, ":/");
  if (host == 0 || host >= sizeof p->host) return false;
  memcpy(p->host, url, host);
  url += host;
  strcpy(p->port, hub->with_tls ? "443" : "80");
  if (*url == ':') {
    size_t port = strspn(++url, "0123456789");
    if (port == 0 || port >= sizeof p->port) return false;
    memcpy(p->port, url, port);
    p->port[port] = 0;
    url += port;
  }
  if (*url != 0 && *url != '/') return false;
  int length = snprintf(p->path, sizeof p->path, "%s", *url == 0 ? "/cbor" : url);
  hub->host = p->host, hub->port = p->port, hub->path = p->path, hub->protocol = SUBPROTOCOL;
  return length > 0 && (size_t)length < sizeof p->path && strpbrk(p->path, " \r\n") == NULL;
}

static bool read_whole_number(const char *text, long long least, long long most, long long *out) {
  char *end;
  *out = strtoll(text, &end, 10);
  return end != text && *end == 0 && *out >= least && *out <= most;
}

static bool read_arguments(int count, char **values, program *p) {
  *p = (program){.interval_ms = 1000};
  p->device.retry_first_ms = 1000, p->device.retry_most_ms = 60000;
  p->device.firmware = "muster-c-example 1.0";
  p->device.hub.token = getenv("DEVICE_TOKEN");
  if (p->device.hub.token != NULL && strpbrk(p->device.hub.token, " \r\n") != NULL) return false;
  if (count < 2 || !read_url(values[1], p)) return false;
  for (int i = 2; i + 1 < count; i += 2) {
    const char *name = values[i], *value = values[i + 1];
    long long number = 0;
    if (strcmp(name, "--id") == 0) p->device.id = value;
    else if (strcmp(name, "--queue") == 0) p->queue_path = value;
    else if (strcmp(name, "--interval-ms") == 0 && read_whole_number(value, 1, 3600000, &number)) p->interval_ms = (int)number;
    else if (strcmp(name, "--count") == 0 && read_whole_number(value, 1, 1000000000, &number)) p->count = (uint64_t)number;
    else if (strcmp(name, "--retry-ms") == 0 && sscanf(value, "%d,%d", &p->device.retry_first_ms, &p->device.retry_most_ms) == 2) continue;
    else return false;
  }
  return count % 2 == 0 && p->device.retry_first_ms >= 1 && p->device.retry_most_ms >= p->device.retry_first_ms;
}

static int run(program *p, device *d, queue *q) {
  pump_state pump = {.interval_ms = p->interval_ms};
  p->device.on_command = on_command;
  p->device.context = &pump;
  device_init(d, &p->device, q);
  say_boot(q);
  int64_t next_ms = monotonic_ms();
  for (;;) {
    bool is_finished = p->count != 0 && pump.measured >= p->count;
    if (is_told_to_stop || (is_finished && device_is_idle(d))) break;
    /* This device has no clock of its own: it measures once a hub has told it the time, and from then on offline, too. */
    int64_t now_ms = monotonic_ms(), time_us = device_time_us(d);
    if (time_us != 0 && !is_finished && now_ms >= next_ms) {
      if (measure(&pump, q, time_us)) pump.measured++;
      else if (pump.dropped++ == 0) fprintf(stderr, "the queue is full: what is measured now is lost\n");
      next_ms += pump.interval_ms;
      if (next_ms < now_ms) next_ms = now_ms;
    }
    int64_t wait_ms = time_us == 0 || is_finished ? 100 : next_ms - monotonic_ms();
    if (device_work(d, wait_ms < 0 ? 0 : wait_ms > 100 ? 100 : (int)wait_ms) == DEVICE_STOPPED) return 3;
  }
  device_close(d);
  fprintf(stderr, "measured %llu, dropped %llu, not acknowledged %llu\n", (unsigned long long)pump.measured,
          (unsigned long long)pump.dropped, (unsigned long long)(q->next - q->first));
  return 0;
}

int main(int count, char **values) {
  static program p;
  static queue q;
  static device d;
  if (!read_arguments(count, values, &p)) {
    fprintf(stderr, "usage: device ws://host:port [--id ID] [--queue FILE] [--interval-ms N] [--count N] [--retry-ms FIRST,MOST]\n");
    return 1;
  }
  if (!queue_open(&q, p.queue_path)) {
    fprintf(stderr, "%s is no queue, cannot be written, or is in use\n", p.queue_path);
    return 1;
  }
  setvbuf(stdout, NULL, _IOLBF, 0);
  signal(SIGPIPE, SIG_IGN);
  signal(SIGINT, on_signal);
  signal(SIGTERM, on_signal);
  int code = run(&p, &d, &q);
  queue_close(&q);
  return code;
}
