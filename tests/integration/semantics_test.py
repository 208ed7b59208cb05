"""What the cache makes of responses beyond plain freshness: RFC 9111 4.3 to 5.2, RFC 5861, RFC 8246, RFC 9211, RFC 9213.

A response that carries an Age above its lifetime is stale on arrival, so nothing here waits for time to pass.
"""
import asyncio
import threading
import unittest

from harness import ProxyTest
from harness.proxy import Tributary, wait_until

STALE = ("Age", "100")


class Scripted(ProxyTest):
    def script(self, path, *answers):
        """Answer the requests for this path one after the other, the last for ever: (status, fields, body), or a coroutine
        function that takes request and connection."""
        state = {"n": 0}

        async def handler(request, connection):
            answer = answers[min(state["n"], len(answers) - 1)]
            state["n"] += 1
            if callable(answer):
                return await answer(request, connection)
            status, fields, body = answer
            await connection.reply(request, status, list(fields.items()) if isinstance(fields, dict) else fields, body)
        self.origin.on(path, handler)
        return path

    @staticmethod
    def head(*lines):
        """An answer to HEAD, sent as it stands here."""
        async def answer(request, connection):
            await connection.send(("\r\n".join(("HTTP/1.1 200 OK", *lines)) + "\r\n\r\n").encode())
        return answer

    def at(self):
        return f"/scripted/{self.id().rpartition('.')[2]}"


class StaleWhileRevalidate(Scripted):  # RFC 5861 3
    def test_a_stale_response_is_served_at_once_and_refreshed_once(self):
        """P-8: the origin holds its answer back; whatever the number of clients it is asked once."""
        release = threading.Event()

        async def later(request, connection):
            await asyncio.get_running_loop().run_in_executor(None, release.wait, 20)
            await connection.reply(request, 200, [("Cache-Control", "max-age=600")], b"new")
        path = self.script(self.at(), (200, [("Cache-Control", "max-age=10, stale-while-revalidate=1000"), STALE], b"old"), later)
        self.addCleanup(release.set)
        self.get(path)
        for reply in self.at_once(20, lambda i: self.get(path)):
            self.assertEqual(reply.body, b"old")
            self.assertRegex(self.cache_status(reply), r"^tributary; hit; ttl=-\d+$")
        wait_until(lambda: len(self.seen(path)) == 2, what="the refresh reached the origin")
        self.assertEqual(self.get(path).body, b"old")
        self.assertEqual(len(self.seen(path)), 2)
        release.set()
        reply = wait_until(lambda: "hit" in self.cache_status(r := self.get(path)) and r.body == b"new" and r,
                           what="a hit on the refreshed response")
        self.assertRegex(self.cache_status(reply), r"ttl=(600|599)$")
        self.assertEqual(len(self.seen(path)), 2)

    def test_the_refresh_is_conditional_and_of_the_whole(self):
        cc = "max-age=10, stale-while-revalidate=1000"
        path = self.script(self.at(), (200, [("Cache-Control", cc), ("ETag", '"a"'), STALE], b"content"),
                           (304, [("Cache-Control", "max-age=600"), ("ETag", '"a"'), ("Age", "20")], b""))
        self.get(path)
        reply = self.get(path, {"Range": "bytes=0-3", "If-None-Match": '"x"', "Cache-Control": "max-stale=1"})
        self.assertEqual((reply.status, reply.body), (206, b"cont"))
        wait_until(lambda: len(self.seen(path)) == 2, what="the refresh reached the origin")
        refresh = self.seen(path)[1]
        self.assertEqual((refresh.method, refresh.field("if-none-match"), refresh.field("range")), ("GET", '"a"', None))
        self.assertIsNone(refresh.field("cache-control"))
        reply = wait_until(lambda: "hit; ttl=5" in self.cache_status(r := self.get(path)) and r, what="freshness")
        self.assertEqual((reply.body, len(self.seen(path))), (b"content", 2))

    def test_a_refresh_that_fails_leaves_what_is_stored(self):
        path = self.script(self.at(), (200, [("Cache-Control", "max-age=10, stale-while-revalidate=1000"), STALE], b"old"),
                           (503, [("Cache-Control", "max-age=600")], b"down"))
        self.get(path)
        for _ in range(3):
            self.assertEqual(self.get(path).body, b"old")
        wait_until(lambda: len(self.seen(path)) >= 2, what="the refresh reached the origin")
        self.assertEqual(self.get(path).body, b"old")

    def test_a_refresh_that_fails_is_not_tried_by_every_client_that_comes(self):
        async def gone(request, connection):
            raise ConnectionError
        for i, failure in enumerate(((503, [], b"down"), gone)):
            path = self.script(f"{self.at()}{i}", (200, [("Cache-Control", "max-age=10, stale-while-revalidate=1000"), STALE], b"old"), failure)
            self.get(path)
            self.assertEqual(self.get(path).body, b"old")
            wait_until(lambda: len(self.seen(path)) >= 2, what="the refresh reached the origin")
            for _ in range(30):
                self.assertEqual(self.get(path).body, b"old")
            # Each attempt may be made twice: a connection that breaks is no answer.
            self.assertLessEqual(len(self.seen(path)), 1 + 2 * 2, f"{len(self.seen(path))} requests")

    def test_a_refresh_that_brings_something_uncacheable_removes_what_is_stored(self):
        path = self.script(self.at(), (200, [("Cache-Control", "max-age=10, stale-while-revalidate=1000"), STALE], b"old"),
                           (404, [("Cache-Control", "no-store")], b"gone"))
        self.get(path)
        self.assertEqual(self.get(path).body, b"old")
        wait_until(lambda: self.get(path).body == b"gone", what="the new answer")

    def test_not_against_must_revalidate(self):
        path = self.script(self.at(), (200, [("Cache-Control", "max-age=10, must-revalidate, stale-while-revalidate=1000"),
                                             STALE], b"old"), (200, [("Cache-Control", "max-age=10")], b"new"))
        self.get(path)
        self.assertEqual(self.get(path).body, b"new")


class StaleIfError(Scripted):  # RFC 5861 4
    def test_as_the_response_allows(self):
        path = self.script(self.at(), (200, [("Cache-Control", "max-age=10, stale-if-error=1000"), STALE], b"old"),
                           (503, [], b"down"))
        self.get(path)
        reply = self.get(path)
        self.assertEqual((reply.status, reply.body), (200, b"old"))
        self.assertRegex(self.cache_status(reply), r"^tributary; fwd=stale; fwd-status=503; ttl=-\d+$")
        self.assertGreaterEqual(int(reply.field("age")), 100)

    def test_as_the_request_allows(self):
        path = self.script(self.at(), (200, [("Cache-Control", "max-age=10"), STALE], b"old"), (500, [], b"down"))
        self.get(path)
        self.assertEqual(self.get(path, {"Cache-Control": "stale-if-error=1000"}).body, b"old")
        self.assertEqual(self.get(path).status, 500)

    def test_not_for_other_errors_and_not_against_must_revalidate(self):
        path = self.script(self.at(), (200, [("Cache-Control", "max-age=10, stale-if-error=1000"), STALE], b"old"),
                           (404, [], b"gone"))
        self.get(path)
        self.assertEqual(self.get(path).status, 404)
        path = self.script(self.at() + "-2", (200, [("Cache-Control", "max-age=10, must-revalidate, stale-if-error=1000"),
                                                    STALE], b"old"), (503, [], b"down"))
        self.get(path)
        self.assertEqual(self.get(path).status, 503)


class Validation(Scripted):  # RFC 9111 4.3
    def test_a_304_updates_the_stored_fields(self):
        path = self.script(self.at(), (200, [("Cache-Control", "max-age=10"), ("ETag", '"a"'), ("X-A", "1"), ("X-B", "1"), STALE],
                                       b"content"),
                           (304, [("Cache-Control", "max-age=600"), ("ETag", '"a"'), ("X-A", "2"), ("Content-Type", "a/b"),
                                  ("Via", "1.1 elsewhere")], b""))
        self.get(path)
        for reply in (self.get(path), self.get(path)):
            self.assertEqual((reply.body, reply.field("x-a"), reply.field("x-b"), reply.field("content-type"),
                              reply.field("content-length")), (b"content", "2", "1", "a/b", "7"))
            self.assertIn("tributary", reply.field("via"))
        self.assert_hit(reply)

    def test_a_304_that_forbids_storing_ends_it(self):
        path = self.script(self.at(), (200, [("Cache-Control", "max-age=10"), ("ETag", '"a"'), STALE], b"content"),
                           (304, [("Cache-Control", "no-store"), ("ETag", '"a"')], b""), (200, [], b"next"))
        self.get(path)
        self.assertEqual(self.get(path).body, b"content")
        self.assertEqual(self.get(path).body, b"next")
        self.assertIsNone(self.seen(path)[2].field("if-none-match"))

    def test_a_304_with_another_vary_is_not_taken(self):
        path = self.script(self.at(), (200, [("Cache-Control", "max-age=10"), ("ETag", '"a"'), STALE], b"for everybody"),
                           (304, [("Vary", "Cookie"), ("ETag", '"a"')], b""),
                           (200, [("Cache-Control", "max-age=600"), ("Vary", "Cookie")], b"for one"))
        self.get(path)
        self.assertEqual(self.get(path, {"Cookie": "a=1"}).body, b"for one")
        self.assert_not_hit(self.get(path, {"Cookie": "a=2"}))

    def test_a_client_that_says_no_store_freshens_nothing(self):
        path = self.script(self.at(), (200, [("Cache-Control", "max-age=10"), ("ETag", '"a"'), STALE], b"old"),
                           (200, [("Cache-Control", "max-age=600")], b"secret"), (304, [("ETag", '"a"')], b""))
        self.get(path)
        self.assertEqual(self.get(path, {"Cache-Control": "no-store"}).body, b"secret")
        self.assertEqual(self.get(path).body, b"old")

    def test_if_modified_since_is_judged_by_date_where_there_is_no_last_modified(self):  # 4.3.2
        path = self.script(self.at(), (200, [("Expires", "Sun, 06 Nov 2094 08:49:37 GMT"),
                                             ("Date", "Sun, 06 Nov 1994 08:49:37 GMT")], b"content"))
        self.get(path)
        self.assertEqual(self.get(path, {"If-Modified-Since": "Sun, 06 Nov 1994 08:49:37 GMT"}).status, 304)
        self.assertEqual(self.get(path, {"If-Modified-Since": "Sun, 06 Nov 1994 08:49:36 GMT"}).status, 200)
        self.assertEqual(len(self.seen(path)), 1)

    def test_a_head_freshens_the_stored_get(self):  # 4.3.5
        path = self.script(self.at(), (200, [("Cache-Control", "max-age=10"), ("X-A", "1"), ("X-B", "1"), STALE], b"content"),
                           self.head("Cache-Control: max-age=600", "X-A: 2", "Content-Length: 7"))
        self.get(path)
        reply = self.fetch("HEAD", path)
        self.assertEqual((reply.field("x-a"), reply.field("x-b"), reply.field("content-length")), ("2", "1", "7"))
        reply = self.get(path)
        self.assertEqual((reply.body, reply.field("x-a")), (b"content", "2"))
        self.assert_hit(reply)

    def test_a_head_that_shows_another_length_ends_it(self):
        path = self.script(self.at(), (200, [("Cache-Control", "max-age=10, stale-if-error=1000"), STALE], b"content"),
                           self.head("Cache-Control: max-age=600", "Content-Length: 8"), (503, [], b"down"))
        self.get(path)
        self.assertEqual(self.fetch("HEAD", path).field("content-length"), "8")
        self.assertEqual(self.get(path).status, 503)

    def test_immutable_is_not_validated_for_a_reload(self):  # RFC 8246
        path = self.script(self.at(), (200, [("Cache-Control", "max-age=600, immutable"), ("Age", "5"), ("ETag", '"a"')], b"x"))
        self.get(path)
        self.assert_hit(self.get(path, {"Cache-Control": "max-age=0"}))
        self.get(path, {"Cache-Control": "no-cache"})
        self.assertEqual(len(self.seen(path)), 2)


class Storing(Scripted):  # RFC 9111 3
    def test_fields_that_private_and_no_cache_name_are_for_the_one_who_asked(self):  # 5.2.2.4, 5.2.2.7
        path = self.script(self.at(), (200, [("Cache-Control", 'max-age=600, private="Set-Cookie", no-cache="X-A"'),
                                             ("Set-Cookie", "secret=1"), ("X-A", "1"), ("X-B", "1")], b"content"))
        reply = self.get(path)
        self.assertEqual((reply.field("set-cookie"), reply.field("x-a"), reply.field("x-b")), ("secret=1", "1", "1"))
        reply = self.get(path)
        self.assert_hit(reply)
        self.assertEqual((reply.field("set-cookie"), reply.field("x-a"), reply.field("x-b")), (None, None, "1"))

    def test_a_post_that_names_its_target_answers_later_gets(self):  # RFC 9110 9.3.3
        path = self.script(self.at(), (200, [("Cache-Control", "max-age=600"), ("Content-Location", self.at())], b"made"))
        reply = self.fetch("POST", path, {"If-None-Match": "*"}, b"input")
        self.assertEqual((reply.status, reply.body), (200, b"made"))
        reply = self.get(path)
        self.assert_hit(reply)
        self.assertEqual(reply.body, b"made")
        self.assertEqual(self.seen(path)[0].body, b"input")

    def test_a_post_that_names_something_else_does_not(self):
        path = self.script(self.at(), (200, [("Cache-Control", "max-age=600"), ("Content-Location", "/other")], b"made"))
        self.fetch("POST", path, (), b"input")
        self.assert_not_hit(self.get(path))

    def test_interim_responses_are_relayed_and_not_stored(self):
        path = self.path(10, early="103")
        self.assertEqual([r[0] for r in self.get(path).interim], [103])
        reply = self.get(path)
        self.assert_hit(reply)
        self.assertEqual(reply.interim, [])

    def test_targeted_fields_go_before_cache_control(self):  # RFC 9213
        path = self.script(self.at(), (200, [("Cache-Control", "no-store"), ("CDN-Cache-Control", "max-age=600")], b"x"))
        self.get(path)
        reply = self.get(path)
        self.assert_hit(reply)
        self.assertEqual(reply.field("cdn-cache-control"), "max-age=600")
        path = self.script(self.at() + "-2", (200, [("Cache-Control", "max-age=600"), ("CDN-Cache-Control", "no-store")], b"x"))
        self.get(path)
        self.assert_not_hit(self.get(path))
        path = self.script(self.at() + "-3", (200, [("Cache-Control", "no-store"), ("CDN-Cache-Control", "max-age=9, &")], b"x"))
        self.get(path)
        self.assert_not_hit(self.get(path))

    def test_an_error_is_fresh_for_a_guess_by_last_modified_or_not_at_all(self):  # 4.2.2
        modified = ("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT")
        path = self.script(self.at(), (404, [modified], b"no"))
        self.get(path)
        self.assertRegex(self.cache_status(self.get(path)), r"hit; ttl=(60|59)")
        path = self.script(self.at() + "-2", (404, [], b"no"))
        self.get(path)
        self.assert_not_hit(self.get(path))


class Invalidation(Scripted):  # RFC 9111 4.4
    def stored(self, path):
        self.script(path, (200, [("Cache-Control", "max-age=600")], b"x"))
        self.get(path)
        self.assert_hit(self.get(path))
        return path

    def test_an_unknown_method_invalidates_what_it_names_within_the_origin(self):
        target, location, content_location, other = (self.stored(f"{self.at()}-{i}") for i in range(4))
        self.script(target, (200, [("Location", location), ("Content-Location", self.origin.url(content_location))], b"done"))
        self.fetch("M-SEARCH", target)
        self.script(target, (200, [("Cache-Control", "max-age=600")], b"x"))
        for path in (target, location, content_location):
            self.assert_not_hit(self.get(path))
        self.assert_hit(self.get(other))

    def test_another_origin_is_not_touched(self):
        target = self.stored(self.at())
        victim = self.origin.url(self.stored(self.at() + "-victim"))
        self.script(target, (200, [("Location", victim.replace("127.0.0.1", "localhost"))], b"done"))
        self.get(victim.replace("127.0.0.1", "localhost"))
        self.fetch("POST", target, (), b"x")
        self.assert_hit(self.get(victim.replace("127.0.0.1", "localhost")))


class Configured(Scripted):
    config = {"cache": {"ignore_query": ["utm_*", "fbclid"], "negative_ttl": "10m", "stale_while_revalidate": "1h",
                        "stale_if_error": "1h", "targeted_fields": []}}

    def test_ignored_query_parameters_reach_the_origin_but_make_no_key(self):
        path = self.script(self.at(), (200, [("Cache-Control", "max-age=600")], b"x"))
        self.get(path + "?utm_source=a&b=1")
        self.assertEqual(self.seen(path)[0].target, path + "?utm_source=a&b=1")
        self.assert_hit(self.get(path + "?b=1&fbclid=7"))
        self.assert_not_hit(self.get(path + "?b=2"))
        self.fetch("POST", path + "?utm_other&b=1", (), b"x")
        self.assert_not_hit(self.get(path + "?b=1"))

    def test_errors_that_say_nothing_are_kept_for_negative_ttl(self):
        path = self.script(self.at(), (404, [], b"no"))
        self.get(path)
        self.assertRegex(self.cache_status(self.get(path)), r"hit; ttl=(600|599)")

    def test_stale_while_revalidate_and_stale_if_error_by_configuration(self):
        path = self.script(self.at(), (200, [("Cache-Control", "max-age=10"), STALE], b"old"), (503, [], b"down"))
        self.get(path)
        self.assert_hit(self.get(path))
        path = self.script(self.at() + "-2", (200, [("Cache-Control", "max-age=10, stale-while-revalidate=0"), STALE], b"old"),
                           (503, [], b"down"))
        self.get(path)
        self.assertEqual(self.get(path).body, b"old")

    def test_without_targeted_fields_cache_control_counts(self):
        path = self.script(self.at(), (200, [("Cache-Control", "no-store"), ("CDN-Cache-Control", "max-age=600")], b"x"))
        self.get(path)
        self.assert_not_hit(self.get(path))


class Offline(Scripted):
    def test_what_is_stored_is_served_and_the_origin_never_asked(self):
        fresh = self.script(self.at(), (200, [("Cache-Control", "max-age=600")], b"fresh"))
        stale = self.script(self.at() + "-stale", (200, [("Cache-Control", "max-age=10"), STALE], b"stale"))
        strict = self.script(self.at() + "-strict", (200, [("Cache-Control", "max-age=10, must-revalidate"), STALE], b"x"))
        online = Tributary()
        self.addCleanup(online.remove)
        self.addCleanup(online.kill)
        online.start()
        for path in (fresh, stale, strict):
            self.get(path, proxy=online)
        self.assertEqual(online.stop(), 0)
        offline = self.start_proxy({"cache": {"offline": True}}, directory=online.dir)
        before = len(self.origin.requests)
        self.assertEqual(self.get(fresh, proxy=offline).body, b"fresh")
        self.assertEqual(self.get(stale, proxy=offline).body, b"stale")
        for reply in (self.get(strict, proxy=offline), self.get(self.at() + "-absent", proxy=offline),
                      self.fetch("POST", fresh, (), b"x", proxy=offline)):
            self.assertEqual(reply.status, 504, reply)
        self.assertEqual(len(self.origin.requests), before)


if __name__ == "__main__":
    unittest.main()
