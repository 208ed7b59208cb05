"""Limits hold, everybody gets a turn, and clients that go away leave nothing (S0-1.13, S3-2.*)."""
import json
import random
import time
import unittest

from harness import DnsServer, Nginx, ProxyTest, wait_until
from harness.proxy import is_sanitized


class PerHost(ProxyTest):
    config = {"upstream": {"max_connections_per_host": 4}, "timeout": {"acquire": "20s"}, "accelerate": {"enabled": False}}

    def test_an_origin_never_sees_more_than_its_limit_and_everybody_is_served(self):
        replies = self.at_once(40, lambda i: self.get(self.path(2000, cc="no-store", seed=f"{self.seed}{i}", delay=0.05)))
        for i, reply in enumerate(replies):
            self.assert_content(reply, f"{self.seed}{i}", 2000)
        self.assertLessEqual(self.origin.peak_connections, 4)


class Reuse(ProxyTest):
    """S0-1.14: no handshake when a usable connection exists."""
    config = {"server": {"workers": 1}, "cache": {"enabled": False}}

    def test_ten_thousand_requests_to_ten_hosts_share_ten_connections(self):
        hosts = [f"127.0.0.{i}" for i in range(2, 12)]
        origin = Nginx(extra="".join(f"listen {host}:PORT; " for host in hosts))
        origin.extra = origin.extra.replace("PORT", str(origin.port))
        origin.start()
        self.addCleanup(origin.stop)
        origin.put("small", b"x" * 100)
        client, requests = self.client(), 2000 if is_sanitized() else 10_000
        for i in range(requests):
            reply = client.exchange("GET", f"http://{hosts[i % 10]}:{origin.port}/small")
            self.assertEqual((reply.status, reply.body), (200, b"x" * 100))
        self.assertEqual(self.proxy.metric("tributary_upstream_connects_total", protocol="http", result="ok"), 10)
        self.assertEqual(self.proxy.metric("tributary_upstream_reuse_total"), requests - 10)


class Threads(ProxyTest):
    """S1-11: concurrency costs connections, not threads."""
    config = {"cache": {"enabled": False}}

    def test_two_hundred_transfers_at_once_add_no_thread(self):
        self.get(self.path(10))
        before = self.proxy.threads()
        most = 0

        def fetch(i):
            nonlocal most
            reply = self.get(self.path(50_000, seed=f"{self.seed}{i}", delay=0.5))
            most = max(most, self.proxy.threads())
            return reply
        for i, reply in enumerate(self.at_once(200, fetch)):
            self.assert_content(reply, f"{self.seed}{i}", 50_000)
        self.assertEqual(most, before)


class Acquire(ProxyTest):
    config = {"upstream": {"max_connections_per_host": 1}, "timeout": {"acquire": "500ms"}, "accelerate": {"enabled": False}}

    def test_waiting_for_a_connection_ends_with_503_and_retry_after(self):
        slow = self.client()
        slow.request("GET", self.origin.url(self.path(10, cc="no-store", delay=2, seed=self.seed + "-slow")))
        wait_until(lambda: self.origin.requests, 5, "the slow request is on its way")
        reply = self.get(self.path(10, cc="no-store"))
        self.assertEqual(reply.status, 503, reply)
        self.assertIsNotNone(reply.field("retry-after"))
        self.assertIn("connection_limit_reached", reply.field("proxy-status", ""))
        self.assert_content(slow.read_response(), self.seed + "-slow", 10)


class Connections(ProxyTest):
    config = {"server": {"max_connections": 20, "workers": 1}}

    def test_beyond_max_connections_clients_are_turned_away_until_others_leave(self):
        clients = []
        for _ in range(20):
            client = self.client()
            self.assertEqual(client.exchange("GET", self.origin.url(self.path(10))).status, 200)
            clients.append(client)
        extra = self.client(timeout=5)
        try:
            extra.request("GET", self.origin.url(self.path(10)))
            reply = extra.read_response()
            self.assertIn(reply.status, (0, 503), reply)
        except OSError:
            pass
        for client in clients:
            client.close()
        wait_until(lambda: self.proxy.metric("tributary_client_connections") == 0, 10, "all have left")
        self.assertEqual(self.get(self.path(10)).status, 200)


class RequestsPerConnection(ProxyTest):
    config = {"limit": {"requests_per_connection": 3}}

    def test_a_connection_is_closed_after_its_share(self):
        client = self.client()
        for i in range(3):
            reply = client.exchange("GET", self.origin.url(self.path(10)))
            self.assertEqual(reply.status, 200)
        self.assertEqual(reply.field("connection", "").lower(), "close")
        self.assertTrue(client.at_end())


class BlackHole(ProxyTest):
    @classmethod
    def setUpClass(cls):
        cls.dns = DnsServer({f"silent{i}.test": "silent" for i in range(50)})
        cls.addClassCleanup(cls.dns.stop)
        cls.config = {"server": {"workers": 1}, "dns": {"servers": [cls.dns.address]}, "timeout": {"dns": "3s"}}
        super().setUpClass()

    def test_a_silent_name_server_holds_up_nobody_else(self):
        # S0-H3: look-ups that never end stay with those who asked for them.
        waiting = []
        for i in range(50):
            client = self.client()
            client.request("GET", f"http://silent{i}.test/")
            waiting.append(client)
        wait_until(lambda: self.dns.asked("silent49.test"), 5, "the look-ups are under way")
        started = time.monotonic()
        client = self.client()
        for i in range(100):
            path = self.path(1000, cc="no-store", seed=f"{self.seed}{i}")
            self.assert_content(client.exchange("GET", self.origin.url(path)), f"{self.seed}{i}", 1000)
        self.assertLess(time.monotonic() - started, 2.5)
        self.assertEqual(waiting[0].read_response().status, 504)


class Aborts(ProxyTest):
    config = {"accelerate": {"min_size": "2MiB", "piece_size": "1MiB"}, "timeout": {"read": "5s", "header": "5s", "idle": "5s"}}

    def test_clients_that_leave_at_any_moment_leave_nothing_behind(self):
        generator = random.Random(7)
        sizes = (100, 60_000, 300_000, 4 << 20)

        def leave(i):
            for n in range(12):
                size = sizes[(i + n) % 4]
                client = self.client()
                data = f"GET {self.origin.url(self.path(size, seed=f'{self.seed}{i % 3}', rate=2 << 20))} HTTP/1.1\r\nHost: x\r\n\r\n"
                client.send(data[:generator.randrange(1, len(data) * 3)].encode())
                client.socket.settimeout(generator.random() * 0.1 + 0.001)
                try:
                    client.socket.recv(generator.randrange(1, 100_000))
                except OSError:
                    pass
                client.close()

        self.at_once(10, leave)
        wait_until(lambda: self.proxy.metric("tributary_client_connections") == 0, 20, "no client connection")
        wait_until(lambda: self.proxy.metric("tributary_downloads") == 0, 30, "no download")
        wait_until(lambda: self.proxy.metric("tributary_upstream_connections", state="active") == 0, 20, "no active origin connection")
        for i in range(3):
            for size in sizes:
                self.assert_content(self.get(self.path(size, seed=f"{self.seed}{i}")), f"{self.seed}{i}", size)

    def test_a_client_that_stops_reading_is_let_go(self):
        client = self.client(receive_buffer=4096)
        client.request("GET", self.origin.url(self.path(8 << 20, seed=self.seed)))
        client.read_head()
        wait_until(lambda: self.proxy.metric("tributary_client_connections") == 0, 30, "the slow reader is gone")


class Eviction(ProxyTest):
    config = {"cache": {"size": "64MiB", "memory": "4MiB"}, "accelerate": {"enabled": False}}

    def test_the_store_stays_under_its_size_and_keeps_serving_right_bytes(self):
        size = 1_400_000
        popular = self.path(size, seed=self.seed + "-popular")
        for i in range(100):
            self.assert_content(self.get(self.path(size, seed=f"{self.seed}{i}")), f"{self.seed}{i}", size)
            if i % 4 == 0:
                self.assert_content(self.get(popular), self.seed + "-popular", size)
        wait_until(lambda: self.proxy.metric("tributary_cache_bytes") <= 64 << 20, 10, "the store is under its size")
        self.assertGreater(self.proxy.metric("tributary_cache_evictions_total"), 0)
        self.assertLess(len(self.seen(popular)), 8, "an object in use was thrown out by a scan")
        for i in range(0, 100, 7):
            self.assert_content(self.get(self.path(size, seed=f"{self.seed}{i}")), f"{self.seed}{i}", size)

    def test_an_object_larger_than_may_be_stored_passes(self):
        size = 72 << 20
        path = self.path(size)
        self.assert_content(self.get(path), self.seed, size)
        self.assert_content(self.get(path), self.seed, size)
        self.assertLessEqual(self.proxy.metric("tributary_cache_bytes"), 64 << 20)


class Full(ProxyTest):
    config = {"cache": {"max_object": "100KiB"}}

    def test_max_object_is_kept(self):
        path = self.path(200_000)
        for _ in range(2):
            self.assert_content(self.get(path), self.seed, 200_000)
        self.assertEqual(len(self.seen(path)), 2)

    def test_the_limit_is_exact_however_the_length_is_told_and_what_is_larger_streams(self):
        """S3-9.3"""
        limit = 100 << 10
        for told in ({}, {"chunked": 1}):
            for size in (limit - 1, limit, limit + 1, 20 * limit):
                with self.subTest(told, size=size):
                    seed = f"{self.seed}{len(told)}{size}"
                    path = self.path(size, seed=seed, **told)
                    self.assert_content(self.get(path), seed, size)
                    wait_until(lambda: json.loads(self.proxy.admin("/api/v1/cache")[2])["fills"] == 0, what="the end of the fill")
                    self.assert_content(self.get(path), seed, size)
                    self.assertEqual(len(self.seen(path)), 1 if size <= limit else 2)


class CacheOff(ProxyTest):
    config = {"cache": {"enabled": False}}

    def test_without_a_cache_everything_is_fetched(self):
        path = self.path(5000)
        for _ in range(2):
            reply = self.get(path)
            self.assert_content(reply, self.seed, 5000)
            self.assert_not_hit(reply)
        self.assertEqual(len(self.seen(path)), 2)


if __name__ == "__main__":
    unittest.main()
