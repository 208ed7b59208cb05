"""A mixed load on a proxy that may die at any moment, and what is known of every object afterwards: hits, misses, ranges, split
downloads, clients that leave, purges, and new objects that push out old ones.

What was committed is seen, not guessed from a clock, which a slow disk would prove wrong: the admin API lists what the index
holds. So of what was listed nothing may be lost, nor of what was stored a second before the newest that was listed.
"""
import http.client
import json
import threading
import time
from random import Random

from .client import Client, Truncated
from .proxy import wait_until
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
        self.entries = {self.url(entry): entry for entry in self.catalogue}
        self.stored = {}  # object -> when it was first served as stored
        self.committed = set()  # objects that the index has listed
        self.newest = 0.0  # when the newest of them was stored
        self.purging, self.purged = {}, {}  # object -> how many purges are under way, and when the last was over
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self.requests = 0
        self.proven = 0  # hits on what had been committed
        self.problems = []

    def url(self, entry):
        seed, size = entry
        return self.test.origin.url(f"/bytes/{size}/{seed}?{QUERY}")

    def run(self, seconds, until_committed=False):
        """Load for so long, or until something of it was committed; it is still at work when this returns. `finish` ends it."""
        self._stop.clear()
        self.purging.clear()
        seeds = [self.random.getrandbits(32) for _ in range(self.clients)]
        threads = [threading.Thread(target=self._client, args=(seed,), daemon=True) for seed in seeds]
        threads.append(threading.Thread(target=self._watch, daemon=True))
        for thread in threads:
            thread.start()
        time.sleep(seconds)  # the point at which it dies: any
        if until_committed:
            wait_until(lambda: self.committed or self.problems, 60, "a commit")
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

    def _watch(self):
        try:
            while not self._stop.wait(0.02):
                asked = time.monotonic()
                listed, cursor = [], ""
                while cursor is not None:
                    status, _, body = self.proxy.admin(f"/api/v1/cache/objects?limit=1000&cursor={cursor}")
                    page = json.loads(body)
                    listed += [each["url"] for each in page["objects"] if each.get("present", each["length"]) == each["length"]]
                    cursor = page["cursor"]
                with self._lock:
                    for entry in {self.entries[url] for url in listed} - self.committed:
                        if self._is_certain(entry, asked):
                            self.committed.add(entry)
                            self.newest = max(self.newest, self.stored.get(entry, 0.0))
        except (OSError, http.client.HTTPException):
            pass  # it died
        except BaseException as error:
            self.problems.append(error)

    def _is_certain(self, entry, since):
        """No purge may have come after what was asked for then. Under the lock."""
        return not self.purging.get(entry) and self.purged.get(entry, 0.0) < since

    def _get(self, client, entry):
        seed, size = entry
        asked = time.monotonic()
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
                status = self.test.cache_status(reply)
                if ("stored" in status or "hit" in status) and self._is_certain(entry, asked):
                    self.stored.setdefault(entry, time.monotonic())

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
            self.purging[entry] = self.purging.get(entry, 0) + 1
            self.stored.pop(entry, None)
            self.committed.discard(entry)
        reply = client.exchange("PURGE", self.url(entry))
        if not reply.complete:
            raise OSError
        with self._lock:
            self.purging[entry] -= 1
            self.purged[entry] = time.monotonic()

    def check(self, none_may_be_lost, at_most=100):
        """Every object (at most so many) is asked for again: no byte is wrong, and what was committed is a hit. How many were."""
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
            self.proven += is_hit and entry in self.committed
            if is_hit:
                self.stored.setdefault(entry, time.monotonic())
                continue
            before = self.newest - self.stored.get(entry, self.newest)
            if none_may_be_lost and (entry in self.committed or before > 1):
                was = "was committed" if entry in self.committed else f"was stored {before:.1f} s before the newest that was committed"
                raise AssertionError(f"{entry} {was}, and is lost: {reply}\n{self.proxy.log()[-3000:]}")
            self.committed.discard(entry)
            self.stored[entry] = time.monotonic()  # anew
        client.close()
        return hits
