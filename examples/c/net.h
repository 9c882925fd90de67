/*
 * A TCP connection, with TLS where it was compiled in (make TLS=1). Nothing here blocks longer than it is told to, but for the look-up of
 * the host's name (getaddrinfo), which takes as long as the system lets it.
 */
#ifndef NET_H
#define NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
  int fd;    /* -1: none */
  void *tls; /* SSL *, NULL without TLS */
} net;

/* Milliseconds of a clock that never jumps; its zero means nothing. */
int64_t monotonic_ms(void);

/* Fills `out` with random bytes that nobody can foresee. Ends the program where the system has none. */
void random_bytes(void *out, size_t length);

/* Connects, and with `with_tls` proves who the other side is. On failure: false, and `why` says what went wrong. */
bool net_open(net *n, const char *host, const char *port, bool with_tls, int timeout_ms, const char **why);

/* What is there now: more than 0 bytes, 0 when there is nothing yet, -1 when the connection is over. */
long net_read(net *n, uint8_t *out, size_t room);

/* All of it, or false: the connection is over, or took nothing for `timeout_ms`. */
bool net_write(net *n, const uint8_t *bytes, size_t length, int timeout_ms);

/* Waits until there may be something to read. With n->fd of -1 it just waits. */
void net_wait(const net *n, int timeout_ms);

void net_close(net *n);

#endif
