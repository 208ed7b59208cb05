"""A mixed load on a proxy that may die at any moment, and what is known of every object afterwards: hits, misses, ranges, split
downloads, clients that leave, purges, and new objects that push out old ones."""
import threading
import time
from random import Random

from .client import Client, Truncated
from .testcase import content

KIB, MIB = 1 << 10, 1 << 20
SIZES = [0, 700, 3_000, 20_000, 60_000, 90_000, 300_000, MIB + 5, 2 * MIB + 300_001]
SEEDS = 24
QUERY = "cc=max-age=86400"


class Load:
    """`test` is a ProxyTest: its origin, and its way to check. The catalogue is fixed, so what was stored once can be asked for
    again in any later round."""

    def __init__(self, test, proxy, random, clients=6, copies=1):
        self.test, self.proxy, self.random, self.clients = test, proxy, random, clients
        self.catalogue = [(f"{test.seed}-{i % SEEDS}", size) for i in range(SEEDS) for size in SIZES[i % 3::3]]
        self.catalogue += [(seed, size + 1000 * copy) for seed, size in self.catalogue for copy in range(1, copies)]
        self.stored, self.purged = {}, {}  # object -> when the proxy was done with it
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self.requests = 0
        self.problems = []

    def url(self, entry):
        seed, size = entry
        return self.test.origin.url(f"/bytes/{size}/{seed}?{QUERY}")

    def run(self, seconds):
        """Load for so long; it is still at work when this returns. `finish` ends it."""
        self._stop.clear()
        seeds = [self.random.getrandbits(32) for _ in range(self.clients)]
        threads = [threading.Thread(target=self._client, args=(seed,), daemon=True) for seed in seeds]
        for thread in threads:
            thread.start()
        time.sleep(seconds)  # the point at which it dies: any
        return threads

    def finish(self, threads):
        self._stop.set()
        for thread in threads:
            thread.join(30)
        if self.problems:
            raise AssertionError(self.problems[0])

    def _client(self, seed):
        choose = Random(seed)
        client = None
        try:
            client = Client((self.proxy.host, self.proxy.port), timeout=10)
            while not self._stop.is_set():
                entry = choose.choice(self.catalogue)
                what = choose.random()
                if what < 0.04 and entry[1] > 100_000:
                    client.request("GET", self.url(entry))  # and leaves in the middle
                    client.read_head()
                    client.read_exactly(50_000)
                    client.close()
                    client = Client((self.proxy.host, self.proxy.port), timeout=10)
                elif what < 0.08:
                    self._purge(client, entry)
                elif what < 0.2 and entry[1] > 1000:
                    self._range(client, entry, choose)
                else:
                    self._get(client, entry)
        except (OSError, Truncated):
            pass  # it died
        except BaseException as error:
            self.problems.append(error)
        finally:
            if client:
                client.close()

    def _get(self, client, entry):
        seed, size = entry
        reply = client.exchange("GET", self.url(entry))
        if not reply.complete:
            if reply.body and reply.body != content(seed, 0, len(reply.body)):
                raise AssertionError(f"a wrong byte of {entry} before the end: {reply}")
            raise OSError
        if reply.status in (200, 206):
            if reply.body != content(seed, 0, size):
                raise AssertionError(f"a wrong byte of {entry}: {reply}")
            with self._lock:
                self.requests += 1
                if "stored" in self.test.cache_status(reply) or "hit" in self.test.cache_status(reply):
                    self.stored.setdefault(entry, time.monotonic())
                    self.purged.pop(entry, None)

    def _range(self, client, entry, choose):
        seed, size = entry
        first = choose.randrange(size - 1)
        last = min(size, first + choose.randrange(1, 200_000))
        reply = client.exchange("GET", self.url(entry), {"Range": f"bytes={first}-{last - 1}"})
        if not reply.complete:
            raise OSError
        if reply.status == 206 and reply.body != content(seed, first, last):
            raise AssertionError(f"a wrong byte in [{first}, {last}) of {entry}: {reply}")
        self.requests += 1

    def _purge(self, client, entry):
        with self._lock:
            self.stored.pop(entry, None)
            self.purged.pop(entry, None)
        reply = client.exchange("PURGE", self.url(entry))
        if reply.complete and reply.status in (200, 404):
            with self._lock:
                self.stored.pop(entry, None)  # another client may have had it stored in between, or since: nothing is known
        elif not reply.complete:
            raise OSError

    def check(self, killed_at, none_may_be_lost, at_most=100):
        """Every object (at most so many) is asked for again: no byte is wrong, and what was stored a second before the end is a
        hit. How many were."""
        test = self.test
        client = test.client(self.proxy)
        hits = 0
        for entry in self.random.sample(self.catalogue, min(at_most, len(self.catalogue))):
            seed, size = entry
            reply = client.exchange("GET", self.url(entry))
            if not reply.complete:
                raise AssertionError(f"{entry} is not whole after the restart: {reply}\n{self.proxy.log()[-3000:]}")
            test.assertEqual(reply.status, 200, reply)
            if reply.body != content(seed, 0, size):
                raise AssertionError(f"a wrong byte of {entry} after the restart: {reply}")
            is_hit = "hit" in test.cache_status(reply).replace(" ", "").split(";")
            hits += is_hit
            if none_may_be_lost and not is_hit and self.stored.get(entry, killed_at) < killed_at - 1:
                raise AssertionError(f"{entry} was stored {killed_at - self.stored[entry]:.1f} s before the end, and is lost: {reply}\n"
                                     f"{self.proxy.log()[-3000:]}")
            self.stored.setdefault(entry, time.monotonic())
        client.close()
        return hits
