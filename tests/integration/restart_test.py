"""What was stored survives: a polite restart, and SIGKILL in the middle of fills and hits (P-7; issue: what it must show, 5)."""
import glob
import os
import random
import threading
import time
import unittest

from harness import ProxyTest, Tributary, wait_until
from harness.proxy import is_sanitized

MIB = 1 << 20
SIZES = [0, 1, 100, 4_000, 70_000, 300_000, MIB + 17, 3 * MIB]


class Restart(ProxyTest):
    config = {"accelerate": {"min_size": "2MiB", "piece_size": "1MiB"}}

    def stored(self, proxy, count=24):
        """`count` objects of all sizes, fetched once: [(seed, size, path)]."""
        objects = []
        for i in range(count):
            size, seed = SIZES[i % len(SIZES)], f"{self.seed}-{i}"
            path = self.path(size, cc="max-age=86400", seed=seed)
            self.assert_content(self.get(path, proxy=proxy), seed, size)
            objects.append((seed, size, path))
        return objects

    def assert_all_hit(self, proxy, objects):
        self.origin.reset()
        for seed, size, path in objects:
            reply = self.get(path, proxy=proxy)
            self.assert_content(reply, seed, size)
            self.assert_hit(reply)
        self.assertEqual(self.origin.requests, [])

    def test_everything_hits_after_a_polite_restart(self):
        proxy = self.start_proxy(self.config)
        objects = self.stored(proxy)
        proxy.restart()
        self.assert_all_hit(proxy, objects)

    def test_everything_hits_after_sigkill(self):
        proxy = self.start_proxy(self.config)
        objects = self.stored(proxy)
        time.sleep(1.5)  # what the writer thread may take to commit
        proxy.kill()
        proxy.start()
        self.assertLess(proxy.start_seconds, 5)
        self.assert_all_hit(proxy, objects)

    def test_sigkill_in_the_middle_of_fills_and_hits_leaves_no_wrong_byte(self):
        proxy = self.start_proxy(self.config)
        objects = self.stored(proxy, 16)
        time.sleep(1.5)
        for round_number in range(3):
            stop = threading.Event()
            filling = [(f"{self.seed}-fill-{round_number}-{i}", 2 * MIB) for i in range(6)]

            def busy(i):
                while not stop.is_set():
                    try:
                        if i < len(filling):
                            self.get(self.path(filling[i][1], seed=filling[i][0], rate=2 * MIB), proxy=proxy)
                        else:
                            self.get(random.choice(objects)[2], proxy=proxy)
                    except OSError:
                        return

            threads = [threading.Thread(target=busy, args=(i,), daemon=True) for i in range(10)]
            for thread in threads:
                thread.start()
            time.sleep(0.4 + 0.3 * round_number)
            proxy.kill()
            stop.set()
            for thread in threads:
                thread.join(20)
            proxy.start()
            self.assert_all_hit(proxy, objects)
            for seed, size in filling:  # whole, and right, whatever of them was there
                self.assert_content(self.get(self.path(size, seed=seed, rate=2 * MIB), proxy=proxy), seed, size)

    def test_an_interrupted_download_is_completed_with_right_bytes(self):
        proxy = self.start_proxy(self.config)
        size = 8 * MIB
        path = self.path(size, rate=2 * MIB)
        client = self.client(proxy)
        client.request("GET", self.origin.url(path))
        client.read_exactly(5 * MIB)
        client.close()
        status = proxy.stop()
        self.assertEqual(status, 0, proxy.log()[-2000:])
        proxy.start()
        self.assert_content(self.get(path, proxy=proxy), self.seed, size)

    def test_thousands_of_objects_cost_no_scan_at_the_next_start(self):
        count, batch = 5000, 100
        proxy = self.start_proxy(self.config)
        target = f"/many/{self.seed}"

        async def answer(request, connection):
            name = request.target.partition("?")[2].encode()
            await connection.send(b"HTTP/1.1 200 OK\r\nCache-Control: max-age=86400\r\nContent-Length: %d\r\n\r\n%s" % (len(name), name))
        self.origin.on(target, answer)

        def ask(client, numbers):
            """Pipelined requests; how many of the answers were hits."""
            client.send(b"".join(f"GET {self.origin.url(target)}?{n} HTTP/1.1\r\nHost: x\r\n\r\n".encode() for n in numbers))
            hits = 0
            for n in numbers:
                reply = client.read_response()
                self.assertEqual(reply.body, str(n).encode(), reply)
                hits += "; hit" in self.cache_status(reply)
            return hits

        client = self.client(proxy)
        for first in range(0, count, batch):
            ask(client, range(first, first + batch))
        time.sleep(1.5)
        proxy.kill()
        proxy.start()
        if not is_sanitized():
            self.assertLess(proxy.start_seconds, 1)
        sample = range(0, count, 25)
        self.assertEqual(ask(self.client(proxy), sample), len(sample))

    def test_the_cache_directory_belongs_to_one_process(self):
        proxy = self.start_proxy(self.config)
        second = Tributary({**self.config, "cache": {"directory": proxy.cache_dir}})
        self.addCleanup(second.remove)
        with self.assertRaises(AssertionError) as failed:
            second.start(timeout=10)
        self.assertIn(proxy.cache_dir, str(failed.exception))
        self.get(self.path(100), proxy=proxy)  # and the first goes on

    def test_damaged_pieces_are_fetched_again_while_the_client_waits(self):
        proxy = self.start_proxy(self.config)
        objects = [(f"{self.seed}-{i}", 3 * MIB) for i in range(3)]
        for seed, size in objects:
            self.assert_content(self.get(self.path(size, cc="max-age=86400", seed=seed), proxy=proxy), seed, size)
        time.sleep(1.5)
        proxy.kill()  # after an unclean end every piece is verified when it is first read
        segments = [p for p in glob.glob(proxy.cache_dir + "/**", recursive=True)
                    if os.path.isfile(p) and os.path.getsize(p) >= 2 * MIB and not p.endswith(".mdb")]
        self.assertTrue(segments, os.listdir(proxy.cache_dir))
        for path in segments:
            with open(path, "r+b") as f:
                block = b"\xee" * 4096
                for at in range(0, min(os.path.getsize(path), 64 * MIB), 512 * 1024):
                    f.seek(at + 100)
                    f.write(block)
        proxy.start()
        self.origin.reset()
        for seed, size in objects:  # the client that meets the damage waits for the origin, and sees none of it
            self.assert_content(self.get(self.path(size, cc="max-age=86400", seed=seed), proxy=proxy), seed, size)
        self.assertTrue(self.origin.requests)
        self.origin.reset()
        for seed, size in objects:
            self.assert_content(self.get(self.path(size, cc="max-age=86400", seed=seed), proxy=proxy), seed, size)
        self.assertEqual(self.origin.requests, [])
        wait_until(lambda: proxy.metric("tributary_cache_corrupt_total") > 0, 5, "damage was counted")


if __name__ == "__main__":
    unittest.main()
