"""A power cut at random points under mixed load (P-7): the disk holds what was synced, and of every other change all, nothing or
some sectors, in any order (harness/disk.py). Afterwards the index opens, no byte is wrong, and nothing is lost that the setting
of cache.sync promises. TRIBUTARY_ROUNDS says how often; docs/store.md has the long form."""
import os
import random
import unittest

from harness import Disk, Load, ProxyTest

ROUNDS = int(os.environ.get("TRIBUTARY_ROUNDS", "3"))
SEED = int(os.environ.get("TRIBUTARY_SEED", "0")) or random.randrange(1, 1 << 30)
MIB = 1 << 20


class PowerCut(ProxyTest):
    def survive(self, sync, size="256MiB", copies=1, none_may_be_lost=False):
        choose = random.Random(SEED)
        proxy = self.start_proxy({"accelerate": {"min_size": "1MiB", "piece_size": "256KiB"},
                                  "cache": {"size": size, "memory": "1MiB", "max_object": "4MiB", "sync": sync}})
        proxy.stop()
        disk = Disk(proxy, choose)
        disk.record()
        proxy.start()
        load = Load(self, proxy, choose, copies=copies)
        hits = lost = torn = corrupt = empty = 0
        for round_number in range(ROUNDS):
            with self.subTest(round=round_number, seed=SEED):
                threads = load.run(choose.uniform(0.05, 1.2), until_committed=round_number == ROUNDS - 1)
                changes = disk.cut_power()
                lost, torn = lost + changes[0], torn + changes[1]
                load.finish(threads)
                logged = len(proxy.log())
                proxy.start()
                hits += load.check(none_may_be_lost)
                corrupt += proxy.metric("tributary_cache_corrupt_total")
                empty += "starts empty" in proxy.log()[logged:]
        print(f"sync = {sync}: {ROUNDS} power cuts, seed {SEED}: {load.requests} requests under load, {lost} changes lost and {torn} torn, "
              f"{hits} hits afterwards, {load.proven} of them on what was known to be committed, "
              f"{corrupt:.0f} damaged pieces found, {empty} times empty")
        if none_may_be_lost:
            self.assertGreater(load.proven, 0)
        return hits, corrupt, empty

    def test_sync_always_loses_nothing_that_was_committed(self):
        hits, corrupt, empty = self.survive("always", none_may_be_lost=True)
        self.assertGreater(hits, ROUNDS)
        self.assertEqual(empty, 0)

    def test_sync_batched_keeps_the_index_and_shows_no_wrong_byte(self):
        hits, corrupt, empty = self.survive("batched")
        self.assertGreater(hits, ROUNDS)
        self.assertGreater(corrupt, 0, "the power cuts damaged nothing: they prove nothing")
        self.assertEqual(empty, 0, "the index did not survive")

    def test_no_byte_is_wrong_while_objects_push_each_other_out(self):
        self.survive("batched", size="64MiB", copies=5)

    def test_sync_off_starts_empty_after_a_power_cut(self):
        hits, corrupt, empty = self.survive("off")
        self.assertEqual(empty, ROUNDS)


if __name__ == "__main__":
    unittest.main()
