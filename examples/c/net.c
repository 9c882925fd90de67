#include "net.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifdef MUSTER_TLS
#include <openssl/err.h>
#include <openssl/ssl.h>
#endif

int64_t monotonic_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void random_bytes(void *out, size_t length) {
  uint8_t *at = out;
  while (length > 0) {
    ssize_t got = getrandom(at, length, 0);
    if (got < 0 && errno != EINTR) abort();
    if (got > 0) {
      at += got;
      length -= (size_t)got;
    }
  }
}

/* False when nothing happened in time. */
static bool wait_for(int fd, short events, int timeout_ms) {
  struct pollfd one = {.fd = fd, .events = events, .revents = 0};
  return poll(&one, 1, timeout_ms) > 0;
}

static int connect_one(const struct addrinfo *address, int timeout_ms) {
  int fd = socket(address->ai_family, address->ai_socktype, address->ai_protocol);
  if (fd < 0) return -1;
  int yes = 1, error = 0;
  socklen_t length = sizeof error;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  if (fcntl(fd, F_SETFL, O_NONBLOCK) == 0 && fcntl(fd, F_SETFD, FD_CLOEXEC) == 0) {
    if (connect(fd, address->ai_addr, address->ai_addrlen) == 0) return fd;
    if (errno == EINPROGRESS && wait_for(fd, POLLOUT, timeout_ms) &&
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) == 0 && error == 0)
      return fd;
  }
  close(fd);
  return -1;
}

static int connect_any(const char *host, const char *port, int timeout_ms) {
  struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *all = NULL;
  if (getaddrinfo(host, port, &hints, &all) != 0) return -1;
  int fd = -1;
  for (const struct addrinfo *a = all; a != NULL && fd < 0; a = a->ai_next) fd = connect_one(a, timeout_ms);
  freeaddrinfo(all);
  return fd;
}

#ifdef MUSTER_TLS
/* 1: go on; 0: the other side said nothing in time; -1: over. */
static int tls_wait(net *n, int result, int timeout_ms) {
  int error = SSL_get_error(n->tls, result);
  if (error == SSL_ERROR_WANT_READ) return wait_for(n->fd, POLLIN, timeout_ms);
  if (error == SSL_ERROR_WANT_WRITE) return wait_for(n->fd, POLLOUT, timeout_ms);
  return -1;
}

/* The hub's certificate must be signed by a CA of the system, or of the file in SSL_CERT_FILE, and be made for `host`. */
static bool tls_open(net *n, const char *host, int timeout_ms) {
  static SSL_CTX *context = NULL;
  if (context == NULL) {
    context = SSL_CTX_new(TLS_client_method());
    if (context == NULL || SSL_CTX_set_default_verify_paths(context) != 1) abort();
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  }
  n->tls = SSL_new(context);
  if (n->tls == NULL || SSL_set_fd(n->tls, n->fd) != 1) return false;
  X509_VERIFY_PARAM *must = SSL_get0_param(n->tls);
  if (X509_VERIFY_PARAM_set1_ip_asc(must, host) != 1 &&
      (SSL_set1_host(n->tls, host) != 1 || SSL_set_tlsext_host_name(n->tls, host) != 1))
    return false;
  int64_t end = monotonic_ms() + timeout_ms;
  for (;;) {
    ERR_clear_error();
    int result = SSL_connect(n->tls);
    if (result == 1) return true;
    if (monotonic_ms() >= end || tls_wait(n, result, timeout_ms) != 1) return false;
  }
}
#endif

bool net_open(net *n, const char *host, const char *port, bool with_tls, int timeout_ms, const char **why) {
  n->tls = NULL;
  n->fd = connect_any(host, port, timeout_ms);
  *why = "no connection";
  if (n->fd < 0) return false;
  if (!with_tls) return true;
#ifdef MUSTER_TLS
  if (tls_open(n, host, timeout_ms)) return true;
  *why = "no TLS connection; is the certificate signed by a CA in SSL_CERT_FILE, and made for this host?";
#else
  *why = "this program was made without TLS (make TLS=1)";
#endif
  net_close(n);
  return false;
}

long net_read(net *n, uint8_t *out, size_t room) {
#ifdef MUSTER_TLS
  if (n->tls != NULL) {
    ERR_clear_error();
    int got = SSL_read(n->tls, out, (int)room);
    if (got > 0) return got;
    int error = SSL_get_error(n->tls, got);
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? 0 : -1;
  }
#endif
  ssize_t got = recv(n->fd, out, room, 0);
  if (got > 0) return (long)got;
  if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return 0;
  return -1;
}

/* Bytes taken, 0 when none could be for `timeout_ms`, -1 when the connection is over. */
static long write_some(net *n, const uint8_t *bytes, size_t length, int timeout_ms) {
#ifdef MUSTER_TLS
  if (n->tls != NULL) {
    int64_t end = monotonic_ms() + timeout_ms;
    for (;;) {
      ERR_clear_error();
      int put = SSL_write(n->tls, bytes, (int)length);
      if (put > 0) return put;
      int waited = tls_wait(n, put, timeout_ms);
      if (waited < 0) return -1;
      if (waited == 0 || monotonic_ms() >= end) return 0;
    }
  }
#endif
  ssize_t put = send(n->fd, bytes, length, MSG_NOSIGNAL);
  if (put < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
    if (!wait_for(n->fd, POLLOUT, timeout_ms)) return 0;
    put = send(n->fd, bytes, length, MSG_NOSIGNAL);
  }
  return put > 0 ? (long)put : -1;
}

bool net_write(net *n, const uint8_t *bytes, size_t length, int timeout_ms) {
  while (length > 0) {
    long put = write_some(n, bytes, length, timeout_ms);
    if (put <= 0) return false;
    bytes += put;
    length -= (size_t)put;
  }
  return true;
}

void net_wait(const net *n, int timeout_ms) {
#ifdef MUSTER_TLS
  if (n->fd >= 0 && n->tls != NULL && SSL_pending(n->tls) > 0) return;
#endif
  if (n->fd >= 0) wait_for(n->fd, POLLIN, timeout_ms);
  else poll(NULL, 0, timeout_ms);
}

void net_close(net *n) {
#ifdef MUSTER_TLS
  if (n->tls != NULL) SSL_free(n->tls);
#endif
  n->tls = NULL;
  if (n->fd >= 0) close(n->fd);
  n->fd = -1;
}
