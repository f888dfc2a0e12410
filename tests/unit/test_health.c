/* SPDX-License-Identifier: Apache-2.0 */
/* test_health.c - HTTP as kubelets, Prometheus, and people with netcat speak it */
#include "control/kube/health.c"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#undef fail /* cmocka has a macro of the name of our function */

struct fixture {
	struct health *health;
	struct failure why;
	char listen[64];
	uint16_t port;
	const char *reason;
	unsigned asked;
	uint64_t now, ahead; /* ms; `ahead`: how far its clock is before ours */
};

static bool is_ready(void *context, const char **reason)
{
	struct fixture *f = context;

	f->asked++;
	*reason = f->reason;
	return !*f->reason;
}

static void write_metrics(void *context, FILE *out)
{
	struct fixture *f = context;

	f->asked++;
	/* Longer than any buffer of a socket or a library. */
	for (int i = 0; i < 20000; i++)
		fprintf(out, "podswitch_test{i=\"%d\"} 1\n", i);
}

static uint16_t free_port(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&at, size), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &size), 0);
	close(fd);
	return ntohs(at.sin_port);
}

static int open_on(struct fixture *f, const char *listen)
{
	const struct health_config config = {
		.listen = listen, .ready = is_ready, .metrics = write_metrics, .context = f};

	return health_open(&config, &f->health, &f->why);
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->reason = "";
	for (int i = 0; i < 10 && !f->health; i++) {
		f->port = free_port();
		snprintf(f->listen, sizeof(f->listen), "127.0.0.1:%u", f->port);
		(void)open_on(f, f->listen);
	}
	assert_non_null(f->health);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	health_close(f->health);
	free(f);
	return 0;
}

static int dial(const struct fixture *f)
{
	struct sockaddr_in at = {
		.sin_family = AF_INET, .sin_port = htons(f->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static time_t seconds(void)
{
	return time(NULL);
}

static void turn(struct fixture *f)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	f->now = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000 + f->ahead;
	health_turn(f->health, f->now);
}

/* All that comes until the connection ends, by the owner's loop as it should be: after its descriptor says so. */
static const char *hear(struct fixture *f, int fd)
{
	static char text[1 << 20];
	size_t used = 0;
	time_t end = seconds() + 20;

	while (seconds() < end) {
		struct pollfd fds[] = {{.fd = health_fd(f->health), .events = POLLIN}, {.fd = fd, .events = POLLIN}};
		poll(fds, 2, 1000);
		turn(f);
		ssize_t got = recv(fd, text + used, sizeof(text) - 1 - used, MSG_DONTWAIT);
		if (got <= 0 && errno != EAGAIN)
			break;
		if (!got)
			break;
		used += got > 0 ? (size_t)got : 0;
	}
	assert_true(seconds() < end);
	close(fd);
	text[used] = '\0';
	return text;
}

static const char *ask(struct fixture *f, const char *request)
{
	int fd = dial(f);

	say(fd, request);
	return hear(f, fd);
}

#define ASK(f, method, path) ask(f, method " " path " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")

/* The answer's status line and its body. */
static void expect(const char *answer, const char *status, const char *body)
{
	const char *found = strstr(answer, "\r\n\r\n");

	if (strncmp(answer, status, strlen(status)) != 0)
		assert_string_equal(answer, status);
	assert_non_null(found);
	assert_string_equal(found + 4, body);
}

static void answers(void **state)
{
	struct fixture *f = *state;

	expect(ASK(f, "GET", "/healthz"), "HTTP/1.1 200 ", "ok\n");
	assert_int_equal(f->asked, 0); /* it lives whatever else does not */
	expect(ASK(f, "GET", "/readyz"), "HTTP/1.1 200 ", "ok\n");
	expect(ASK(f, "GET", "/readyz?verbose"), "HTTP/1.1 200 ", "ok\n");
	f->reason = "podswitchd does not answer";
	expect(ASK(f, "GET", "/readyz"), "HTTP/1.1 503 ", "podswitchd does not answer\n");
	expect(ASK(f, "GET", "/healthz"), "HTTP/1.1 200 ", "ok\n");
	expect(ASK(f, "HEAD", "/healthz"), "HTTP/1.1 200 ", "");
	expect(ASK(f, "GET", "/"), "HTTP/1.1 404 ", "there is /healthz, /readyz and /metrics\n");
	expect(ASK(f, "GET", "/metrics/x"), "HTTP/1.1 404 ", "there is /healthz, /readyz and /metrics\n");
	expect(ASK(f, "DELETE", "/healthz"), "HTTP/1.1 405 ", "only GET\n");
}

static void metrics_are_whole(void **state)
{
	struct fixture *f = *state;

	const char *answer = ASK(f, "GET", "/metrics");
	assert_non_null(strstr(answer, "text/plain; version=0.0.4"));
	assert_non_null(strstr(answer, "\r\n\r\npodswitch_test{i=\"0\"} 1\n"));
	const char *last = strstr(answer, "podswitch_test{i=\"19999\"} 1\n");
	assert_non_null(last);
	assert_string_equal(last, "podswitch_test{i=\"19999\"} 1\n");
	assert_int_equal(f->asked, 1);
}

static void body_is_refused(void **state)
{
	struct fixture *f = *state;
	static char request[200000];

	int length =
		snprintf(request, sizeof(request),
			 "POST /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 100000\r\n\r\n");
	memset(request + length, 'x', 100000);
	const char *answer = ask(f, request);
	if (*answer) /* the connection may end before all is sent */
		assert_int_equal(strncmp(answer, "HTTP/1.1 405 ", 13), 0);
	assert_int_equal(f->asked, 0);
	expect(ASK(f, "GET", "/healthz"), "HTTP/1.1 200 ", "ok\n");
}

static void garbage(void **state)
{
	struct fixture *f = *state;
	static const char *const requests[] = {
		"\r\n\r\n\r\nx\r\n\r\n",
		"GET\r\n\r\n",
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
		"GET /healthz HTTP/9.9\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: -1\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
	};
	static char long_head[20000] = "GET /";

	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		int fd = dial(f);
		say(fd, requests[i]);
		shutdown(fd, SHUT_WR);
		assert_null(strstr(hear(f, fd), "200 OK"));
	}
	memset(long_head + 5, 'a', sizeof(long_head) - 6);
	assert_null(strstr(ask(f, long_head), "200 OK"));
	expect(ASK(f, "GET", "/healthz"), "HTTP/1.1 200 ", "ok\n");
}

/* One that never ends its request, and one that hangs up at once: nobody waits for them. */
static void slow_clients(void **state)
{
	struct fixture *f = *state;
	int slow = dial(f), gone = dial(f);

	say(slow, "GET /heal");
	say(gone, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
	close(gone);
	for (int i = 0; i < 5; i++)
		expect(ASK(f, "GET", "/healthz"), "HTTP/1.1 200 ", "ok\n");
	say(slow, "thz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	expect(hear(f, slow), "HTTP/1.1 200 ", "ok\n");
}

/* ---- crowds ---- */

#define CROWD 1500
#define PROBES 20

struct crowd {
	const char *words; /* what each says, and then no more; it reads what it is answered */
	int fds[CROWD];
	unsigned cut;
};

static void crowd_join(struct fixture *f, struct crowd *crowd, size_t i)
{
	const struct linger none = {.l_onoff = 1}; /* hundreds of thousands of them leave no state in the kernel */

	crowd->fds[i] = dial(f);
	(void)setsockopt(crowd->fds[i], SOL_SOCKET, SO_LINGER, &none, sizeof(none));
	if (*crowd->words)
		(void)!send(crowd->fds[i], crowd->words, strlen(crowd->words), MSG_NOSIGNAL);
}

/* Who has been cut comes again at once. */
static void crowd_renew(struct fixture *f, struct crowd *crowd)
{
	char scrap[512];

	for (size_t i = 0; i < CROWD; i++) {
		ssize_t got = recv(crowd->fds[i], scrap, sizeof(scrap), MSG_DONTWAIT);
		if (got > 0 || (got < 0 && errno == EAGAIN))
			continue;
		close(crowd->fds[i]);
		crowd_join(f, crowd, i);
		crowd->cut++;
	}
}

static void crowd_gather(struct fixture *f, struct crowd *crowd)
{
	for (size_t i = 0; i < CROWD; i++) {
		crowd_join(f, crowd, i);
		if (i % 50 == 0)
			turn(f);
	}
}

static double elapsed(const struct timespec *since)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(now.tv_sec - since->tv_sec) + (double)(now.tv_nsec - since->tv_nsec) / 1e9;
}

/* Probes come while the crowd is there and comes again; returns the longest time that one took, in seconds. */
static double probe_amid(struct fixture *f, const char *words)
{
	static struct crowd crowd;
	double longest = 0;

	crowd = (struct crowd){.words = words};
	crowd_gather(f, &crowd);
	for (int i = 0; i < PROBES; i++) {
		struct timespec begun;
		crowd_renew(f, &crowd);
		clock_gettime(CLOCK_MONOTONIC, &begun);
		expect(ASK(f, "GET", "/healthz"), "HTTP/1.1 200 ", "ok\n");
		longest = elapsed(&begun) > longest ? elapsed(&begun) : longest;
		assert_true(f->health->clients.n <= CLIENTS);
	}
	assert_true(crowd.cut > 5 * CROWD);
	for (size_t i = 0; i < CROWD; i++)
		close(crowd.fds[i]);
	for (time_t end = seconds() + 20; f->health->clients.n;) {
		turn(f);
		assert_true(seconds() < end);
	}
	print_message("%d probes beside %u connections: %.1f ms at most\n", PROBES, crowd.cut + CROWD, 1e3 * longest);
	return longest;
}

static void crowds(void **state)
{
	static const char *const words[] = {
		"", "GET /heal", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345",
		"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", /* idle from then on */
	};
	struct fixture *f = *state;
	struct health_counters counters;

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		(void)probe_amid(f, words[i]);
	health_count(f->health, &counters);
	assert_true(counters.crowded > 20ul * CROWD);
	assert_int_equal(counters.slow, 0);
}

/* A crowd that has never asked for anything does not end the connection of one that has. */
static void crowd_and_one_that_stays(void **state)
{
	static struct crowd crowd = {.words = "GET"};
	struct fixture *f = *state;
	int kept = dial(f);
	char answer[512] = "";

	say(kept, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
	for (time_t end = seconds() + 20; recv(kept, answer, sizeof(answer) - 1, MSG_DONTWAIT) < 0;) {
		turn(f);
		assert_true(seconds() < end);
	}
	expect(answer, "HTTP/1.1 200 ", "ok\n");
	crowd_gather(f, &crowd);
	say(kept, "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	expect(hear(f, kept), "HTTP/1.1 200 ", "ok\n");
	for (size_t i = 0; i < CROWD; i++)
		close(crowd.fds[i]);
}

/* A byte now and then does not keep a connection for ever, which libmicrohttpd's own limit would allow. */
static void dripping_clients(void **state)
{
	struct fixture *f = *state;
	struct health_counters counters;
	int fd = dial(f);

	for (unsigned i = 0; i <= SLOW / 1000; i++) {
		(void)!send(fd, "G", 1, MSG_NOSIGNAL);
		turn(f);
		f->ahead += 1000;
	}
	for (time_t end = seconds() + 20; seconds() < end && !f->health->clients.slow;) {
		f->ahead += SWEEP;
		turn(f);
	}
	assert_string_equal(hear(f, fd), "");
	health_count(f->health, &counters);
	assert_int_equal(counters.slow, 1);
	assert_int_equal(counters.clients, 0);
}

static void wrong_addresses(void **state)
{
	struct fixture *f = *state;
	static const char *const wrong[] = {
		"", "9470", "localhost:9470", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:x", "127.0.0.1:65536", "[::1]"};
	struct health *first = f->health;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_int_equal(open_on(f, wrong[i]), -EINVAL);
		assert_string_equal(f->why.key, "listen");
	}
	assert_int_equal(open_on(f, f->listen), -EADDRINUSE);
	assert_non_null(strstr(f->why.text, f->listen));
	assert_int_equal(open_on(f, "192.0.2.1:9470"), -EADDRNOTAVAIL);
	assert_ptr_equal(f->health, first);
	health_close(NULL);
}

static void ipv6(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_in6 at = {
		.sin6_family = AF_INET6, .sin6_port = htons(f->port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};

	health_close(f->health);
	f->health = NULL;
	snprintf(f->listen, sizeof(f->listen), "[::1]:%u", f->port);
	if (open_on(f, f->listen))
		skip(); /* no IPv6 here */
	int fd = socket(AF_INET6, SOCK_STREAM, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	say(fd, "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	expect(hear(f, fd), "HTTP/1.1 200 ", "ok\n");
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	struct rlimit limit; /* the usual soft limit is 1024 descriptors */
	if (!getrlimit(RLIMIT_NOFILE, &limit)) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
	const struct CMUnitTest tests[] = {
		TEST(answers),
		TEST(metrics_are_whole),
		TEST(body_is_refused),
		TEST(garbage),
		TEST(slow_clients),
		TEST(crowds),
		TEST(crowd_and_one_that_stays),
		TEST(dripping_clients),
		TEST(wrong_addresses),
		TEST(ipv6),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
