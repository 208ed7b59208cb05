/* A relay that makes a network: delay, slow start, a rate for each connection and for all together, pauses as after a loss,
   connections that fall silent or are reset, and rates that change midway. One thread, a tick of a millisecond.

     relay LISTEN-ADDRESS PORT TO-PORT [KEY=VALUE]...

     rtt=MS              a round trip, but for the handshake, which the kernel answers; a connection starts slowly (10 segments, doubling)
     conn=BYTES/S        of each connection               host=BYTES/S        of all together, shared evenly
     then=MS:BYTES/S:N   so long after the first connection each Nth of those that are open, and with N = 1 every later one, has this rate
     worn=BYTES:BYTES/S  a connection that has brought so many bytes has this rate
     stall=N:BYTES:MS    each Nth connection falls silent for so long once it has brought so many bytes
     reset=N:BYTES       each Nth connection is reset once it has brought so many bytes
     most=N              connections beyond so many are reset before they have an answer
     pause=BYTES:MS      a connection is silent for MS about every so many bytes (the distances are drawn, always the same) */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 256, BLOCK = 16384, QUEUED = 512 << 10 };

struct piece { struct piece* next; double due; size_t size, at; char data[]; };
struct queue { struct piece *first, *last; size_t bytes; };
struct way {
  int client, origin;
  unsigned number;
  double rate, credit, window, opened, silent_until, next_pause, brought;
  int stalled, origin_ended;
  struct queue up, down;
};

static double rtt, conn_rate = 1e12, host_rate = 1e12, then_at = -1, then_rate, worn_after = INFINITY, worn_rate;
static double stall_after, stall_for, reset_after, pause_bytes, pause_for, host_credit, began = -1;
static unsigned then_nth, stall_nth, reset_nth, most = MOST;
static struct way* ways[MOST];
static unsigned count, numbers;

static double now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void push(struct queue* q, const char* data, size_t size, double due) {
  struct piece* p = malloc(sizeof *p + size);
  if (!p) abort();
  p->next = NULL, p->due = due, p->size = size, p->at = 0;
  memcpy(p->data, data, size);
  *(q->first ? &q->last->next : &q->first) = p;
  q->last = p, q->bytes += size;
}

/* What is due goes on; -1 when the far end is gone. */
static int flush(struct queue* q, int fd, double now) {
  while (q->first && q->first->due <= now) {
    struct piece* p = q->first;
    const ssize_t n = send(fd, p->data + p->at, p->size - p->at, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0) return errno == EAGAIN ? 0 : -1;
    p->at += (size_t)n, q->bytes -= (size_t)n;
    if (p->at < p->size) return 0;
    q->first = p->next;
    free(p);
  }
  return 0;
}

static void end(unsigned i, int reset) {
  struct way* w = ways[i];
  if (reset) setsockopt(w->client, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
  close(w->client);
  close(w->origin);
  for (struct queue* q = &w->up; q; q = q == &w->up ? &w->down : NULL) {
    while (q->first) {
      struct piece* p = q->first;
      q->first = p->next;
      free(p);
    }
  }
  free(w);
  ways[i] = ways[--count];
}

static void distance_to_pause(struct way* w) {
  static unsigned long long state = 88172645463325252ull;
  state ^= state << 13, state ^= state >> 7, state ^= state << 17;
  w->next_pause = w->brought - pause_bytes * log(((double)(state >> 11) + 1) / 9007199254740993.0);
}

static void take(int listener, const struct sockaddr_in* to, double now) {
  const int client = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
  if (client < 0) return;
  if (count >= most) {
    setsockopt(client, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
    close(client);
    return;
  }
  const int origin = socket(AF_INET, SOCK_STREAM, 0);
  if ( connect(origin, (const struct sockaddr*)to, sizeof *to) < 0) { close(client), close(origin); return; }
  fcntl(origin, F_SETFL, O_NONBLOCK);
  setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
  struct way* w = calloc(1, sizeof *w);
  if (!w) abort();
  w->client = client, w->origin = origin, w->number = ++numbers, w->opened = now, w->rate = conn_rate, w->window = 14600;
  if (then_at >= 0 && began >= 0 && now >= began + then_at && then_nth == 1) w->rate = then_rate;
  if (pause_bytes > 0) distance_to_pause(w);
  if (began < 0) began = now;
  ways[count++] = w;
}

/* One block of the response, if the rates allow it: 1 when there was one, -1 at the end of the connection. */
static int bring(struct way* w, double now) {
  static char block[BLOCK];
  double may = fmin(w->credit, host_credit);
  if (may < 1 || now < w->silent_until || w->down.bytes > QUEUED + (size_t)(w->rate < 1e9 ? w->rate * rtt / 2e3 : 0)) return 0;
  if (may > BLOCK) may = BLOCK;
  const ssize_t n = recv(w->origin, block, (size_t)may, 0);
  if (n < 0) return errno == EAGAIN ? 0 : -1;
  if (n == 0) { w->origin_ended = 1; return 0; }
  push(&w->down, block, (size_t)n, now + rtt / 2);
  w->credit -= (double)n, host_credit -= (double)n, w->window += (double)n, w->brought += (double)n;
  if (w->brought >= worn_after) w->rate = worn_rate;
  if (stall_nth && !w->stalled && w->number % stall_nth == 0 && w->brought >= stall_after)
    w->stalled = 1, w->silent_until = now + stall_for;
  if (pause_bytes > 0 && w->brought >= w->next_pause) w->silent_until = now + pause_for, distance_to_pause(w);
  return 1;
}

static void tick(double now, double elapsed) {
  static char request[65536];
  static unsigned turn;
  int changes = then_at >= 0 && began >= 0 && now >= began + then_at && now - elapsed < began + then_at;
  host_credit = fmin(host_credit + host_rate * elapsed / 1e3, fmax(host_rate * 0.05, BLOCK));
  for (unsigned i = 0; i < count; ++i) {
    struct way* w = ways[i];
    if (changes && w->number % then_nth == 0) w->rate = then_rate;
    double rate = w->rate;
    if (rtt > 0 && w->window < rate * rtt / 1e3) rate = w->window / rtt * 1e3;
    w->credit = fmin(w->credit + rate * elapsed / 1e3, fmax(rate * 0.05, 1500));
    const ssize_t n = recv(w->client, request, sizeof request, 0);
    if (n > 0) {
      push(&w->up, request, (size_t)n, now + rtt / 2);
    } else if (n == 0 || errno != EAGAIN) {
      end(i--, 0);
      continue;
    }
  }
  ++turn;
  for (int more = 1; more && host_credit >= 1;) {
    more = 0;
    for (unsigned k = 0; k < count; ++k) {
      const int brought = bring(ways[(k + turn) % count], now);
      more |= brought > 0;
    }
  }
  for (unsigned i = 0; i < count; ++i) {
    struct way* w = ways[i];
    const int is_cut = reset_nth && w->number % reset_nth == 0 && w->brought >= reset_after;
    if (is_cut || flush(&w->up, w->origin, now) < 0 || flush(&w->down, w->client, now) < 0 ||
        (w->origin_ended && !w->down.first)) {
      end(i--, is_cut);
    }
  }
}

int main(int argc, char** argv) {
  if (argc < 4) return 2;
  signal(SIGPIPE, SIG_IGN);
  for (int i = 4; i < argc; ++i) {
    const char* a = argv[i];
    if (sscanf(a, "rtt=%lf", &rtt) != 1 && sscanf(a, "conn=%lf", &conn_rate) != 1 && sscanf(a, "host=%lf", &host_rate) != 1 &&
        sscanf(a, "then=%lf:%lf:%u", &then_at, &then_rate, &then_nth) != 3 && sscanf(a, "worn=%lf:%lf", &worn_after, &worn_rate) != 2 &&
        sscanf(a, "stall=%u:%lf:%lf", &stall_nth, &stall_after, &stall_for) != 3 &&
        sscanf(a, "reset=%u:%lf", &reset_nth, &reset_after) != 2 && sscanf(a, "pause=%lf:%lf", &pause_bytes, &pause_for) != 2 && sscanf(a, "most=%u", &most) != 1) {
      fprintf(stderr, "relay: what is %s?\n", a);
      return 2;
    }
  }
  struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(argv[2]))};
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(argv[3]))};
  inet_pton(AF_INET, argv[1], &here.sin_addr);
  inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
  if (bind(listener, (struct sockaddr*)&here, sizeof here) < 0 || listen(listener, 256) < 0) {
    perror("relay");
    return 1;
  }
  puts("ready");
  fflush(stdout);
  for (double last = now_ms();;) {
    struct pollfd wait = {.fd = listener, .events = POLLIN};
    poll(&wait, 1, count ? 1 : -1);
    if (!count) last = now_ms() - 1;
    while (wait.revents & POLLIN) {
      const unsigned before = count;
      take(listener, &to, now_ms());
      if (count == before) break;
    }
    const double now = now_ms();
    if (now - last >= 0.5) {
      tick(now, now - last);
      last = now;
    }
  }
}
