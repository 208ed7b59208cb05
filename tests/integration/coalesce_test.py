"""Any number of clients that want the same bytes cause one fetch, and each reads along while it arrives (P-9)."""
import time
import unittest

from harness import ProxyTest, content

MIB = 1 << 20


class OneFetchForMany(ProxyTest):
    config = {"accelerate": {"enabled": False}}

    def test_fifty_clients_at_once_cost_one_fetch_and_all_get_the_object(self):
        size = 4 * MIB
        path = self.path(size, rate=8 * MIB)
        replies = self.at_once(50, lambda i: self.get(path))
        for reply in replies:
            self.assert_content(reply, self.seed, size)
        self.assertEqual(len(self.seen(path)), 1)
        self.assertEqual(self.origin.bytes_sent(path.partition("?")[0]), size)
        # Who came before the head joined the request, who came after it found an object that was still arriving.
        told = [self.cache_status(r) for r in replies]
        self.assertGreaterEqual(sum("collapsed" in t or "hit" in t for t in told), 49, told)
        self.assertGreater(sum("collapsed" in t for t in told), 0, told)

    def test_small_objects_are_fetched_once_too(self):
        path = self.path(500, delay=0.3)
        for reply in self.at_once(50, lambda i: self.get(path)):
            self.assert_content(reply, self.seed, 500)
        self.assertEqual(len(self.seen(path)), 1)

    def test_a_late_client_starts_with_what_is_there_before_the_rest_has_come(self):
        size = 2 * MIB
        path = self.path(size, rate=MIB)  # two seconds
        first, late = self.client(), self.client()
        first.request("GET", self.origin.url(path))
        first.read_exactly(size // 3)
        late.request("GET", self.origin.url(path))
        late.read_head()
        self.assertEqual(late.read_exactly(100_000), content(self.seed, 0, 100_000))
        self.assertLess(self.origin.bytes_sent(path.partition("?")[0]), size, "the fetch was over already")
        self.assertEqual(late.read_exactly(size - 100_000), content(self.seed, 100_000, size))
        self.assertEqual(len(self.seen(path)), 1)

    def test_the_others_get_everything_when_the_client_that_began_goes_away(self):
        size = 2 * MIB
        path = self.path(size, rate=2 * MIB)
        first, other = self.client(), self.client()
        first.request("GET", self.origin.url(path))
        first.read_exactly(1000)
        other.request("GET", self.origin.url(path))
        other.read_until(b"\r\n\r\n")
        first.close()
        self.assertEqual(other.read_exactly(size), content(self.seed, 0, size))
        self.assertEqual(len(self.seen(path)), 1)

    def test_ranges_read_along_as_well(self):
        size = 2 * MIB
        path = self.path(size, rate=4 * MIB)
        ranges = [(0, size), (0, 1000), (size // 2, size // 2 + 5000), (size - 10, size), (777, size)]

        def ask(i):
            if i == 0:
                return self.get(path)
            time.sleep(0.1)
            return self.get(path, {"Range": f"bytes={ranges[i][0]}-{ranges[i][1] - 1}"})

        for (first, last), reply in zip(ranges, self.at_once(len(ranges), ask)):
            self.assert_content(reply, self.seed, last - first, first)
        self.assertLessEqual(self.origin.bytes_sent(path.partition("?")[0]), 2 * size)

    def test_clients_that_wait_for_what_turns_out_not_to_be_storable_all_get_their_answer(self):
        path = self.path(5000, cc="no-store", delay=0.2)
        for reply in self.at_once(20, lambda i: self.get(path)):
            self.assert_content(reply, self.seed, 5000)

    def test_a_failed_fetch_ends_as_a_short_answer_for_nobody(self):
        size = 2 * MIB
        path = self.path(size, rate=4 * MIB, die=60, die_all=1)
        for reply in self.at_once(20, lambda i: self.get(path)):
            self.assertIn(self.assert_right_or_aborted(reply, self.seed, size), ("aborted", "refused"))

    def test_workers_share_one_fetch(self):
        # Two workers accept from the same port; with 30 connections both have some.
        size = MIB
        path = self.path(size, rate=4 * MIB)
        for reply in self.at_once(30, lambda i: self.get(path)):
            self.assert_content(reply, self.seed, size)
        self.assertEqual(len(self.seen(path)), 1)


class OneFetchSplit(ProxyTest):
    config = {"accelerate": {"min_size": "2MiB", "piece_size": "1MiB"}}

    def test_fifty_clients_at_once_share_one_split_download(self):
        size = 8 * MIB
        path = self.path(size, rate=4 * MIB)
        for reply in self.at_once(50, lambda i: self.get(path)):
            self.assert_content(reply, self.seed, size)
        self.assertLess(self.origin.bytes_sent(path.partition("?")[0]), 2 * size)


if __name__ == "__main__":
    unittest.main()
