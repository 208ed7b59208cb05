"""What one client says, and when, changes nothing that another is given (V-3, P-8)."""
import asyncio
import json
import threading
import unittest

from harness import ProxyTest
from harness.proxy import wait_until

FRESH = ("Cache-Control", "max-age=600")
STALE = ("Age", "700")
REFRESHED = ("Cache-Control", "max-age=600, stale-while-revalidate=1000")


class Isolation(ProxyTest):
    def script(self, *answers):
        """Answers for this test's path, one after the other, the last for ever: (status, fields, body) or a coroutine function."""
        path = f"/{self.seed}"
        left = list(answers)

        async def handler(request, connection):
            answer = left.pop(0) if len(left) > 1 else left[0]
            if callable(answer):
                return await answer(request, connection)
            status, fields, body = answer
            await connection.reply(request, status, list(fields), body)
        self.origin.on(path, handler)
        return path

    def test_a_field_that_connection_names_does_not_choose_a_variant(self):
        """The origin never sees it: what it answers is not what those get who really send it."""
        async def by_tenant(request, connection):
            body = (request.field("x-tenant") or "nobody").encode()
            await connection.reply(request, 200, [FRESH, ("Vary", "X-Tenant")], body)
        path = self.script(by_tenant)
        hidden = {"X-Tenant": "acme", "Connection": "keep-alive, X-Tenant"}
        self.get(path, hidden)
        self.assertEqual(self.get(path, {"X-Tenant": "acme"}).body, b"acme")
        self.assertEqual(self.get(path, hidden).body, b"nobody")
        self.fetch("POST", path, hidden, b"input")

    def test_a_head_does_not_freshen_an_error(self):
        """RFC 9111 4.3.5: a 200 to HEAD says nothing about a stored 404."""
        path = self.script((404, [FRESH, STALE], b"gone"),
                           lambda request, connection: connection.send(b"HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\n\r\n"),
                           (200, [FRESH], b"back"))
        self.assertEqual(self.get(path).status, 404)
        self.assertEqual(self.fetch("HEAD", path).status, 200)
        self.assertEqual(self.get(path).body, b"back")

    def in_the_middle(self, meanwhile):
        """A GET that the origin answers with the old content, but only when meanwhile(path) has changed it."""
        asked, release = threading.Event(), threading.Event()

        async def old(request, connection):
            asked.set()
            await asyncio.get_running_loop().run_in_executor(None, release.wait, 20)
            await connection.reply(request, 200, [FRESH], b"old")
        path = self.script(old, (204, [], b""), (200, [FRESH], b"new"))
        self.addCleanup(release.set)
        got = []
        fields = {"If-None-Match": '"x"'} if "condition" in self.seed else {}
        slow = threading.Thread(target=lambda: got.append(self.get(path, fields)))
        slow.start()
        self.assertTrue(asked.wait(20))
        meanwhile(path)
        release.set()
        slow.join(20)
        self.assertEqual([reply.body for reply in got], [b"old"])
        return path

    def test_a_get_that_was_under_way_does_not_undo_a_put(self):
        """RFC 9111 4.4: what was asked for before the change is not stored after it, and whoever comes after it does not wait
        for that."""
        def put(path):
            self.assertEqual(self.fetch("PUT", path, (), b"new").status, 204)
            self.assertEqual(self.get(path).body, b"new")
        path = self.in_the_middle(put)
        reply = self.get(path)
        self.assertEqual(reply.body, b"new")
        self.assert_hit(reply)

    def test_a_get_with_a_condition_that_was_under_way_does_not_undo_a_put(self):
        path = self.in_the_middle(lambda path: self.assertEqual(self.fetch("PUT", path, (), b"new").status, 204))
        self.assertEqual(self.get(path).body, b"new")

    def stored(self, what):
        return json.loads(self.proxy.admin("/api/v1/cache")[2])[what]

    def fills(self):
        return self.stored("fills")

    def test_a_refresh_of_unknown_length_is_not_given_up_because_nobody_reads_it(self):
        release = threading.Event()

        async def slowly(request, connection):
            await connection.send(b"HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nnew\r\n")
            await asyncio.get_running_loop().run_in_executor(None, release.wait, 20)
            await connection.send(b"0\r\n\r\n")
        path = self.script((200, [REFRESHED, STALE], b"old"), slowly, (200, [FRESH], b"third"))
        self.addCleanup(release.set)
        self.get(path)
        self.assertEqual(self.get(path).body, b"old")
        wait_until(lambda: self.fills() == 1, what="the refresh being stored")
        # Twice as long as an unread fetch is given: only time can show that it was not given up.
        with self.assertRaises(AssertionError):
            wait_until(lambda: self.fills() == 0, timeout=2.5)
        release.set()
        wait_until(lambda: self.fills() == 0, what="the end of the refresh")
        reply = self.get(path)
        self.assertEqual(reply.body, b"new")
        self.assert_hit(reply)

    def test_a_client_that_says_no_store_starts_no_refresh(self):
        """RFC 9111 5.2.1.5: nothing of its request may be stored, and Vary would store what it sent."""
        path = self.script((200, [REFRESHED, STALE], b"old"), (200, [FRESH, ("Vary", "X-Secret")], b"new"))
        self.get(path)
        self.assertEqual(self.get(path, {"Cache-Control": "no-store", "X-Secret": "mine"}).body, b"old")
        self.assertEqual(self.get(path, {"Cache-Control": "only-if-cached"}).body, b"old")
        self.assertEqual(len(self.seen(path)), 1)
        self.get(path)
        wait_until(lambda: self.get(path).body == b"new", what="the refresh for one who allows it")
        self.assertNotIn("secret", str(self.seen(path)[1].fields).lower())

    def test_nobody_waits_behind_a_client_that_says_no_store(self):
        asked, release = threading.Event(), threading.Event()

        async def held(request, connection):
            asked.set()
            await asyncio.get_running_loop().run_in_executor(None, release.wait, 20)
            await connection.reply(request, 200, [FRESH], b"first")
        path = self.script(held, (200, [FRESH], b"second"))
        self.addCleanup(release.set)
        slow = threading.Thread(target=lambda: self.get(path, {"Cache-Control": "no-store"}))
        slow.start()
        self.assertTrue(asked.wait(20))
        self.assertEqual(self.get(path).body, b"second")
        release.set()
        slow.join(20)
        self.assertEqual(self.get(path).body, b"second")

    def partial(self, **query):
        """An object of which the store has the first part alone."""
        path = self.path(40 << 20, **query)
        self.fetch("GET", path, {"Range": "bytes=0-9"})
        reply = self.get(path, {"Range": "bytes=0-9"})
        self.assert_hit(reply)
        wait_until(lambda: self.fills() == 0 and self.stored("bytes") > 0, what="the part being stored")
        return path

    def test_a_client_that_says_no_store_completes_nothing(self):
        """RFC 9111 5.2.1.5"""
        path = self.partial()
        before = self.stored("bytes")
        reply = self.get(path, {"Cache-Control": "no-store"})
        self.assert_content(reply, self.seed, 40 << 20)
        self.assertEqual(self.stored("bytes"), before)
        self.assertIsNone(self.seen(path)[-1].field("if-range"))

    def test_a_part_that_may_not_be_stored_completes_nothing(self):
        """RFC 9111 3: the first part was for all, the rest says that it is for one."""
        path = f"/{self.seed}"
        whole = bytes(range(256)) * (20 << 12)
        private = [False]

        async def handler(request, connection):
            value = request.field("range")
            fields = [("ETag", '"a"'), ("Cache-Control", "private" if private[0] else "max-age=600")]
            if not value:
                return await connection.reply(request, 200, fields, whole)
            first, _, last = value.removeprefix("bytes=").partition("-")
            first, last = int(first), min(int(last or len(whole)), len(whole) - 1)
            await connection.reply(request, 206, [*fields, ("Content-Range", f"bytes {first}-{last}/{len(whole)}")],
                                   whole[first:last + 1])
        self.origin.on(path, handler)
        self.get(path, {"Range": "bytes=0-9"})
        self.assert_hit(self.get(path, {"Range": "bytes=0-9"}))
        wait_until(lambda: self.fills() == 0, what="the end of the first fetch")
        private[0] = True
        far = {"Range": f"bytes={15 << 20}-{(15 << 20) + 9}"}
        for _ in range(2):
            reply = self.get(path, far)
            self.assertEqual((reply.status, reply.body), (206, whole[15 << 20:(15 << 20) + 10]))
            self.assert_not_hit(reply)


if __name__ == "__main__":
    unittest.main()
