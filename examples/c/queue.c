#include "queue.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net.h"

/*
 * The file is a journal. A header names the stream and the seq of the first record; each record is
 *   2 bytes length, 1 byte type, 1 byte 0, 4 bytes CRC-32 of all the rest of the record, the body,
 * in the byte order of this machine, and is appended and flushed before the message may be sent. A power cut leaves at most a torn last
 * record, which was never sent. What the hub has acknowledged is not written down: WELCOME tells it (resume), and what is sent
 * twice is stored once. The file is written anew, with what is still needed, when it is four rings long.
 *
 * The ring never holds less than what is unacknowledged, so the last QUEUE_BYTES of the journal hold it, too.
 */
typedef struct {
  char magic[8];
  char stream[STREAM_TEXT + 3];
  uint32_t crc;
  uint64_t first;
} file_header;

enum { RECORD_HEAD = 8, FILE_BYTES = 4 * QUEUE_BYTES };
_Static_assert(QUEUE_BYTES >= RECORD_HEAD + QUEUE_BODY_BYTES, "the ring must hold one message of every size");
static const char MAGIC[8] = "MUSTERQ1";

static uint32_t crc32(uint32_t crc, const void *bytes, size_t length) {
  const uint8_t *at = bytes;
  crc = ~crc;
  while (length-- > 0) {
    crc ^= *at++;
    for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
  }
  return ~crc;
}

static uint32_t record_crc(const uint8_t head[RECORD_HEAD], const uint8_t *body, size_t length) {
  return crc32(crc32(0, head, 4), body, length);
}

static uint32_t header_crc(const file_header *h) { return crc32(crc32(0, h->stream, sizeof h->stream), &h->first, sizeof h->first); }

static void name_stream(char stream[STREAM_TEXT]) {
  uint8_t random[16];
  random_bytes(random, sizeof random);
  for (int i = 0; i < 16; i++) snprintf(stream + 2 * i, 3, "%02x", random[i]);
}

/* ---- The ring: records one behind the other ---- */

static void ring_write(queue *q, const void *bytes, size_t length) {
  size_t at = (q->head + q->used) % QUEUE_BYTES, until_end = QUEUE_BYTES - at;
  size_t now = length < until_end ? length : until_end;
  memcpy(q->ring + at, bytes, now);
  memcpy(q->ring, (const uint8_t *)bytes + now, length - now);
  q->used += length;
}

static void ring_read(const queue *q, size_t at, void *out, size_t length) {
  at %= QUEUE_BYTES;
  size_t until_end = QUEUE_BYTES - at, now = length < until_end ? length : until_end;
  memcpy(out, q->ring + at, now);
  memcpy((uint8_t *)out + now, q->ring, length - now);
}

static size_t record_bytes(const queue *q, size_t at) {
  uint16_t length;
  ring_read(q, at, &length, sizeof length);
  return RECORD_HEAD + (size_t)length;
}

static void drop_oldest(queue *q) {
  size_t bytes = record_bytes(q, q->head);
  q->head = (q->head + bytes) % QUEUE_BYTES;
  q->used -= bytes;
  q->first++;
}

static void ring_take(queue *q, const uint8_t head[RECORD_HEAD], const uint8_t *body, size_t length) {
  ring_write(q, head, RECORD_HEAD);
  ring_write(q, body, length);
  q->next++;
}

/* ---- The file ---- */

static bool write_all(int fd, const void *bytes, size_t length) {
  for (const uint8_t *at = bytes; length > 0;) {
    ssize_t put = write(fd, at, length);
    if (put < 0 && errno != EINTR) return false;
    if (put > 0) at += put, length -= (size_t)put;
  }
  return true;
}

/* Two programs on one queue would give the same numbers to different messages. The lock goes with the program, however it ends. */
static bool lock(int fd) { return lockf(fd, F_TLOCK, 0) == 0; }

/* A new name in a folder is on disk when the folder is. */
static bool flush_folder(const char *path) {
  char folder[512];
  const char *slash = strrchr(path, '/');
  size_t length = slash == NULL ? 1 : slash == path ? 1 : (size_t)(slash - path);
  if (length >= sizeof folder) return false;
  memcpy(folder, slash == NULL ? "." : path, length);
  folder[length] = 0;
  int fd = open(folder, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  bool flushed = fsync(fd) == 0;
  close(fd);
  return flushed;
}

/* Writes the ring to a new file, and puts it in the place of the old one once it is on disk. */
static bool write_anew(queue *q) {
  char path[512];
  if (snprintf(path, sizeof path, "%s.new", q->path) >= (int)sizeof path) return false;
  int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return false;
  file_header h = {.first = q->first};
  bool locked = lock(fd);
  memcpy(h.magic, MAGIC, sizeof h.magic);
  memcpy(h.stream, q->stream, STREAM_TEXT);
  h.crc = header_crc(&h);
  size_t until_end = QUEUE_BYTES - q->head, now = q->used < until_end ? q->used : until_end;
  if (!locked || !write_all(fd, &h, sizeof h) || !write_all(fd, q->ring + q->head, now) || !write_all(fd, q->ring, q->used - now) ||
      fsync(fd) != 0 || rename(path, q->path) != 0) {
    close(fd);
    unlink(path);
    return false;
  }
  if (q->fd >= 0) close(q->fd);
  q->fd = fd;
  q->file_bytes = sizeof h + q->used;
  return flush_folder(q->path);
}

/* On disk, or as if it had never been written. */
static bool append(queue *q, const uint8_t head[RECORD_HEAD], const uint8_t *body, size_t length) {
  if (q->file_bytes >= FILE_BYTES && !write_anew(q)) return false;
  if (write_all(q->fd, head, RECORD_HEAD) && write_all(q->fd, body, length) && fdatasync(q->fd) == 0) {
    q->file_bytes += RECORD_HEAD + length;
    return true;
  }
  /* Nothing may ever stand behind half a record: when it cannot be cut off, the file is written anew before the next one. */
  if (ftruncate(q->fd, (off_t)q->file_bytes) != 0 || lseek(q->fd, (off_t)q->file_bytes, SEEK_SET) < 0) q->file_bytes = FILE_BYTES;
  return false;
}

static bool read_all(int fd, void *out, size_t length) {
  for (uint8_t *at = out; length > 0;) {
    ssize_t got = read(fd, at, length);
    if (got == 0 || (got < 0 && errno != EINTR)) return false;
    if (got > 0) at += got, length -= (size_t)got;
  }
  return true;
}

/* Reads the records up to the first that is not whole, and cuts the file there. */
static bool read_records(queue *q) {
  for (;;) {
    uint8_t head[RECORD_HEAD], body[QUEUE_BODY_BYTES];
    uint16_t length;
    uint32_t crc;
    if (!read_all(q->fd, head, sizeof head)) break;
    memcpy(&length, head, sizeof length);
    memcpy(&crc, head + 4, sizeof crc);
    if (length > sizeof body || !read_all(q->fd, body, length) || crc != record_crc(head, body, length)) break;
    while (QUEUE_BYTES - q->used < RECORD_HEAD + (size_t)length) drop_oldest(q);
    ring_take(q, head, body, length);
    q->file_bytes += RECORD_HEAD + (size_t)length;
  }
  return ftruncate(q->fd, (off_t)q->file_bytes) == 0 && lseek(q->fd, (off_t)q->file_bytes, SEEK_SET) >= 0;
}

static bool read_file(queue *q) {
  file_header h;
  if (!read_all(q->fd, &h, sizeof h) || memcmp(h.magic, MAGIC, sizeof MAGIC) != 0 || h.crc != header_crc(&h)) return false;
  if (memchr(h.stream, 0, STREAM_TEXT) == NULL || h.first < 1) return false;
  memcpy(q->stream, h.stream, STREAM_TEXT);
  q->first = q->next = h.first;
  q->file_bytes = sizeof h;
  return read_records(q);
}

/* ---- */

bool queue_open(queue *q, const char *path) {
  memset(q, 0, sizeof *q);
  name_stream(q->stream);
  q->first = q->next = 1;
  q->path = path;
  q->fd = -1;
  if (path == NULL) return true;
  q->fd = open(path, O_RDWR | O_CLOEXEC);
  if (q->fd >= 0) return lock(q->fd) && read_file(q);
  return errno == ENOENT && write_anew(q);
}

uint64_t queue_push(queue *q, int type, const uint8_t *body, size_t length) {
  if (length > QUEUE_BODY_BYTES || QUEUE_BYTES - q->used < RECORD_HEAD + length) return 0;
  uint8_t head[RECORD_HEAD] = {0};
  uint16_t short_length = (uint16_t)length;
  memcpy(head, &short_length, sizeof short_length);
  head[2] = (uint8_t)type;
  uint32_t crc = record_crc(head, body, length);
  memcpy(head + 4, &crc, sizeof crc);
  if (q->path != NULL && !append(q, head, body, length)) return 0;
  ring_take(q, head, body, length);
  return q->next - 1;
}

size_t queue_get(queue *q, uint64_t seq, int *type, uint8_t *body) {
  if (q->cursor_seq < q->first || q->cursor_seq > seq) {
    q->cursor_seq = q->first;
    q->cursor_at = q->head;
  }
  while (q->cursor_seq < seq) {
    q->cursor_at = (q->cursor_at + record_bytes(q, q->cursor_at)) % QUEUE_BYTES;
    q->cursor_seq++;
  }
  uint8_t head[RECORD_HEAD];
  uint16_t length;
  ring_read(q, q->cursor_at, head, sizeof head);
  memcpy(&length, head, sizeof length);
  *type = head[2];
  ring_read(q, q->cursor_at + RECORD_HEAD, body, length);
  return length;
}

void queue_drop_below(queue *q, uint64_t seq) {
  while (q->first < seq && q->first < q->next) drop_oldest(q);
}

bool queue_rename(queue *q) {
  name_stream(q->stream);
  q->next = q->next - q->first + 1;
  q->first = 1;
  q->cursor_seq = 0;
  if (q->path == NULL || write_anew(q)) return true;
  q->file_bytes = FILE_BYTES; /* the file still has the old name and numbers: nothing is appended to it, it is written anew first */
  return false;
}

void queue_close(queue *q) {
  if (q->fd >= 0) close(q->fd);
  q->fd = -1;
}
