/*
 * What the hub has not acknowledged yet: a ring of QUEUE_BYTES in memory, and where a file is given, on disk before it is sent,
 * so that a reset or a power cut loses nothing that was taken in. When the ring is full nothing more is taken: the caller
 * knows it, and what was taken before stays whole.
 */
#ifndef QUEUE_H
#define QUEUE_H

#include "messages.h"

#ifndef QUEUE_BYTES /* make DEFINES=-DQUEUE_BYTES=16384 */
#define QUEUE_BYTES 65536
#endif
#define QUEUE_BODY_BYTES 960 /* the largest body: the message around it is below 1,024 bytes, which every hub takes (SPEC.md, 12) */

typedef struct {
  char stream[STREAM_TEXT]; /* the name under which the hub knows this queue: random, new when the queue is new */
  uint64_t first;           /* seq of the oldest that is kept */
  uint64_t next;            /* seq that the next one will get */
  uint8_t ring[QUEUE_BYTES];
  size_t head, used;
  uint64_t cursor_seq; /* where the last look was: messages are read in order */
  size_t cursor_at;
  const char *path; /* NULL: memory alone */
  int fd;
  size_t file_bytes;
} queue;

/* False: the file can be neither read nor made, or another program has it open. A file that is no queue is not touched. */
bool queue_open(queue *q, const char *path);

/* Takes a message in, on disk if there is a file. Returns its seq, or 0 when there is no room (or the disk refuses). */
uint64_t queue_push(queue *q, int type, const uint8_t *body, size_t length);

/* The message `seq`, first <= seq < next. Returns its length; `body` has room for QUEUE_BODY_BYTES. */
size_t queue_get(queue *q, uint64_t seq, int *type, uint8_t *body);

/* Forgets everything below `seq`: the hub has it. */
void queue_drop_below(queue *q, uint64_t seq);

/* A new name, and numbers from 1 on, for what is kept. */
bool queue_rename(queue *q);

void queue_close(queue *q);

#endif
