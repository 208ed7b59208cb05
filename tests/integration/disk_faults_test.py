"""A disk that refuses (S0-5.8): the proxy says so, goes on serving without storing, and stores again when the cause is gone.
What it had stored stays, and no byte is wrong. The faults come from ../disk.c, preloaded into the proxy."""
import errno
import random
import resource
import time
import unittest

from harness import Disk, ProxyTest, wait_until

MIB = 1 << 20


class DiskFaults(ProxyTest):
    config = {"cache": {"size": "128MiB", "memory": "1MiB"}}

    def setUp(self):
        super().setUp()
        self.disk_proxy = self.start_proxy(self.config)
        self.disk_proxy.stop()
        self.disk = Disk(self.disk_proxy, random.Random(1))
        self.disk_proxy.start()

    def fetch_right(self, name, size=300_000):
        """The reply, whose bytes are right."""
        seed = f"{self.seed}-{name}"
        reply = self.get(self.path(size, cc="max-age=86400", seed=seed), proxy=self.disk_proxy)
        self.assert_content(reply, seed, size)
        return reply

    def is_hit(self, name, size=300_000):
        reply = self.fetch_right(name, size)
        return "hit" in self.cache_status(reply).replace(" ", "").split(";")

    def is_degraded(self):
        return self.disk_proxy.metric("tributary_cache_degraded") > 0

    def store_until_refused(self):
        """New objects until the proxy has noticed; each is served."""
        for i in range(400):
            seed, size = f"{self.seed}-more-{i}", 300_000
            reply = self.get(self.path(size, cc="max-age=86400", seed=seed), proxy=self.disk_proxy)
            self.assert_right_or_aborted(reply, seed, size)  # the one being written when the disk refused may be cut short
            if self.is_degraded():
                return
        self.fail("400 objects, and no refusal was noticed")

    def refuse_and_recover(self, *faults, sound_reads=True):
        self.fetch_right("before")
        wait_until(lambda: self.disk_proxy.metric("tributary_cache_objects") > 0, 5, "the commit")
        self.disk.fail(*faults)
        self.store_until_refused()
        self.assertGreater(self.disk_proxy.metric("tributary_cache_write_errors_total"), 0)
        wait_until(lambda: "cannot store" in self.disk_proxy.log(), 5, "a line in the log")
        for i in range(20):
            self.fetch_right(f"during-{i}")  # served, though not stored
        if sound_reads:
            self.assertTrue(self.is_hit("before"))
        self.disk.clear()
        wait_until(lambda: not self.is_degraded(), 15, "the proxy tries the disk again")

        def stores_again():
            name = f"after-{time.monotonic()}"
            self.fetch_right(name)
            return self.is_hit(name)
        wait_until(stores_again, 15, "storing again")
        self.assertTrue(self.is_hit("before"))
        time.sleep(1.2)
        self.disk_proxy.kill()
        self.disk_proxy.start()
        self.assertTrue(self.is_hit("before"), "what was stored before the fault is lost")
        for i in range(20):
            self.fetch_right(f"during-{i}")
        self.assertEqual(self.disk_proxy.metric("tributary_cache_corrupt_total"), 0)

    def test_index_that_finds_no_room(self):
        self.refuse_and_recover(("write", errno.ENOSPC, "data.mdb"))

    def test_index_that_cannot_be_synced(self):
        self.refuse_and_recover(("sync", errno.EIO, "data.mdb"))

    def test_index_that_cannot_even_be_opened_again(self):
        self.refuse_and_recover(("sync", errno.EIO, "data.mdb"), ("open", errno.EMFILE, "data.mdb"), sound_reads=False)

    def test_bodies_that_cannot_be_written(self):
        self.refuse_and_recover(("write", errno.EIO, "seg-"))

    def test_a_file_system_that_became_read_only(self):
        self.refuse_and_recover(*[(call, errno.EROFS, name) for call in ("write", "allocate") for name in ("seg-", "data.mdb")])

    def test_no_room_for_a_further_segment_makes_the_store_smaller_and_nothing_else(self):
        self.disk.fail(("allocate", errno.ENOSPC, "seg-"), ("open", errno.EMFILE, "seg-"))
        for i in range(30):
            seed = f"{self.seed}-{i}"
            reply = self.get(self.path(2 * MIB, cc="max-age=86400", seed=seed), proxy=self.disk_proxy)
            self.assert_right_or_aborted(reply, seed, 2 * MIB)
        self.disk.clear()
        wait_until(lambda: self.is_hit(f"again-{time.monotonic()}") or not self.is_degraded(), 15, "the disk is tried again")

    def test_bodies_that_cannot_be_read_are_fetched_again(self):
        self.fetch_right("a", 3 * MIB)
        time.sleep(1.2)
        self.disk_proxy.kill()  # what is read after this is held against its checksum, on the disk
        self.disk_proxy.start()
        self.disk.fail(("read", errno.EIO, "seg-"))
        self.fetch_right("a", 3 * MIB)
        self.assertGreater(self.disk_proxy.metric("tributary_cache_corrupt_total"), 0)
        self.disk.clear()
        self.fetch_right("a", 3 * MIB)

    def test_a_directory_that_cannot_be_used_at_the_start_is_used_later(self):
        self.disk_proxy.stop()
        self.disk.fail(("open", errno.EROFS, "lock"))
        self.disk_proxy.start()
        self.assertTrue(self.is_degraded())
        wait_until(lambda: "going on without the cache" in self.disk_proxy.log(), 5, "a line in the log")
        self.assertFalse(self.is_hit("x"))
        self.assertFalse(self.is_hit("x"))
        self.disk.clear()
        wait_until(lambda: not self.is_degraded(), 15, "the store was opened")
        self.fetch_right("x")
        self.assertTrue(self.is_hit("x"))

    def test_no_descriptors_left_is_no_reason_to_forget_what_is_stored(self):
        self.fetch_right("x")
        self.disk_proxy.stop()
        self.disk.fail(("open", errno.EMFILE, "seg-"))
        self.disk_proxy.start()
        self.assertTrue(self.is_degraded())
        self.disk.clear()
        wait_until(lambda: not self.is_degraded(), 15, "the store was opened")
        self.assertTrue(self.is_hit("x"))

    def test_files_that_may_not_grow_further(self):
        """RLIMIT_FSIZE at half a megabyte, as a quota would."""
        soft, hard = 512 * 1024, resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.prlimit(self.disk_proxy.process.pid, resource.RLIMIT_FSIZE, (soft, hard))
        for i in range(10):
            seed = f"{self.seed}-{i}"
            reply = self.get(self.path(2 * MIB, cc="max-age=86400", seed=seed), proxy=self.disk_proxy)
            self.assert_right_or_aborted(reply, seed, 2 * MIB)
        self.assertIsNone(self.disk_proxy.process.poll())
        resource.prlimit(self.disk_proxy.process.pid, resource.RLIMIT_FSIZE, (hard, hard))
        wait_until(lambda: not self.is_degraded(), 15, "the disk is tried again")
        wait_until(lambda: self.fetch_right("x") and self.is_hit("x"), 15, "storing again")


if __name__ == "__main__":
    unittest.main()
