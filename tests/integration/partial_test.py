"""What is there of an object in part is kept, served and completed, and nothing of it is fetched twice (P-9, P-10; RFC 9110 14,
RFC 9111 3.4)."""
import os
import re
import threading
import time
import unittest

from harness import Nginx, ProxyTest, content, wait_until

MIB = 1 << 20


def parts_of(reply):
    """The parts of a multipart/byteranges answer: [(first, last, total, type, bytes)]."""
    boundary = re.fullmatch(r"multipart/byteranges; boundary=\"?([^\"]+)\"?", reply.field("content-type")).group(1)
    found = []
    rest = reply.body
    while True:
        head, mark, rest = rest.partition(b"\r\n\r\n")
        if not mark:
            assert head.strip() == f"--{boundary}--".encode(), head
            return found
        lines = head.strip(b"\r\n").decode().split("\r\n")
        assert lines[0] == f"--{boundary}", lines
        fields = dict((n.lower(), v.strip()) for n, _, v in (line.partition(":") for line in lines[1:]))
        first, last, total = map(int, re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", fields["content-range"]).groups())
        found.append((first, last + 1, total, fields.get("content-type"), rest[:last + 1 - first]))
        rest = rest[last + 1 - first:]


class RangeMisses(ProxyTest):
    config = {"accelerate": {"min_size": "4MiB", "piece_size": "1MiB"}}
    SIZE = 12 * MIB

    def ask(self, path, first, last, fields=None):
        reply = self.get(path, {"Range": f"bytes={first}-{last - 1}", **(fields or {})})
        self.assertEqual(reply.status, 206, reply)
        self.assertEqual(reply.field("content-range"), f"bytes {first}-{last - 1}/{self.SIZE}")
        self.assert_content(reply, self.seed, last - first, first)
        return reply

    def sent(self, path):
        return self.origin.bytes_sent(path.partition("?")[0])

    def test_a_range_miss_fetches_the_pieces_around_it_and_stores_them(self):
        path = self.path(self.SIZE)
        self.ask(path, 5 * MIB + 10, 5 * MIB + 1000)
        self.assertEqual(len(self.seen(path)), 1)
        self.assertEqual(self.seen(path)[0].field("range"), f"bytes={5 * MIB}-{6 * MIB - 1}")
        self.ask(path, 5 * MIB, 6 * MIB)  # follows the fetch to its end
        self.assertEqual(self.sent(path), MIB)
        for first, last in ((5 * MIB, 6 * MIB), (5 * MIB + 500, 5 * MIB + 90_000), (6 * MIB - 1, 6 * MIB)):
            self.assert_hit(self.ask(path, first, last))
        self.assertEqual(len(self.seen(path)), 1)

    def test_another_range_fetches_only_what_lacks_under_if_range_and_in_the_end_the_object_is_whole(self):
        path = self.path(self.SIZE)
        self.ask(path, 2 * MIB, 4 * MIB)
        self.ask(path, 3 * MIB, 6 * MIB)
        asked = self.seen(path)
        self.assertEqual([r.field("range") for r in asked], [f"bytes={2 * MIB}-{4 * MIB - 1}", f"bytes={4 * MIB}-{6 * MIB - 1}"])
        self.assertEqual(asked[1].field("if-range"), f'"{self.SIZE}-{self.seed}"')
        self.assert_content(self.get(path), self.seed, self.SIZE)
        self.assertEqual(self.sent(path), self.SIZE)
        before = len(self.seen(path))
        self.assert_hit(self.get(path))
        self.assert_hit(self.ask(path, 0, 7))
        self.assertEqual(len(self.seen(path)), before)

    def test_the_same_range_asked_for_by_many_at_once_is_fetched_once(self):
        path = self.path(self.SIZE, delay=0.3, rate=4 * MIB)
        for reply in self.at_once(30, lambda i: self.get(path, {"Range": f"bytes={7 * MIB + 5}-{8 * MIB - 6}"})):
            self.assertEqual(reply.status, 206)
            self.assert_content(reply, self.seed, MIB - 10, 7 * MIB + 5)
        self.assertEqual(len(self.seen(path)), 1)
        self.assertEqual(self.sent(path), MIB)

    def test_many_ranges_and_the_whole_at_once_cost_each_byte_once(self):
        path = self.path(self.SIZE, rate=6 * MIB)

        def ask(i):
            if i % 5 == 0:
                return 0, self.SIZE, self.get(path)
            first = (i * 1_234_567) % (self.SIZE - 400_000)
            return first, first + 400_000, self.get(path, {"Range": f"bytes={first}-{first + 399_999}"})

        for first, last, reply in self.at_once(20, ask):
            self.assert_content(reply, self.seed, last - first, first)
        self.assertLessEqual(self.sent(path), self.SIZE + MIB)

    def test_a_reader_far_from_a_running_range_fetch_is_served_before_that_ends(self):
        path = self.path(self.SIZE, rate=MIB)  # eight seconds for the first
        slow, far = self.client(), self.client()
        slow.request("GET", self.origin.url(path), {"Range": f"bytes=0-{8 * MIB - 1}"})
        slow.read_until(b"\r\n\r\n")
        slow.read_exactly(1000)
        far.request("GET", self.origin.url(path), {"Range": f"bytes={10 * MIB}-{10 * MIB + 99}"})
        head = far.read_head()
        self.assertEqual(head.status, 206)
        self.assertEqual(far.read_exactly(100), content(self.seed, 10 * MIB, 10 * MIB + 100))
        self.assertLess(self.sent(path), 6 * MIB, "the first fetch was over already")

    def test_suffix_open_and_unsatisfiable_ranges_of_an_absent_object(self):
        for text, first, last in (("-700", self.SIZE - 700, self.SIZE), (f"{11 * MIB + 7}-", 11 * MIB + 7, self.SIZE)):
            path = self.path(self.SIZE, seed=self.seed + text)
            reply = self.get(path, {"Range": f"bytes={text}"})
            self.assertEqual(reply.field("content-range"), f"bytes {first}-{last - 1}/{self.SIZE}")
            self.assert_content(reply, self.seed + text, last - first, first)
            self.assertLessEqual(self.sent(path), 2 * MIB)
        path = self.path(self.SIZE, seed=self.seed + "beyond")
        reply = self.get(path, {"Range": f"bytes={self.SIZE + 5}-"})
        self.assertEqual(reply.status, 416, reply)
        self.assertEqual(reply.field("content-range"), f"bytes */{self.SIZE}")

    def test_if_range_on_an_absent_object(self):
        path = self.path(self.SIZE, seed=self.seed + "a")
        reply = self.get(path, {"Range": "bytes=10-19", "If-Range": f'"{self.SIZE}-{self.seed}a"'})
        self.assertEqual(reply.status, 206)
        self.assert_content(reply, self.seed + "a", 10, 10)
        path = self.path(self.SIZE, seed=self.seed + "b")
        reply = self.get(path, {"Range": "bytes=10-19", "If-Range": '"other"'})
        self.assertEqual(reply.status, 200)
        self.assert_content(reply, self.seed + "b", self.SIZE)

    def test_what_has_no_strong_validator_is_passed_on_and_not_stored(self):
        path = self.path(self.SIZE, etag="weak", lm="none")
        for _ in range(2):
            reply = self.get(path, {"Range": "bytes=1000-1999"})
            self.assertEqual(reply.status, 206, reply)
            self.assertEqual(reply.field("content-range"), f"bytes 1000-1999/{self.SIZE}")
            self.assert_content(reply, self.seed, 1000, 1000)
        self.assertEqual(len(self.seen(path)), 2)

    def test_a_part_that_may_not_be_stored_is_the_clients_part(self):
        path = self.path(self.SIZE, cc="no-store")
        reply = self.get(path, {"Range": "bytes=1000-1999,5000-5999"})
        self.assertTrue(reply.complete, reply)  # as this origin answers it: with the whole
        self.assert_content(reply, self.seed, self.SIZE)
        path = self.path(self.SIZE, cc="no-store", seed=self.seed + "2")
        reply = self.get(path, {"Range": f"bytes={3 * MIB + 3}-{3 * MIB + 9}"})
        self.assertEqual(reply.field("content-range"), f"bytes {3 * MIB + 3}-{3 * MIB + 9}/{self.SIZE}")
        self.assert_content(reply, self.seed + "2", 7, 3 * MIB + 3)

    def test_an_origin_that_has_changed_is_not_mixed_with_what_was_stored(self):
        path = self.path(self.SIZE, change=15)  # after 15 per cent of the content it is another version
        self.ask(path, 0, 2 * MIB)
        reply = self.get(path, {"Range": f"bytes={2 * MIB}-{2 * MIB + 99}"})
        self.assertEqual(reply.status, 206, reply)
        self.assertEqual(reply.field("etag"), f'"{self.SIZE}-{self.seed}-changed"')
        self.assert_content(reply, self.seed + "-changed", 100, 2 * MIB)
        reply = self.get(path)
        self.assert_content(reply, self.seed + "-changed", self.SIZE)

    def test_parts_survive_a_restart_and_are_completed(self):
        proxy = self.start_proxy(self.config)
        path = self.path(self.SIZE)
        reply = self.get(path, {"Range": f"bytes={4 * MIB}-{6 * MIB - 1}"}, proxy=proxy)
        self.assert_content(reply, self.seed, 2 * MIB, 4 * MIB)
        time.sleep(1.5)  # what the writer thread may take to commit
        proxy.kill()
        proxy.start()
        reply = self.get(path, {"Range": f"bytes={5 * MIB}-{6 * MIB - 1}"}, proxy=proxy)
        self.assert_content(reply, self.seed, MIB, 5 * MIB)
        self.assert_hit(reply)
        self.assert_content(self.get(path, proxy=proxy), self.seed, self.SIZE)
        self.assertEqual(self.sent(path), self.SIZE)


class MultipartRanges(ProxyTest):
    SIZE = 3 * MIB

    def assert_parts(self, reply, wanted):
        self.assertEqual(reply.status, 206, reply)
        self.assertTrue(reply.complete, reply)
        self.assertIsNone(reply.field("content-range"))
        parts = parts_of(reply)
        self.assertEqual([part[:2] for part in parts], wanted)
        for first, last, total, kind, data in parts:
            self.assertEqual((total, kind), (self.SIZE, "text/x-test"))
            self.assertEqual(data, content(self.seed, first, last))

    def test_several_ranges_of_a_whole_object(self):
        path = self.path(self.SIZE, type="text/x-test")
        self.get(path)
        reply = self.get(path, {"Range": f"bytes=0-9,{MIB - 5}-{MIB + 4},-10"})
        self.assert_parts(reply, [(0, 10), (MIB - 5, MIB + 5), (self.SIZE - 10, self.SIZE)])
        self.assert_hit(reply)

    def test_several_ranges_of_a_small_object(self):
        path = self.path(2000, type="text/x-test")
        self.get(path)
        reply = self.get(path, {"Range": "bytes=5-6,1000-1009"})
        self.assertEqual([part[4] for part in parts_of(reply)], [content(self.seed, 5, 7), content(self.seed, 1000, 1010)])

    def test_several_ranges_of_an_absent_object_fetch_only_what_covers_them(self):
        path = self.path(self.SIZE, type="text/x-test", seed=self.seed)
        reply = self.get(path, {"Range": f"bytes=100-199,{2 * MIB + 600_000}-{2 * MIB + 600_099}"})
        self.assert_parts(reply, [(100, 200), (2 * MIB + 600_000, 2 * MIB + 600_100)])
        self.assertLess(self.origin.bytes_sent(path.partition("?")[0]), 2 * MIB)

    def test_several_ranges_of_a_partial_object_fetch_only_what_lacks(self):
        path = self.path(self.SIZE, type="text/x-test")
        self.get(path, {"Range": "bytes=0-99"})
        reply = self.get(path, {"Range": f"bytes=50-59,{2 * MIB}-{2 * MIB + 9}"})
        self.assert_parts(reply, [(50, 60), (2 * MIB, 2 * MIB + 10)])
        self.assertLess(self.origin.bytes_sent(path.partition("?")[0]), 2 * MIB)

    def test_a_keep_alive_connection_goes_on_behind_a_multipart_answer(self):
        path = self.path(self.SIZE, type="text/x-test")
        self.get(path)
        client = self.client()
        for _ in range(2):
            reply = client.exchange("GET", self.origin.url(path), {"Range": "bytes=7-8,70000-70001"})
            self.assert_parts(reply, [(7, 9), (70000, 70002)])


class Interrupted(ProxyTest):
    """P-10: what a download that broke off had brought is kept and completed."""
    config = {"accelerate": {"enabled": False}, "timeout": {"read": "3s"}}
    SIZE = 20 * MIB

    def stalled(self, path, proxy, at):
        """A client that has read what the origin sent before it fell silent at `at` bytes; its connection."""
        client = self.client(proxy)
        client.request("GET", self.origin.url(path))
        client.read_until(b"\r\n\r\n")
        self.assertEqual(client.read_exactly(at), content(self.seed, 0, at))
        return client

    def test_sigkill_at_60_percent_costs_at_most_a_piece(self):
        proxy = self.start_proxy(self.config)
        path = self.path(self.SIZE, stall=60)
        self.stalled(path, proxy, self.SIZE * 6 // 10)
        time.sleep(1.5)  # what the writer thread may take to commit
        proxy.kill()
        self.origin.reset()
        proxy.start()
        self.assert_content(self.get(path, proxy=proxy), self.seed, self.SIZE)
        asked = self.seen(path)
        self.assertEqual(len(asked), 1)
        self.assertEqual(asked[0].field("if-range"), f'"{self.SIZE}-{self.seed}"')
        self.assertLessEqual(asked[0].sent, self.SIZE * 4 // 10 + MIB)
        self.assert_hit(self.get(path, proxy=proxy))

    def test_a_kept_part_of_another_version_is_not_used_after_a_restart(self):
        proxy = self.start_proxy(self.config)
        path = self.path(self.SIZE, stall=60, change=50)
        self.stalled(path, proxy, self.SIZE * 6 // 10)
        time.sleep(1.5)
        proxy.kill()
        proxy.start()
        self.assert_content(self.get(path, proxy=proxy), self.seed + "-changed", self.SIZE)

    def test_what_a_client_that_left_had_caused_is_kept_and_finished(self):
        path = self.path(self.SIZE, stall=60)
        client = self.stalled(path, self.proxy, self.SIZE * 6 // 10)
        client.close()
        self.assert_content(self.get(path), self.seed, self.SIZE)
        asked = self.seen(path)
        self.assertLessEqual(sum(request.sent for request in asked), self.SIZE + MIB, asked)

    def test_a_download_that_is_nearly_done_is_finished_without_its_client(self):
        path = self.path(self.SIZE, rate=16 * MIB)
        client = self.client()
        client.request("GET", self.origin.url(path))
        client.read_exactly(self.SIZE // 2)
        client.close()
        wait_until(lambda: self.origin.bytes_sent(path.partition("?")[0]) == self.SIZE, what="the rest has come")
        self.assertEqual(len(self.seen(path)), 1)
        wait_until(lambda: "hit" in self.cache_status(self.get(path, {"Range": "bytes=0-0"})), what="a hit")
        self.assert_content(self.get(path), self.seed, self.SIZE)
        self.assertEqual(len(self.seen(path)), 1)


class OriginRestarts(ProxyTest):
    """P-9: many clients of one cold object, and an origin that goes away in the middle."""
    config = {"accelerate": {"enabled": False}}

    def crowd(self, url, data, count=200):
        """`count` clients at once; what each of them got: (complete, right so far)."""
        def ask(i):
            reply = self.get(url, timeout=60)
            return reply.complete and reply.status == 200, reply.body == data[:len(reply.body)], len(reply.body)
        return self.at_once(count, ask)

    def test_200_clients_get_right_files_by_one_fetch_and_one_continued_range(self):
        nginx = Nginx(pace=3 * MIB)
        self.addCleanup(nginx.stop)
        data = os.urandom(8 * MIB)
        nginx.put("cold.bin", data)
        nginx.start()

        def received():
            return self.proxy.metric("tributary_upstream_bytes_total", direction="received")

        def restart():
            wait_until(lambda: received() - before > 2 * MIB, 20, "a part has come")
            nginx.kill()
            nginx.start()

        before = received()
        thread = threading.Thread(target=restart)
        thread.start()
        got = self.crowd(nginx.url("/cold.bin"), data)
        thread.join()
        self.assertEqual(got, [(True, True, len(data))] * 200)
        # The killed one has not logged what it was sending.
        rows = wait_until(lambda: nginx.log("/cold.bin"), 10, "nginx wrote its log")
        self.assertEqual([row[2] for row in rows], [206], rows)
        self.assertLess(received() - before, len(data) + 100_000)

    def test_an_origin_that_resets_half_way_is_asked_once_more_for_the_rest(self):
        size = 2 * MIB
        path = self.path(size, rate=4 * MIB, die=50, die_once=1)
        for reply in self.at_once(50, lambda i: self.get(path)):
            self.assert_content(reply, self.seed, size)
        asked = self.seen(path)
        self.assertEqual([r.field("range") for r in asked], [None, f"bytes={size // 2}-{size - 1}"])
        self.assertEqual(asked[1].field("if-range"), f'"{size}-{self.seed}"')

    def test_an_origin_that_stays_away_is_an_abort_for_everybody(self):
        size = 2 * MIB
        path = self.path(size, rate=4 * MIB, die=50, die_all=1)
        for reply in self.at_once(20, lambda i: self.get(path, timeout=60)):
            self.assertFalse(reply.complete, reply)
            self.assertEqual(reply.body, content(self.seed, 0, len(reply.body)))

    def test_without_a_strong_validator_nothing_is_continued(self):
        size = 2 * MIB
        path = self.path(size, rate=4 * MIB, die=50, die_once=1, etag="weak", lm="none")
        for reply in self.at_once(20, lambda i: self.get(path)):
            self.assertFalse(reply.complete, reply)
            self.assertEqual(reply.body, content(self.seed, 0, len(reply.body)))
        self.assertTrue(all(r.field("range") is None for r in self.seen(path)))

    def test_a_leader_that_leaves_before_the_head_hands_over_to_one_waiter(self):
        path = self.path(100_000, delay=1)
        leader = self.client()
        leader.request("GET", self.origin.url(path))
        wait_until(lambda: self.seen(path), what="the leader's request")
        followers = [self.client() for _ in range(10)]
        for follower in followers:
            follower.request("GET", self.origin.url(path))
        leader.close()
        for follower in followers:
            self.assert_content(follower.read_response(), self.seed, 100_000)
        self.assertEqual(len(self.seen(path)), 2)


if __name__ == "__main__":
    unittest.main()
