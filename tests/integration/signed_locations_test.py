"""Signed, expiring locations: a stable URL redirects to another signature each time, and what is stored of one location is
used for the next once the origin has confirmed it there (RFC 9110 8.8.1, RFC 9111 4.3)."""
import itertools
import json
import os
import urllib.parse

from harness import Origin, ProxyTest, Reset, content, wait_until

SIZE = 20_000


class SignedLocations(ProxyTest):
    config = {"cache": {"stale_if_error": "1d", "stale_while_revalidate": "1d"}, "accelerate": {"min_size": "1MiB", "piece_size": "1MiB"}}

    def location(self, n, size=SIZE, cc=None, **query):
        """The nth signed location of this test's object; without Cache-Control, as the large stores have it."""
        return self.path(size, cc=cc, **query, **{"X-Amz-Date": f"2026010{n}T000000Z", "X-Amz-Expires": "300", "X-Amz-Signature": f"{n:064x}"})

    def bodies_sent(self, path):
        return [r.status for r in self.seen(path) if r.sent > 0]

    def assert_confirmed(self, reply, size=SIZE):
        self.assertEqual(reply.status, 200)
        self.assert_content(reply, self.seed, size)
        self.assertIn("fwd-status=304", self.cache_status(reply))
        self.assertIn("detail=signed-location", self.cache_status(reply))

    def test_a_stable_url_that_redirects_elsewhere_each_time_is_fetched_once(self):
        locations = [self.location(n) for n in (1, 2, 3)]
        served = iter(locations)

        async def stable(request, connection):
            await connection.reply(request, 302, [("Location", self.origin.url(next(served))), ("Cache-Control", "no-store")], b"")

        self.origin.on("/stable/" + self.seed, stable)
        replies = []
        for _ in locations:
            redirect = self.get("/stable/" + self.seed)
            self.assertEqual(redirect.status, 302)
            replies.append(self.get(redirect.field("location")))
        self.assert_content(replies[0], self.seed, SIZE)
        for reply in replies[1:]:
            self.assert_confirmed(reply)
        seen = self.seen(locations[0])
        self.assertEqual([r.status for r in seen], [200, 304, 304])
        self.assertEqual([r.target for r in seen], locations, "each with its own signature")
        self.assertEqual(seen[1].field("if-none-match"), replies[0].field("etag"))
        self.assertIsNone(seen[1].field("if-modified-since"))

    def test_a_fresh_one_is_a_hit_at_its_own_location_alone(self):
        one, two = (self.location(n, cc="max-age=600") for n in (1, 2))
        self.get(one)
        self.assert_hit(self.get(one))
        reply = self.get(two)
        self.assert_confirmed(reply)
        self.assertIn("fwd=request", self.cache_status(reply))  # RFC 9211 2.2: it was fresh
        self.assert_hit(self.get(two))
        self.assert_confirmed(self.get(one))
        self.assertEqual([r.status for r in self.seen(one)], [200, 304, 304])

    def test_large_ones_that_are_fetched_in_pieces(self):
        size = 5_000_000
        one, two = (self.location(n, size) for n in (1, 2))
        self.assert_content(self.get(one), self.seed, size)
        before = sum(r.sent for r in self.seen(one))
        self.assert_confirmed(self.get(two), size)
        self.assertEqual(sum(r.sent for r in self.seen(one)), before)

    def test_another_version_replaces_the_stored_one(self):
        one, two = self.location(1, etag="v1"), self.location(2, etag="v1")
        self.get(one)
        self.origin.on(two.partition("?")[0], self.answer(200, b"new", ETag='"v2"'))
        reply = self.get(two)
        self.assertEqual((reply.status, reply.body), (200, b"new"))
        self.assertIn("stored", self.cache_status(reply))
        self.origin.on(two.partition("?")[0], self.answer(304, b"", ETag='"v2"'))
        self.assertEqual(self.get(self.location(3, etag="v1")).body, b"new")

    def answer(self, status, body, **fields):
        self.addCleanup(self.origin._routes.clear)

        async def handler(request, connection):
            await connection.reply(request, status, [(n.replace("_", "-"), v) for n, v in fields.items()], body)
        return handler

    def test_a_304_of_another_or_a_weak_validator_confirms_nothing(self):
        for kind in ("other", "weak"):
            with self.subTest(kind):
                one, two = (self.location(n, seed=self.seed + kind) for n in (1, 2))
                path = one.partition("?")[0]
                stored = self.get(one).field("etag")
                etag = "W/" + stored if kind == "weak" else '"other"'

                async def handler(request, connection, etag=etag):
                    if request.field("if-none-match"):
                        return await connection.reply(request, 304, [("ETag", etag)], b"")
                    await connection.reply(request, 200, [("ETag", etag)], b"other")

                self.origin.on(path, handler)
                self.addCleanup(self.origin._routes.clear)
                self.assertEqual(self.get(two).body, b"other")
                self.assertIsNone(self.seen(path)[-1].field("if-none-match"))

    def test_without_a_strong_validator_it_is_fetched_anew(self):
        for etag in ("weak", "none"):
            with self.subTest(etag):
                one, two = (self.location(n, cc="max-age=600", etag=etag) for n in (1, 2))
                self.get(one)
                reply = self.get(two)
                self.assert_content(reply, self.seed, SIZE)
                self.assertIsNone(self.seen(one)[-1].field("if-none-match"))
                self.assertIsNone(self.seen(one)[-1].field("if-modified-since"))
                self.assertEqual(self.seen(one)[-1].status, 200)
                self.origin.reset()

    def test_a_refused_signature_gets_nothing_and_harms_nobody(self):
        one, bad = self.location(1, cc="max-age=600"), self.location(2, cc="max-age=600")
        path = one.partition("?")[0]
        self.get(one)
        for status, cc in ((403, "max-age=600"), (410, "max-age=600"), (503, ""), (500, "")):
            self.origin.on(path, self.answer(status, b"no", **({"Cache_Control": cc} if cc else {})))
            reply = self.get(bad)
            self.assertEqual((reply.status, reply.body), (status, b"no"), "not what is stored, however stale it may be served")
            self.origin._routes.clear()
            self.assert_hit(self.get(one))
        # Nor when the origin cannot be reached.
        async def reset(request, connection):
            raise Reset
        self.origin.on(path, reset)
        self.assertGreaterEqual(self.get(bad).status, 500)
        self.origin._routes.clear()
        self.assert_hit(self.get(one))
        reply = self.get(self.location(3, cc="max-age=600"), [("Cache-Control", "only-if-cached")])
        self.assertEqual(reply.status, 504)

    def test_a_refresh_that_its_signature_has_outlived_harms_nobody(self):
        one = self.location(1, cc="max-age=0, stale-while-revalidate=600")
        path = one.partition("?")[0]
        self.get(one)
        self.origin.on(path, self.answer(403, b"expired"))
        self.assert_hit(self.get(one))
        wait_until(lambda: [r.status for r in self.seen(path)] == [200, 403], 10, "the refresh at the origin")
        wait_until(lambda: self.proxy.metric("tributary_upstream_connections", state="active") == 0, 10, "its end")
        self.origin._routes.clear()
        self.assert_confirmed(self.get(self.location(2, cc="max-age=0, stale-while-revalidate=600")))

    def test_a_304_about_something_else_is_not_asked_for_twice(self):
        size = 3_000_000
        one = self.location(1, size, rate=1_000_000, etag="v1")
        two = self.location(2, size, rate=1_000_000, etag="v1")
        client = self.client()
        client.request("GET", self.origin.url(one))
        client.read_head()  # and its fill runs

        async def handler(request, connection):
            if request.target != two:
                return await self.origin._bytes(request, connection)
            if request.field("if-none-match"):
                return await connection.reply(request, 304, [("ETag", '"v2"')], b"")
            await connection.reply(request, 200, [("ETag", '"v2"')], b"other")

        path = one.partition("?")[0]
        self.origin.on(path, handler)
        self.addCleanup(self.origin._routes.clear)
        self.assertEqual(self.get(two).body, b"other")
        self.assertEqual([r.status for r in self.seen(path) if r.target == two], [304, 200])

    def test_another_host_path_or_parameter_is_another_resource(self):
        one = self.location(1, etag="same")
        self.get(one)
        other = Origin(address="127.0.0.2").start()
        self.addCleanup(other.stop)
        reply = self.get(other.url(self.location(2, etag="same")))
        self.assertEqual(reply.status, 200)
        self.assertIsNone(other.requests[-1].field("if-none-match"))
        path = self.location(2, etag="same", seed=self.seed + "x")
        self.assert_content(self.get(path), self.seed + "x", SIZE)
        self.assertIsNone(self.seen(path)[-1].field("if-none-match"))
        self.get(self.location(2, etag="same", versionId="2"))
        self.assertIsNone(self.seen(one)[-1].field("if-none-match"))

    def test_the_clients_own_condition_and_range_are_judged_by_the_confirmed_object(self):
        self.get(self.location(1))
        etag = self.seen(self.location(1))[0] and self.get(self.location(2)).field("etag")
        reply = self.get(self.location(3), [("If-None-Match", etag)])
        self.assertEqual(reply.status, 304)
        self.assertEqual(self.seen(self.location(3))[-1].target, self.location(3))
        reply = self.get(self.location(4), [("Range", "bytes=100-199")])
        self.assertEqual((reply.status, reply.body), (206, content(self.seed, 100, 200)))
        self.assertEqual(self.seen(self.location(4))[-1].status, 304)
        reply = self.get(self.location(5), [("Range", "bytes=100-199"), ("If-Range", etag)])
        self.assertEqual((reply.status, reply.body), (206, content(self.seed, 100, 200)))

    def test_a_head_asks_the_origin(self):
        self.get(self.location(1))
        reply = self.fetch("HEAD", self.location(2))
        self.assertEqual(reply.status, 200)
        self.assertIsNone(self.seen(self.location(2))[-1].field("if-none-match"))
        self.assert_confirmed(self.get(self.location(3)))

    def test_a_part_is_completed_from_the_next_location_under_if_range(self):
        size, mib = 12 << 20, 1 << 20
        one, two, three = (self.location(n, size) for n in (1, 2, 3))
        part = [("Range", f"bytes={5 * mib}-{6 * mib - 1}")]
        self.assert_content(self.get(one, part), self.seed, mib, 5 * mib)
        # What is there, at another location: not without asking it.
        self.assert_content(self.get(two, part), self.seed, mib, 5 * mib)
        self.assertEqual(self.seen(one)[-1].target, two)
        sent = sum(r.sent for r in self.seen(one))
        self.assert_content(self.get(three), self.seed, size)
        later = [r for r in self.seen(one) if r.target == three]
        self.assertTrue(later and all(r.field("if-range") == '"%d-%s"' % (size, self.seed) for r in later), [r.fields for r in later])
        self.assertEqual(sum(r.sent for r in self.seen(one)) - sent, size - mib)
        self.assert_confirmed(self.get(self.location(4, size)), size)

    def show(self, path):
        _, _, reply = self.proxy.admin("/api/v1/cache/objects/" + urllib.parse.quote(self.origin.url(path), safe=""))
        return json.loads(reply)

    def test_fifty_clients_with_fifty_signatures_cause_one_fetch(self):
        size = 3_000_000
        numbers = itertools.count(1)
        paths = [self.location(next(numbers), size, rate=6_000_000) for _ in range(50)]
        replies = self.at_once(len(paths), lambda i: self.get(paths[i]))
        for reply in replies:
            self.assertEqual(reply.status, 200)
            self.assert_content(reply, self.seed, size)
        self.assertEqual({r.target for r in self.seen(paths[0])} - set(paths), set())
        asked = [r for r in self.seen(paths[0]) if not r.field("range") and not r.field("if-none-match")]
        self.assertEqual(len(asked), 1)
        self.assertEqual({r.field("if-none-match") is not None for r in self.seen(paths[0]) if r.status == 304}, {True})
        # Nobody was given it at a location that was not asked.
        self.assertEqual({r.target for r in self.seen(paths[0])}, set(paths))
        self.assert_content(self.get(self.location(99, size)), self.seed, size)

    def test_it_outlives_a_restart_and_keeps_no_signature(self):
        proxy = self.start_proxy(self.config)
        one, two = self.location(1), self.location(2)
        self.get(one, proxy=proxy)
        proxy.restart()
        self.assert_confirmed(self.get(two, proxy=proxy))
        proxy.stop()
        for name in os.listdir(proxy.cache_dir):
            with open(os.path.join(proxy.cache_dir, name), "rb") as f:
                self.assertNotIn(f"{1:064x}".encode(), f.read(), name)
        proxy.start()

    def test_purge_and_show_take_any_of_its_locations(self):
        self.get(self.location(1))
        lines = self.show(self.location(2))
        self.assertTrue(lines["stored"])
        self.assertIn("X-Amz-Signature=*", lines["url"])
        explanation = lines["variants"][0]["explanation"]
        self.assertIn("another signature", explanation[-1])
        self.assertNotIn("another signature", self.show(self.location(1))["variants"][0]["explanation"][-1])
        reply = self.fetch("PURGE", self.location(3))
        self.assertEqual(reply.status, 200)
        self.assertFalse(self.show(self.location(1))["stored"])
        self.get(self.location(4))
        self.assertIsNone(self.seen(self.location(4))[-1].field("if-none-match"))

    def test_variants_are_confirmed_each_for_itself(self):
        one = self.location(1, vary="X-Kind")
        self.get(one, [("X-Kind", "a")])
        reply = self.get(self.location(2, vary="X-Kind"), [("X-Kind", "b")])
        self.assertIsNone(self.seen(one)[-1].field("if-none-match"))
        reply = self.get(self.location(3, vary="X-Kind"), [("X-Kind", "a")])
        self.assertEqual(self.seen(one)[-1].status, 304, reply)


if __name__ == "__main__":
    import unittest
    unittest.main()
