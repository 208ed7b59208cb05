"""What is stored, for how long it is fresh, and how it is validated (RFC 9111)."""
import concurrent.futures
import email.utils
import random
import time
import unittest

from harness import ProxyTest

SIZE = 3000


def date(offset=0):
    return email.utils.formatdate(time.time() + offset, usegmt=True)


class Freshness(ProxyTest):
    def again(self, path, fields=()):
        """Fetch twice; the second reply."""
        self.get(path)
        return self.get(path, fields)

    def test_a_fresh_response_is_a_hit_with_age_and_cache_status(self):
        path = self.path(SIZE, cc="max-age=600")
        first = self.get(path)
        self.assertRegex(self.cache_status(first), r"^tributary; ?fwd=(uri-)?miss")
        self.assertIn("stored", self.cache_status(first))
        second = self.get(path)
        self.assert_content(second, self.seed, SIZE)
        self.assertRegex(self.cache_status(second), r"^tributary; ?hit; ?ttl=(600|59\d)$")
        self.assertRegex(second.field("age"), r"^[0-9]$")
        self.assertEqual(second.field("etag"), f'"{SIZE}-{self.seed}"')
        self.assertEqual(len(self.seen(path)), 1)

    def test_s_maxage_goes_before_max_age(self):
        path = self.path(SIZE, cc="max-age=0, s-maxage=600")
        self.assert_hit(self.again(path))

    def test_max_age_goes_before_expires(self):
        path = self.path(SIZE, cc="max-age=600", header=f"Expires:{date(-100)}")
        self.assert_hit(self.again(path))

    def test_expires_alone_makes_fresh(self):
        path = self.path(SIZE, cc="", header=f"Expires:{date(600)}")
        self.assert_hit(self.again(path))

    def test_an_invalid_expires_is_in_the_past(self):
        path = self.path(SIZE, cc="", header="Expires:0")
        self.assert_not_hit(self.again(path))

    def test_the_age_of_the_response_counts(self):
        path = self.path(SIZE, cc="max-age=600", header="Age:599")
        self.get(path)
        time.sleep(1.2)
        self.assert_not_hit(self.get(path))

    def test_a_stale_response_is_validated_and_a_304_makes_it_fresh_again(self):
        path = self.path(SIZE, cc="max-age=1")
        self.get(path)
        time.sleep(2.1)
        reply = self.get(path)
        self.assertEqual(reply.status, 200)
        self.assert_content(reply, self.seed, SIZE)
        self.assertIn("fwd=stale", self.cache_status(reply))
        self.assertIn("fwd-status=304", self.cache_status(reply))
        requests = self.seen(path)
        self.assertEqual([r.status for r in requests], [200, 304])
        self.assertEqual(requests[1].field("if-none-match"), f'"{SIZE}-{self.seed}"')
        self.assert_hit(self.get(path))

    def test_a_304_about_another_version_sends_nobody_in_circles(self):
        """While others store what is stale at once, and the origin confirms what nobody has."""
        path, clients, rounds = f"/{self.seed}/wrong-304", 8, 25

        async def confirm_another(request, connection):
            if request.field("if-none-match"):
                return await connection.reply(request, 304, [("ETag", '"never"')], b"")
            fields = [("Cache-Control", "max-age=0"), ("ETag", f'"{random.random()}"')]
            await connection.reply(request, 200, fields, b"as it is now")
        self.origin.on(path, confirm_another)

        def ask(_):
            for _ in range(rounds):
                reply = self.get(path)
                self.assertEqual((reply.status, reply.body), (200, b"as it is now"), reply)
        with concurrent.futures.ThreadPoolExecutor(clients) as pool:
            list(pool.map(ask, range(clients)))
        asked = self.seen(path)
        self.assertIn(304, [r.status for r in asked])
        self.assertLessEqual(len(asked), 3 * clients * rounds)

    def test_a_stale_response_that_changed_is_replaced(self):
        path = self.path(SIZE, cc="max-age=1", change=100)
        self.get(path)
        time.sleep(2.1)
        reply = self.get(path)
        self.assert_content(reply, self.seed + "-changed", SIZE)
        again = self.get(path)
        self.assert_content(again, self.seed + "-changed", SIZE)
        self.assert_hit(again)

    def test_last_modified_validates_where_there_is_no_etag(self):
        path = self.path(SIZE, cc="no-cache", etag="none")
        reply = self.again(path)
        self.assert_content(reply, self.seed, SIZE)
        self.assertEqual([r.status for r in self.seen(path)], [200, 304])

    def test_no_cache_from_the_origin_means_validate_each_time(self):
        path = self.path(SIZE, cc="no-cache")
        self.again(path)
        self.assertEqual([r.status for r in self.seen(path)], [200, 304])

    def test_no_cache_from_the_client_means_validate(self):
        path = self.path(SIZE)
        reply = self.again(path, {"Cache-Control": "no-cache"})
        self.assert_content(reply, self.seed, SIZE)
        self.assertEqual(len(self.seen(path)), 2)

    def test_max_age_0_from_the_client_means_validate(self):
        path = self.path(SIZE)
        self.get(path)
        time.sleep(1.1)  # an age of 0 would satisfy it
        self.get(path, {"Cache-Control": "max-age=0"})
        self.assertEqual(len(self.seen(path)), 2)

    def test_only_if_cached_never_reaches_the_origin(self):
        path = self.path(SIZE)
        reply = self.get(path, {"Cache-Control": "only-if-cached"})
        self.assertEqual(reply.status, 504, reply)
        self.assertEqual(self.seen(path), [])
        self.get(path)
        self.assert_content(self.get(path, {"Cache-Control": "only-if-cached"}), self.seed, SIZE)

    def test_the_clients_own_validator_is_answered_from_the_cache(self):
        path = self.path(SIZE)
        etag = self.get(path).field("etag")
        reply = self.get(path, {"If-None-Match": etag})
        self.assertEqual(reply.status, 304, reply)
        self.assertEqual(reply.field("etag"), etag)
        self.assertEqual(reply.body, b"")
        self.assert_content(self.get(path, {"If-None-Match": '"other"'}), self.seed, SIZE)
        reply = self.get(path, {"If-Modified-Since": date()})
        self.assertEqual(reply.status, 304, reply)
        self.assertEqual(len(self.seen(path)), 1)

    def test_the_clients_validator_on_a_miss_gets_the_origins_304(self):
        path = self.path(SIZE)
        reply = self.get(path, {"If-None-Match": f'"{SIZE}-{self.seed}"'})
        self.assertEqual(reply.status, 304, reply)
        self.assert_content(self.get(path), self.seed, SIZE)

    def test_must_revalidate_with_an_origin_that_is_gone_is_an_error_not_a_stale_answer(self):
        path = self.path(SIZE, cc="max-age=1, must-revalidate")
        self.get(path)
        time.sleep(2.1)

        async def gone(request, connection):
            raise ConnectionError
        self.origin.on(path.partition("?")[0], gone)
        reply = self.get(path)
        self.assertGreaterEqual(reply.status, 502, reply)

    def test_head_is_answered_from_a_stored_get(self):
        path = self.path(SIZE)
        self.get(path)
        reply = self.fetch("HEAD", path)
        self.assertEqual((reply.status, reply.body, reply.field("content-length")), (200, b"", str(SIZE)))
        self.assertEqual(len(self.seen(path)), 1)

    def test_a_head_that_misses_passes_and_stores_no_content(self):
        path = self.path(SIZE)
        reply = self.fetch("HEAD", path)
        self.assertEqual((reply.status, reply.field("content-length")), (200, str(SIZE)))
        self.assert_content(self.get(path), self.seed, SIZE)

    def test_permanent_redirects_and_not_found_are_stored_when_they_say_so(self):
        for status in (301, 404, 410):
            path = self.path(10, status=status, location="/elsewhere", seed=f"{self.seed}-{status}")
            reply = self.again(path)
            self.assertEqual(reply.status, status)
            self.assert_hit(reply)

    def test_without_any_freshness_a_response_with_last_modified_may_be_heuristically_fresh_only_without_a_query(self):
        path = f"/bytes/{SIZE}/{self.seed}"  # last modified years ago
        self.again(path)
        self.assertLessEqual(len(self.seen(path)), 2)
        path = f"/bytes/{SIZE}/{self.seed}-query?x=1"
        self.again(path)
        self.assertEqual(len(self.seen(path)), 2)


class Storing(ProxyTest):
    def assert_never_a_hit(self, path, fields=()):
        for _ in range(2):
            self.assert_not_hit(self.get(path, fields))
        self.assertEqual(len(self.seen(path)), 2)

    def test_no_store_and_private_are_not_stored(self):
        for i, cc in enumerate(("no-store", "private", "private, max-age=600", "max-age=600, no-store")):
            with self.subTest(cc):
                self.assert_never_a_hit(self.path(SIZE, cc=cc, seed=f"{self.seed}-{i}"))

    def test_no_store_from_the_client_is_obeyed(self):
        self.assert_never_a_hit(self.path(SIZE), {"Cache-Control": "no-store"})

    def test_a_response_to_authorization_is_shared_only_when_it_says_so(self):
        self.assert_never_a_hit(self.path(SIZE), {"Authorization": "Basic eDp5"})
        path = self.path(SIZE, cc="public, max-age=600", seed=self.seed + "-public")
        self.get(path, {"Authorization": "Basic eDp5"})
        self.assert_hit(self.get(path, {"Authorization": "Basic eDp5"}))

    def test_server_errors_are_not_stored_without_explicit_freshness(self):
        self.assert_never_a_hit(self.path(SIZE, cc="", status=500))

    def test_a_response_to_post_is_not_served_to_get(self):
        path = self.path(SIZE)
        self.fetch("POST", path, (), b"x")
        self.assert_not_hit(self.get(path))

    def test_unsafe_methods_invalidate(self):
        for method in ("POST", "PUT", "DELETE", "PATCH"):
            with self.subTest(method):
                path = self.path(SIZE, seed=f"{self.seed}-{method}")
                self.get(path)
                self.assert_hit(self.get(path))
                self.fetch(method, path, (), b"change")
                self.assert_not_hit(self.get(path))

    def test_an_unsafe_method_that_failed_invalidates_nothing(self):
        path = self.path(SIZE)
        target = path.partition("?")[0]
        self.get(path)

        async def refuse(request, connection):
            await connection.reply(request, 500, [], b"no")
        self.origin.on(target, refuse)
        self.fetch("POST", path, (), b"change")
        self.assert_hit(self.get(path))

    def test_different_queries_and_paths_are_different_objects(self):
        for a, b in (("x=1", "x=2"), ("x=1", "X=1"), ("", "y")):
            first = self.get(f"/bytes/100/{self.seed}a?cc=max-age=60&{a}")
            second = self.get(f"/bytes/100/{self.seed}b?cc=max-age=60&{b}")
            self.assert_content(first, self.seed + "a", 100)
            self.assert_content(second, self.seed + "b", 100)

    def test_the_host_in_any_case_and_with_the_default_port_is_the_same(self):
        path = self.path(SIZE)
        self.get(path)
        url = self.origin.url(path)
        self.assert_hit(self.get(url.replace("http://", "HTTP://")))

    def test_set_cookie_is_shared_only_with_a_response_that_is_explicitly_public(self):
        self.assert_never_a_hit(self.path(SIZE, cc="", header="Set-Cookie:a=b"))


class Vary(ProxyTest):
    def test_variants_are_kept_apart_and_each_hits(self):
        path = self.path(SIZE, vary="Accept-Language")
        for _ in range(2):
            for language in ("en", "de"):
                reply = self.get(path, {"Accept-Language": language})
                self.assert_content(reply, f"{self.seed}|{language}", SIZE)
        self.assertEqual(len(self.seen(path)), 2)

    def test_a_request_without_the_field_is_a_variant_of_its_own(self):
        path = self.path(SIZE, vary="Accept-Language")
        self.get(path, {"Accept-Language": "en"})
        reply = self.get(path)
        self.assert_content(reply, f"{self.seed}|", SIZE)
        self.assertEqual(len(self.seen(path)), 2)

    def test_vary_star_is_never_a_hit(self):
        self.origin.raw("/star", b"HTTP/1.1 200 OK\r\nVary: *\r\nCache-Control: max-age=60\r\nContent-Length: 1\r\n\r\nx")
        for _ in range(2):
            self.assert_not_hit(self.get("/star"))

    def test_variants_survive_side_by_side_when_asked_at_once(self):
        path = self.path(SIZE, vary="X-Variant", delay=0.1)
        replies = self.at_once(20, lambda i: self.get(path, {"X-Variant": str(i % 4)}))
        for i, reply in enumerate(replies):
            self.assert_content(reply, f"{self.seed}|{i % 4}", SIZE)


if __name__ == "__main__":
    unittest.main()
