"""Cache poisoning and deception (V-3): what one client sends must never change what another is given.

The origin here is as naive as they come: it puts everything that it is sent into its answer, and lets all of it be stored. So
whatever of one client's request can be seen in the answer to another's has got past the cache key.
"""
import json
import unittest

from harness import ProxyTest

CC = ("Cache-Control", "max-age=600")
EVIL = "evil.example"


class Poisoning(ProxyTest):
    def setUp(self):
        super().setUp()
        self.root = f"/{self.seed}"

    async def echo(self, request, connection):
        body = json.dumps({"method": request.method, "target": request.target, "fields": request.fields,
                           "body": request.body.decode("latin-1")}).encode()
        await connection.reply(request, 200, [CC, ("X-Target", request.target)], body)

    def naive(self, *paths):
        for path in paths:
            self.origin.on(path, self.echo)
        return paths[0]

    def assert_clean(self, path, marker):
        """An ordinary client gets an ordinary answer, from the cache or not."""
        reply = self.get(path)
        self.assertEqual(reply.status, 200, reply)
        answer = json.loads(reply.body)
        self.assertNotIn(marker, reply.body.decode("latin-1"), "another client's input was served")
        self.assertEqual((answer["method"], answer["target"]), ("GET", path.partition("#")[0]))
        return reply

    def test_fields_that_name_another_host_never_reach_the_origin_as_such(self):
        """Host is made from the target; the rest passes, but is not what an answer is stored under."""
        path = self.naive(self.root)
        url = self.origin.url(path)
        client = self.client()
        client.request("GET", url, host=EVIL)
        reply = client.read_response()
        if reply.status == 200:
            self.assertNotIn(EVIL, reply.body.decode())
        self.assert_clean(path, EVIL)
        self.assertEqual({r.field("host") for r in self.seen(path)}, {url.split("/")[2]})

    def test_a_field_that_changes_the_answer_must_be_named_in_vary(self):
        """The limits of any cache: an unkeyed field is the origin's fault. With Vary it is apart."""
        for i, name in enumerate(("X-Forwarded-Host", "X-Forwarded-Proto", "X-Original-URL", "X-Rewrite-URL", "Forwarded",
                                  "X-HTTP-Method-Override", "X-Forwarded-Scheme", "Origin", "Cookie", "User-Agent", "X-Unknown")):
            async def vary(request, connection, name=name):
                await connection.reply(request, 200, [CC, ("Vary", name)], json.dumps(
                    {"method": request.method, "target": request.target, "seen": request.field(name)}).encode())
            path = f"{self.root}/{i}"
            self.origin.on(path, vary)
            with self.subTest(name):
                self.get(path, {name: EVIL})
                self.assert_clean(path, EVIL)
                self.assertIn(EVIL, self.get(path, {name: EVIL}).body.decode())

    def test_a_get_with_content_is_neither_stored_nor_answered_from_the_store(self):
        path = self.naive(self.root)
        reply = self.fetch("GET", path, (), b"poison=1")
        self.assertIn("poison", reply.body.decode())
        self.assert_clean(path, "poison")
        self.assertIn("poison=2", self.fetch("GET", path, (), b"poison=2").body.decode())

    def test_methods_are_never_mixed_whatever_overrides_them(self):
        path = self.naive(self.root)
        for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "get", "GETS", "X-EVIL"):
            self.fetch(method, path, {"X-HTTP-Method-Override": "GET", "X-Method-Override": "GET"}, b"poison")
            self.assert_clean(path, "poison")

    def test_targets_that_some_servers_take_for_the_same_are_apart(self):
        """Encoded slashes, parameters, NUL, dot segments, case and empty segments: each spelling is its own object, and the
        origin gets exactly what the client sent."""
        root = self.root
        spellings = [f"{root}/a/b", f"{root}/a%2fb", f"{root}/a%2Fb", f"{root}/a%5cb", f"{root}/a;x=1/b", f"{root}/a/b;x=1",
                     f"{root}/a/b%00", f"{root}/a/b%00.css", f"{root}/a/b/.", f"{root}/a/c/../b", f"{root}/a/c/%2e%2e/b",
                     f"{root}/A/b", f"{root}/%61/b", f"{root}//a/b", f"{root}/a/b/", f"{root}/a/b?", f"{root}/a/b?x",
                     f"{root}/a/b?x=1&y=2", f"{root}/a/b?y=2&x=1", f"{root}/a/b?x=1;y=2", f"{root}/a/b?X=1&y=2",
                     f"{root}/a/b%20", f"{root}/a/b+", f"{root}/a/b%3f", f"{root}/a/b%23", f"{root}/a/b.css", f"{root}/a/b&x"]
        self.naive(*{spelling.partition("?")[0] for spelling in spellings})
        for spelling in spellings:
            self.assertEqual(json.loads(self.get(spelling).body)["target"], spelling)
        for spelling in spellings:
            reply = self.get(spelling)
            self.assert_hit(reply)
            self.assertEqual(json.loads(reply.body)["target"], spelling)

    def test_the_same_origin_in_other_words_is_one_and_another_port_another(self):
        path = self.naive(self.root)
        url = self.origin.url(path)
        self.get(url)
        for same in (url.replace("http:", "HTTP:"), url.replace("http:", "hTTp:")):
            self.assert_hit(self.get(same))
        for other in (url.replace("127.0.0.1", "127.0.0.2"), url.replace("127.0.0.1", "localhost")):
            self.assert_not_hit(self.get(other))
        self.assertEqual(self.get(url + "#fragment").status, 400)

    def test_two_users_never_see_each_others_secrets(self):
        """With Authorization, with cookies, and with private answers of every kind."""
        async def secret(request, connection):
            who = request.field("authorization") or request.field("cookie") or "nobody"
            kind = request.target.rpartition("/")[2]
            fields = {"plain": [CC], "private": [("Cache-Control", "private, max-age=600")], "silent": [],
                      "cookie": [CC, ("Set-Cookie", f"session={who}")],
                      "expires": [("Expires", "Sun, 06 Nov 2094 08:49:37 GMT"), ("Set-Cookie", f"session={who}")],
                      "heuristic": [("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT"), ("Set-Cookie", f"session={who}")],
                      "validated": [("Cache-Control", "max-age=0"), ("ETag", '"same"'), ("Set-Cookie", f"session={who}")],
                      "named": [("Cache-Control", 'max-age=600, private="Set-Cookie"'), ("Set-Cookie", f"session={who}")],
                      "varied": [CC, ("Vary", "Cookie, Authorization")]}[kind]
            body = b"the same for all" if kind in ("named", "validated") else f"secret of {who}".encode()
            await connection.reply(request, 200, fields, body)
        for kind in ("plain", "private", "silent", "cookie", "expires", "heuristic", "validated", "named", "varied"):
            for name, values in (("Authorization", ("Basic YWxpY2U=", "Basic Ym9i")), ("Cookie", ("u=alice", "u=bob"))):
                if name == "Cookie" and kind == "plain":
                    continue  # an answer to a cookie that says max-age and no Vary is for all: RFC 9111 has no other rule
                path = f"{self.root}/{name}/{kind}"
                self.origin.on(path, secret)
                with self.subTest(kind, field=name):
                    for value in (*values, *values):
                        reply = self.get(path, {name: value})
                        other = next(v for v in values if v != value)
                        text = reply.body.decode() + str(reply.fields)
                        self.assertNotIn(other, text)
                    self.assertNotIn(values[0], (r := self.get(path)).body.decode() + str(r.fields))

    def test_what_is_not_a_whole_answer_is_never_stored_as_one(self):
        """Error pages of ours, parts, interim answers, and content that ended early."""
        whole = b"HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\nContent-Length: 5\r\n\r\nwhole"
        for i, first in enumerate((
                b"HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\nContent-Length: 10\r\n\r\nshort",
                b"HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n",
                b"HTTP/1.1 206 Partial Content\r\nCache-Control: max-age=600\r\nContent-Length: 5\r\n\r\nshort",
                b"HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nshort",
                b"HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\nX: " + b"a" * 200_000 + b"\r\n\r\nshort",
                b"")):
            with self.subTest(first[:60]):
                path = f"{self.root}/{i}"
                answers = [first, whole]

                async def handler(request, connection, answers=answers):
                    await connection.send(answers.pop(0) if len(answers) > 1 else answers[0])
                    raise ConnectionError
                self.origin.on(path, handler)
                self.get(path)
                for _ in range(2):
                    reply = self.get(path)
                    if reply.status == 200 and reply.complete:
                        self.assertEqual(reply.body, b"whole")
                self.assertEqual(self.get(path).body, b"whole")

    def test_tunnels_do_not_share_keys_with_requests(self):
        """What a client names in CONNECT stays in the tunnel."""
        path = self.naive(self.root)
        url = self.origin.url(path)
        client = self.client()
        authority = url.split("/")[2]
        client.send(f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode())
        self.assertEqual(client.read_response("CONNECT").status, 200)
        client.request("GET", path, {"X-Inside": EVIL}, host=EVIL)
        self.assertEqual(client.read_response().status, 200)
        self.assert_clean(path, EVIL)


if __name__ == "__main__":
    unittest.main()
