"""The base of the integration tests: a scripted origin and a proxy in front of it, shared by the tests of a class."""
import os
import sys
import threading
import unittest
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../origin"))
from origin import Close, Origin, Reset, content, sha256  # noqa: E402

from .client import Client
from .proxy import Tributary

REPORTS = ("AddressSanitizer", "LeakSanitizer", "ThreadSanitizer", "runtime error:", "Assertion")


class ProxyTest(unittest.TestCase):
    config = {}

    @classmethod
    def setUpClass(cls):
        cls.origin = Origin().start()
        cls.addClassCleanup(cls.origin.stop)
        cls.proxy = cls.start_proxy(cls.config)

    @classmethod
    def start_proxy(cls, config=None, **options):
        """A further proxy, stopped and checked when the class is done."""
        proxy = Tributary(config, **options)
        cls.addClassCleanup(cls._finish, proxy)
        return proxy.start()

    @classmethod
    def _finish(cls, proxy):
        try:
            status = proxy.stop()
            log = proxy.log()
            for report in REPORTS:
                if report in log:
                    at = log.index(report)
                    raise AssertionError(f"{report} in the log:\n{log[max(0, at - 500):at + 6000]}")
            if status not in (None, 0):
                raise AssertionError(f"the proxy ended with status {status}:\n{log[-4000:]}")
        finally:
            proxy.kill()
            proxy.remove()

    def setUp(self):
        self.seed = self._testMethodName.removeprefix("test_")

    def path(self, size, cc="max-age=600", seed=None, **query):
        """A path of the scripted origin: `size` bytes of this test's own seed (tests/origin/origin.py has the queries)."""
        query = {**({"cc": cc} if cc else {}), **query}
        return f"/bytes/{size}/{seed or self.seed}" + ("?" + urllib.parse.urlencode(query) if query else "")

    def seen(self, path):
        """What arrived at the origin for this path."""
        return self.origin.seen(path.partition("?")[0])

    def client(self, proxy=None, **options):
        """A connection to the proxy, closed with the test."""
        proxy = proxy or self.proxy
        client = Client((proxy.host, proxy.port), **options)
        self.addCleanup(client.close)
        return client

    def fetch(self, method, url, fields=(), body=b"", proxy=None, **options):
        """One request on a connection of its own. `url` may be a path of the scripted origin."""
        client = self.client(proxy, **options)
        response = client.exchange(method, url if "://" in url else self.origin.url(url), fields, body)
        client.close()
        return response

    def get(self, url, fields=(), **options):
        return self.fetch("GET", url, fields, **options)

    def assert_content(self, response, seed, size, first=0):
        """The response is whole, and its body is [first, first + size) of the seed's content."""
        self.assertTrue(response.complete, response)
        self.assertEqual(len(response.body), size, response)
        if response.body != content(seed, first, first + size):
            wrong = next(i for i in range(size) if response.body[i] != content(seed, first + i, first + i + 1)[0])
            self.fail(f"wrong byte at {first + wrong} of {response}")

    def assert_right_or_aborted(self, response, seed, size):
        """What may happen when the origin fails: all the right bytes, or an end that the client can see."""
        if response.complete and response.status in (200, 206):
            self.assert_content(response, seed, size)
            return "right"
        if not response.complete:
            if response.body:
                self.assertEqual(response.body, content(seed, 0, len(response.body)), "a wrong byte before the abort")
            return "aborted"
        self.assertGreaterEqual(response.status, 500, response)
        return "refused"

    def at_once(self, count, action):
        """Run action(i) in `count` threads, started together; their results in order."""
        results, errors = [None] * count, []
        barrier = threading.Barrier(count)

        def run(i):
            try:
                barrier.wait(30)
                results[i] = action(i)
            except BaseException as error:  # reported by the test's own thread
                errors.append(error)

        threads = [threading.Thread(target=run, args=(i,), daemon=True) for i in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        if errors:
            raise errors[0]
        if any(thread.is_alive() for thread in threads):
            raise AssertionError("a client did not finish within 120 s")
        return results

    def cache_status(self, response):
        return response.field("cache-status", "")

    def assert_hit(self, response):
        self.assertIn("hit", self.cache_status(response).replace(" ", "").split(";"), response)

    def assert_not_hit(self, response):
        self.assertNotIn("hit", self.cache_status(response).replace(" ", "").split(";"), response)
