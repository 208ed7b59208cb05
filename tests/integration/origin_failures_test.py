"""Whatever the origin does, the client gets the right bytes or an abort it can see, and nothing wrong is ever stored (issue: what
it must show, 4; S0-4.3, S3-2.12)."""
import unittest

from harness import Close, ProxyTest

MIB = 1 << 20
SIZE = 12 * MIB
SMALL = 200_000


class SplitDownloads(ProxyTest):
    config = {"accelerate": {"min_size": "2MiB", "piece_size": "1MiB"}}

    def download(self, size=SIZE, **failure):
        """Download twice from an origin with this failure; what the client saw each time."""
        path = self.path(size, rate=3 * MIB, **failure)
        outcomes = [self.assert_right_or_aborted(self.get(path), self.seed, size)]
        outcomes.append(self.assert_right_or_aborted(self.get(path), self.seed, size))
        return outcomes

    def test_the_origin_dies_at_60_percent_once(self):
        self.assertEqual(self.download(die=60, die_once=1), ["right", "right"])

    def test_the_origin_dies_at_60_percent_by_closing(self):
        self.assertEqual(self.download(die=60, die_once=1, die_by="close"), ["right", "right"])

    def test_the_origin_dies_at_60_percent_for_good(self):
        self.assertNotIn("right", self.download(die=60, die_all=1))

    def test_the_origin_closes_one_connection_early(self):
        self.assertEqual(self.download(cut=3), ["right", "right"])

    def test_the_first_connection_is_closed_early(self):
        self.assertEqual(self.download(cut=1), ["right", "right"])

    def test_503_to_the_fifth_connection(self):
        self.assertEqual(self.download(fail_conn=5), ["right", "right"])

    def test_503_with_retry_after_to_the_second_request(self):
        self.assertEqual(self.download(fail=2, retry_after=1), ["right", "right"])

    def test_the_origin_ignores_ranges(self):
        self.assertEqual(self.download(ranges="no"), ["right", "right"])

    def test_the_origin_announces_ranges_and_answers_200(self):
        path = self.path(SIZE, rate=3 * MIB, ranges="no", header="Accept-Ranges:bytes")
        self.assert_content(self.get(path), self.seed, SIZE)
        self.assert_content(self.get(path), self.seed, SIZE)

    def test_a_content_range_that_is_wrong_by_one(self):
        self.download(bad_range=1)

    def test_a_content_range_with_another_complete_length(self):
        self.download(bad_size=1)

    def test_the_object_changes_half_way(self):
        path = self.path(SIZE, rate=3 * MIB, change=40)
        old = self.seed
        reply = self.get(path)
        # All of the old version, or all of the new one, or an abort; never a mix.
        if reply.complete:
            self.assert_content(reply, old if reply.field("etag") == f'"{SIZE}-{old}"' else old + "-changed", SIZE)
        else:
            self.assert_right_or_aborted(reply, old, SIZE)
        again = self.get(path, {"Cache-Control": "no-cache"})
        self.assert_content(again, old + "-changed", SIZE)
        self.assert_content(self.get(path), old + "-changed", SIZE)


class PlainDownloads(ProxyTest):
    config = {"accelerate": {"enabled": False}}

    def test_a_reset_half_way_is_no_clean_end_and_is_not_stored(self):
        path = self.path(SMALL, die=50, die_once=1)
        self.assert_right_or_aborted(self.get(path), self.seed, SMALL)
        self.assert_content(self.get(path), self.seed, SMALL)

    def test_a_close_half_way_is_no_clean_end_and_is_not_stored(self):
        path = self.path(SMALL, die=50, die_once=1, die_by="close")
        self.assert_right_or_aborted(self.get(path), self.seed, SMALL)
        self.assert_content(self.get(path), self.seed, SMALL)

    def test_a_declared_length_longer_than_the_content_is_no_clean_end(self):
        path = self.path(1000, length=2000, close=1)
        for _ in range(2):
            reply = self.get(path)
            self.assertFalse(reply.complete and reply.status == 200, reply)

    def test_bytes_behind_the_declared_length_are_discarded_with_the_connection(self):
        path = self.path(2000, length=1000)
        for _ in range(2):
            reply = self.get(path)
            self.assert_content(reply, self.seed, 1000)

    def test_a_chunked_message_without_its_end_is_no_clean_end(self):
        self.origin.raw("/unterminated", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nCache-Control: max-age=60\r\n\r\n"
                        b"5\r\nhello\r\n", Close)
        for _ in range(2):
            reply = self.get("/unterminated")
            self.assertFalse(reply.complete and reply.status == 200, reply)

    def test_content_that_ends_with_the_connection_is_whole(self):
        path = self.path(SMALL, until_close=1)
        self.assert_content(self.get(path), self.seed, SMALL)

    def test_responses_that_break_the_rules_become_502(self):
        cases = {
            "no-http": b"hello\r\n\r\n",
            "bad-status": b"HTTP/1.1 abc OK\r\n\r\n",
            "two-lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
            "length-and-chunked": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "bad-length": b"HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\nabc",
            "space-before-colon": b"HTTP/1.1 200 OK\r\nContent-Length : 3\r\n\r\nabc",
            "folded": b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 3\r\n\r\nabc",
            "nul": b"HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 3\r\n\r\nabc",
            "closed-in-head": b"HTTP/1.1 200 OK\r\nContent-Le",
            "nothing": b"",
            "switching": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        }
        for name, data in cases.items():
            with self.subTest(name):
                self.origin.raw(f"/broken/{name}", data, Close)
                reply = self.get(f"/broken/{name}")
                self.assertTrue(reply.complete, reply)
                self.assertEqual(reply.status, 502, reply)
                self.assertIn("error=", reply.field("proxy-status", ""), reply)

    def test_a_bad_chunk_aborts(self):
        for name, chunk in {"sign": b"+5\r\nhello\r\n0\r\n\r\n", "hex": b"0x5\r\nhello\r\n0\r\n\r\n",
                            "overflow": b"ffffffffffffffffff\r\nhello\r\n", "no-crlf": b"5\r\nhelloXX0\r\n\r\n",
                            "bare-lf": b"5\nhello\n0\n\n"}.items():
            with self.subTest(name):
                self.origin.raw(f"/chunk/{name}", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
                                b"Cache-Control: max-age=60\r\n\r\n" + chunk, Close)
                for _ in range(2):
                    reply = self.get(f"/chunk/{name}")
                    self.assertFalse(reply.complete and reply.status == 200, reply)

    def test_a_header_that_trickles_in_is_read(self):
        path = self.path(1000, slow_head=0.5)
        self.assert_content(self.get(path), self.seed, 1000)

    def test_a_body_in_single_bytes_arrives(self):
        path = self.path(300, piece=1)
        self.assert_content(self.get(path), self.seed, 300)


if __name__ == "__main__":
    unittest.main()
