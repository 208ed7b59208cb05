"""Range requests from clients, on hits, on misses and on what is there in part (RFC 9110 14)."""
import unittest

from harness import ProxyTest

SIZE = 500_000


class Ranges(ProxyTest):
    config = {"accelerate": {"min_size": "2MiB"}}

    def assert_range(self, reply, first, last, size=SIZE):
        self.assertEqual(reply.status, 206, reply)
        self.assertEqual(reply.field("content-range"), f"bytes {first}-{last - 1}/{size}")
        self.assert_content(reply, self.seed, last - first, first)

    def test_every_form_of_one_range_is_served_from_a_stored_object(self):
        path = self.path(SIZE)
        self.assert_content(self.get(path), self.seed, SIZE)
        for text, first, last in (("0-0", 0, 1), ("0-99", 0, 100), ("499999-", SIZE - 1, SIZE), ("-1", SIZE - 1, SIZE),
                                  ("-600000", 0, SIZE), ("100-600000", 100, SIZE), ("65530-65545", 65530, 65546)):
            with self.subTest(text):
                reply = self.get(path, {"Range": f"bytes={text}"})
                self.assert_range(reply, first, last)
                self.assert_hit(reply)
        self.assertEqual(len(self.seen(path)), 1)

    def test_a_range_that_cannot_be_satisfied_gets_416_with_the_length(self):
        path = self.path(SIZE)
        self.get(path)
        for text in ("500000-", "600000-700000", "-0"):
            reply = self.get(path, {"Range": f"bytes={text}"})
            self.assertEqual(reply.status, 416, (text, reply))
            self.assertEqual(reply.field("content-range"), f"bytes */{SIZE}")

    def test_a_malformed_or_unknown_range_is_ignored(self):
        path = self.path(SIZE)
        self.get(path)
        for text in ("bytes=5-2", "bytes=a-b", "bytes", "lines=1-2", "bytes=1-2x"):
            reply = self.get(path, {"Range": text})
            self.assertIn(reply.status, (200, 416), (text, reply))
            if reply.status == 200:
                self.assert_content(reply, self.seed, SIZE)

    def test_a_range_on_a_miss_is_right(self):
        path = self.path(SIZE)
        self.assert_range(self.get(path, {"Range": "bytes=1000-1999"}), 1000, 2000)
        self.assert_range(self.get(path, {"Range": "bytes=1500-2999"}), 1500, 3000)
        self.assert_content(self.get(path), self.seed, SIZE)
        reply = self.get(path)
        self.assert_content(reply, self.seed, SIZE)
        self.assert_hit(reply)

    def test_a_range_on_a_miss_at_an_origin_without_ranges_is_right(self):
        path = self.path(SIZE, ranges="no")
        reply = self.get(path, {"Range": "bytes=1000-1999"})
        if reply.status == 206:
            self.assert_range(reply, 1000, 2000)
        else:
            self.assert_content(reply, self.seed, SIZE)

    def test_if_range_decides_between_part_and_whole(self):
        path = self.path(SIZE)
        etag = self.get(path).field("etag")
        self.assert_range(self.get(path, {"Range": "bytes=10-19", "If-Range": etag}), 10, 20)
        for other in ('"other"', f"W/{etag}", "Mon, 02 Jan 2012 03:04:05 GMT"):
            reply = self.get(path, {"Range": "bytes=10-19", "If-Range": other})
            self.assertEqual(reply.status, 200, (other, reply))
            self.assert_content(reply, self.seed, SIZE)

    def test_several_ranges_give_parts_or_the_whole(self):
        path = self.path(SIZE)
        self.get(path)
        reply = self.get(path, {"Range": "bytes=0-9,100-109,-10"})
        self.assertTrue(reply.complete, reply)
        if reply.status == 200:
            self.assert_content(reply, self.seed, SIZE)
        else:
            self.assertEqual(reply.status, 206)
            self.assertTrue(reply.field("content-type").startswith("multipart/byteranges"), reply)

    def test_a_range_does_not_apply_to_head_or_post(self):
        path = self.path(SIZE)
        self.get(path)
        reply = self.fetch("HEAD", path, {"Range": "bytes=0-9"})
        self.assertEqual(reply.status, 200, reply)
        self.assertEqual(reply.field("content-length"), str(SIZE))

    def test_a_206_is_never_stored_as_200(self):
        path = self.path(SIZE)
        self.get(path, {"Range": "bytes=0-9"})
        reply = self.get(path)
        self.assertEqual(reply.status, 200)
        self.assert_content(reply, self.seed, SIZE)

    def test_many_tiny_ranges_do_not_multiply_the_content(self):
        path = self.path(SIZE)
        self.get(path)
        client = self.client()
        reply = client.exchange("GET", self.origin.url(path), {"Range": "bytes=" + ",".join(f"{i}-{i}" for i in range(0, 2000, 2))})
        self.assertTrue(reply.complete, reply)
        self.assertLessEqual(len(reply.body), 2 * SIZE)


if __name__ == "__main__":
    unittest.main()
