"""Signals: TERM drains, a second one stops at once, USR1 reopens the logs (S0-4.1, S0-4.5)."""
import os
import signal
import threading
import time
import unittest

from harness import ProxyTest, Tributary, wait_until


class Signals(ProxyTest):
    def proxy_of_its_own(self, config=None):
        proxy = Tributary(config)
        self.addCleanup(proxy.remove)
        self.addCleanup(proxy.kill)
        return proxy.start()

    def test_term_lets_what_runs_finish_and_accepts_no_more(self):
        proxy = self.proxy_of_its_own()
        size = 1 << 20
        path = self.path(size, cc="no-store", rate=size)  # a second
        replies = []
        running = threading.Thread(target=lambda: replies.append(self.get(path, proxy=proxy)), daemon=True)
        running.start()
        wait_until(lambda: self.seen(path), 5, "the request is on its way")
        proxy.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        with self.assertRaises(OSError):
            self.client(proxy, timeout=1)
        running.join(20)
        self.assert_content(replies[0], self.seed, size)
        self.assertEqual(proxy.process.wait(10), 0)
        proxy.process = None

    def test_term_ends_an_idle_proxy_at_once(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            proxy = self.proxy_of_its_own()
            client = self.client(proxy)
            client.exchange("GET", self.origin.url(self.path(10)))  # a kept, idle connection does not hold it up
            started = time.monotonic()
            proxy.process.send_signal(number)
            self.assertEqual(proxy.process.wait(10), 0, proxy.log()[-3000:])
            self.assertLess(time.monotonic() - started, 3)
            proxy.process = None

    def test_a_second_term_stops_at_once(self):
        proxy = self.proxy_of_its_own({"server": {"drain_timeout": "60s"}})
        client = self.client(proxy)
        client.request("GET", self.origin.url(self.path(1 << 20, rate=10_000)))
        client.read_head()
        proxy.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        self.assertIsNone(proxy.process.poll())
        started = time.monotonic()
        proxy.process.send_signal(signal.SIGTERM)
        proxy.process.wait(10)
        self.assertLess(time.monotonic() - started, 3)
        proxy.process = None

    def test_draining_ends_after_drain_timeout(self):
        proxy = self.proxy_of_its_own({"server": {"drain_timeout": "1s"}})
        client = self.client(proxy)
        client.request("GET", self.origin.url(self.path(1 << 20, rate=10_000)))
        client.read_head()
        started = time.monotonic()
        proxy.process.send_signal(signal.SIGTERM)
        proxy.process.wait(10)
        self.assertLess(time.monotonic() - started, 4)
        proxy.process = None
        self.assertFalse(client.read_response().complete)

    def test_usr1_reopens_the_logs(self):
        proxy = self.proxy_of_its_own()
        self.get(self.path(10), proxy=proxy)
        wait_until(lambda: os.path.getsize(proxy.access_log_path), 5, "the first line")
        os.rename(proxy.access_log_path, proxy.access_log_path + ".1")
        proxy.process.send_signal(signal.SIGUSR1)
        wait_until(lambda: os.path.exists(proxy.access_log_path), 5, "the new file")
        self.get(self.path(10), proxy=proxy)
        wait_until(lambda: os.path.getsize(proxy.access_log_path), 5, "a line in it")


if __name__ == "__main__":
    unittest.main()
