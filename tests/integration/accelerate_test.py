"""A large download is split into ranges over several connections and arrives as one exact answer (P-6, S0-1.12)."""
import hashlib
import os
import re
import threading
import time
import unittest

from harness import Nginx, ProxyTest, sha256, wait_until
from harness.proxy import is_sanitized

MIB = 1 << 20


class Acceleration(ProxyTest):
    config = {"accelerate": {"min_size": "2MiB", "piece_size": "1MiB"}}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.nginx = Nginx(pace=2 * MIB)
        cls.addClassCleanup(cls.nginx.stop)
        cls.nginx.start()
        cls.data = os.urandom(24 * MIB)

    def test_a_paced_nginx_is_asked_over_several_connections_and_the_second_fetch_touches_it_not_at_all(self):
        self.nginx.put("large.bin", self.data)
        started = time.monotonic()
        first = self.get(self.nginx.url("/large.bin"))
        seconds = time.monotonic() - started
        self.assertTrue(first.complete, first)
        self.assertEqual(hashlib.sha256(first.body).digest(), hashlib.sha256(self.data).digest())
        self.assertEqual(first.field("content-length"), str(len(self.data)))
        rows = wait_until(lambda: self.nginx.log("/large.bin"), 10, "nginx wrote its log")
        time.sleep(0.2)
        rows = self.nginx.log("/large.bin")
        self.assertGreater(len({row[4] for row in rows}), 3, "connections")
        self.assertLess(seconds, 9, "one connection alone takes 12 s")
        # What lay in socket buffers when a connection was taken its tail away counts in nginx's log too.
        self.assertLess(sum(row[3] for row in rows), len(self.data) + 12 * MIB)

        second = self.get(self.nginx.url("/large.bin"))
        self.assertTrue(second.complete)
        self.assertEqual(second.body, self.data)
        self.assert_hit(second)
        self.assertEqual(len(self.nginx.log("/large.bin")), len(rows), "the second fetch reached the origin")

    def test_a_small_object_costs_exactly_one_plain_request(self):
        path = self.path(1 * MIB)
        self.assert_content(self.get(path), self.seed, MIB)
        requests = self.seen(path)
        self.assertEqual(len(requests), 1)
        self.assertIsNone(requests[0].field("range"))

    def test_the_first_request_goes_out_as_the_client_wrote_it_and_the_others_carry_if_range(self):
        path = self.path(12 * MIB, rate=2 * MIB)
        self.assert_content(self.get(path), self.seed, 12 * MIB)
        requests = self.seen(path)
        self.assertIsNone(requests[0].field("range"))
        self.assertGreater(len(requests), 1)
        for request in requests[1:]:
            self.assertRegex(request.field("range", ""), r"^bytes=\d+-\d+$")
            self.assertEqual(request.field("if-range"), f'"{12 * MIB}-{self.seed}"')

    def test_no_byte_is_asked_for_much_more_than_once(self):
        path = self.path(12 * MIB, rate=2 * MIB)
        self.assert_content(self.get(path), self.seed, 12 * MIB)
        self.assertLess(self.origin.bytes_sent(path.partition("?")[0]), 12 * MIB + 8 * MIB)

    def test_an_object_without_a_strong_validator_is_not_split(self):
        for validator in ({"etag": "weak", "lm": "none"}, {"etag": "none", "lm": "none"}):
            path = self.path(4 * MIB, seed=f"{self.seed}-{validator['etag']}", rate=4 * MIB, **validator)
            reply = self.get(path)
            self.assertTrue(reply.complete, reply)
            self.assertEqual(len(self.seen(path)), 1, validator)

    def test_a_range_of_a_large_cold_object_is_right_wherever_it_lies(self):
        size = 8 * MIB
        for first, last in ((0, MIB), (5 * MIB - 7, 6 * MIB + 3), (size - 100_001, size)):
            path = self.path(size, seed=f"{self.seed}-{first}", rate=4 * MIB)
            reply = self.get(path, {"Range": f"bytes={first}-{last - 1}"})
            self.assertEqual(reply.status, 206, reply)
            self.assertEqual(reply.field("content-range"), f"bytes {first}-{last - 1}/{size}")
            self.assert_content(reply, f"{self.seed}-{first}", last - first, first)

    def test_a_download_that_may_not_be_stored_is_split_too_and_not_stored(self):
        path = self.path(8 * MIB, cc="no-store", rate=2 * MIB)
        self.assert_content(self.get(path), self.seed, 8 * MIB)
        before = len(self.seen(path))
        self.assert_content(self.get(path), self.seed, 8 * MIB)
        self.assertGreater(len(self.seen(path)), before)

    def test_a_slow_reader_neither_slows_a_second_client_nor_grows_memory(self):
        size = 48 * MIB
        path = self.path(size)
        slow = self.client(receive_buffer=65536)
        slow.request("GET", self.origin.url(path))
        head = slow.read_head()
        self.assertEqual(head.status, 200)
        done = threading.Event()
        digest, count = hashlib.sha256(), 0

        def trickle():
            nonlocal count
            while count < size:
                data = slow.buffer or slow.socket.recv(65536)
                slow.buffer = b""
                if not data:
                    break
                digest.update(data)
                count += len(data)
                if not done.is_set():
                    time.sleep(0.05)

        reader = threading.Thread(target=trickle, daemon=True)
        reader.start()
        started = time.monotonic()
        self.assert_content(self.get(path), self.seed, size)
        self.assertLess(time.monotonic() - started, 15)
        self.assertLess(count, size, "the slow client was not slow")
        if not is_sanitized():
            self.assertLess(self.proxy.memory()[1], 100 * MIB)
        done.set()
        reader.join(60)
        self.assertEqual(count, size)
        self.assertEqual(digest.hexdigest(), sha256(self.seed, size))


class ConnectionLimit(ProxyTest):
    config = {"accelerate": {"min_size": "2MiB", "piece_size": "512KiB", "max_connections": 4}}

    def test_a_download_never_has_more_connections_than_max_connections(self):
        path = self.path(16 * MIB, rate=2 * MIB)
        self.assert_content(self.get(path), self.seed, 16 * MIB)
        self.assertGreater(self.origin.peak_connections, 1)
        self.assertLessEqual(self.origin.peak_connections, 4)


class Memory(ProxyTest):
    def test_what_paid_at_an_origin_is_remembered_over_a_restart(self):
        proxy = self.start_proxy({"accelerate": {"min_size": "2MiB", "piece_size": "512KiB"}})
        file = os.path.join(proxy.cache_dir, "origins")
        path = self.path(16 * MIB, rate=2 * MIB)
        self.assert_content(self.get(path, proxy=proxy), self.seed, 16 * MIB)
        proxy.stop()
        with open(file) as f:
            found = f.read()
        self.assertRegex(found, rf"^([2-9]|1[0-6]) {re.escape(self.origin.url(''))}\n$")
        self.assertEqual(os.stat(file).st_mode & 0o777, 0o600)

        with open(file, "a") as f:
            f.write("nonsense\n")
        proxy.start()
        self.assertIn("1 lines are not understood", proxy.log())
        path = self.path(16 * MIB, rate=2 * MIB, seed=self.seed + "2")
        self.assert_content(self.get(path, proxy=proxy), self.seed + "2", 16 * MIB)
        proxy.stop()
        with open(file) as f:
            self.assertRegex(f.read(), re.escape(self.origin.url("")))


class Disabled(ProxyTest):
    config = {"accelerate": {"enabled": False}}

    def test_without_acceleration_a_download_is_one_request(self):
        path = self.path(16 * MIB, rate=32 * MIB)
        self.assert_content(self.get(path), self.seed, 16 * MIB)
        self.assertEqual(len(self.seen(path)), 1)


if __name__ == "__main__":
    unittest.main()
