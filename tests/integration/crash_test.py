"""SIGKILL at random points under mixed load: afterwards no byte is wrong, and nothing that was committed is lost, nor what
was stored a second before it (P-7). TRIBUTARY_ROUNDS says how often; TRIBUTARY_SEED repeats a run. docs/store.md has the long form."""
import os
import random
import time
import unittest

from harness import Load, ProxyTest

ROUNDS = int(os.environ.get("TRIBUTARY_ROUNDS", "12"))
SEED = int(os.environ.get("TRIBUTARY_SEED", "0")) or random.randrange(1, 1 << 30)
MIB = 1 << 20
CONFIG = {"accelerate": {"min_size": "1MiB", "piece_size": "256KiB"}}


class Crash(ProxyTest):
    def survive(self, config, none_may_be_lost, copies=1):
        choose = random.Random(SEED)
        proxy = self.start_proxy({**CONFIG, **config})
        load = Load(self, proxy, choose, copies=copies)
        hits = 0
        started = time.monotonic()
        for round_number in range(ROUNDS):
            with self.subTest(round=round_number, seed=SEED):
                threads = load.run(choose.uniform(0.02, 0.9), until_committed=round_number == ROUNDS - 1)
                proxy.kill()
                load.finish(threads)
                proxy.start()
                hits += load.check(none_may_be_lost)
        metrics = proxy.metrics()
        print(f"{ROUNDS} rounds in {time.monotonic() - started:.0f} s, seed {SEED}: {load.requests} requests under load, {hits} hits after a kill, "
              f"{load.proven} of them on what was known to be committed, "
              f"{metrics['tributary_cache_evictions_total']:.0f} evictions and "
              f"{metrics['tributary_cache_corrupt_total']:.0f} damaged pieces in the last")
        self.assertGreater(hits, ROUNDS)
        self.assertGreater(load.proven, 0)
        return proxy

    def test_nothing_that_was_committed_is_lost(self):
        proxy = self.survive({"cache": {"size": "512MiB"}}, none_may_be_lost=True)
        self.assertEqual(proxy.metric("tributary_cache_evictions_total"), 0)

    def test_no_byte_is_wrong_while_objects_push_each_other_out(self):
        proxy = self.survive({"cache": {"size": "64MiB", "memory": "1MiB", "max_object": "4MiB"}}, none_may_be_lost=False, copies=5)
        self.assertGreater(proxy.metric("tributary_cache_evictions_total"), 0)
        self.assertLessEqual(self.disk_usage(proxy), 64 * MIB)

    def disk_usage(self, proxy):
        return sum(os.stat(os.path.join(proxy.cache_dir, name)).st_blocks * 512 for name in os.listdir(proxy.cache_dir))


if __name__ == "__main__":
    unittest.main()
