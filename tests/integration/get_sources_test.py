"""`tributary get` with several sources of one file: spread by what each delivers, dropped when they fail or lie, never a wrong byte
(P-6, P-14, S0-1.14, issue 4)."""
import base64
import hashlib
import os
import unittest

from harness import Nginx, Origin, content, sha256
from harness.downloader import MIB, GetTest
from harness.proxy import free_port

SIZE = 24 * MIB


class SourcesTest(GetTest):
    def setUp(self):
        super().setUp()
        self.origin.reset()
        self.mirrors = [Origin(address=f"127.0.0.{n}").start() for n in (2, 3)]
        for mirror in self.mirrors:
            self.addCleanup(mirror.stop)

    def at(self, mirror, size=SIZE, seed=None, **query):
        text = "&".join(f"{k}={v}" for k, v in query.items())
        return self.mirrors[mirror].url(f"/bytes/{size}/{seed or self.seed}" + (f"?{text}" if text else ""))

    def sent(self, origin):
        return sum(r.sent for r in origin.requests)


class Mirrors(SourcesTest):
    def test_all_sources_bring_pieces_though_their_validators_differ(self):
        self.get(self.url(SIZE, rate=2 * MIB, etag="a"), "--mirror-of", self.at(0, rate=2 * MIB, etag="b"),
                 "--mirror-of", self.at(1, rate=2 * MIB, etag="c"))
        self.assert_file(self.seed, SIZE)
        self.assertEqual(self.files(), [self.seed])
        for origin in (self.origin, *self.mirrors):
            self.assertGreater(self.sent(origin), MIB)
            for request in origin.requests[2:]:  # a mirror's first answer, and what was asked before it came
                self.assertTrue(request.field("if-range") or request.status == 200, request)

    def test_a_slow_first_source_is_left(self):
        self.get(self.url(SIZE, rate=200_000), "--mirror-of", self.at(0, rate=16 * MIB))
        self.assert_file(self.seed, SIZE)
        self.assertGreater(self.sent(self.mirrors[0]), SIZE * 3 // 4)

    def test_a_mirror_of_another_length_brings_nothing(self):
        self.get(self.url(SIZE, rate=4 * MIB), "--mirror-of", self.at(0, SIZE + 1))
        self.assert_file(self.seed, SIZE)
        self.assertLessEqual(len(self.mirrors[0].requests), 2)

    def test_a_mirror_that_says_another_digest_brings_nothing(self):
        digest = base64.b64encode(hashlib.sha256(b"other").digest()).decode()
        field = f"Repr-Digest:sha-256=:{digest}:".replace("+", "%2B")
        self.get(self.url(SIZE, rate=4 * MIB), "--mirror-of", self.at(0, seed="other", header=field),
                 "--checksum", "sha-256=" + sha256(self.seed, SIZE))
        self.assert_file(self.seed, SIZE)
        self.assertNotIn("fetched again", self.err)

    def test_a_mirror_with_other_bytes_is_found_out_by_the_digest(self):
        self.get("-v", self.url(SIZE, rate=2 * MIB), "--mirror-of", self.at(0, seed="liar"),
                 "--checksum", "sha-256=" + sha256(self.seed, SIZE))
        self.assert_file(self.seed, SIZE)
        self.assertGreater(self.sent(self.mirrors[0]), MIB)
        self.assertIn("fetched again", self.err)

    def test_a_lying_first_source_is_replaced_by_a_mirror(self):
        self.get("-o", "file", self.url(SIZE, seed="liar", rate=8 * MIB), "--mirror-of", self.at(0, rate=8 * MIB),
                 "--checksum", "sha-256=" + sha256(self.seed, SIZE))
        self.assert_file("file", SIZE)

    def test_when_all_lie_nothing_is_kept(self):
        self.get("-o", "file", self.url(SIZE, seed="liar"), "--mirror-of", self.at(0, seed="other"),
                 "--checksum", "sha-256=" + sha256(self.seed, SIZE), status=7)
        self.assertEqual(self.files(), [])

    def test_mirrors_that_do_not_answer_at_all(self):
        gone = f"http://127.0.0.2:{free_port()}/"
        self.get(self.url(SIZE, rate=4 * MIB), "--mirror-of", gone, "--mirror-of", self.at(1, rate=4 * MIB))
        self.assert_file(self.seed, SIZE)
        self.assertGreater(self.sent(self.mirrors[1]), MIB)

    def test_a_mirror_that_ignores_ranges(self):
        self.get(self.url(SIZE, rate=4 * MIB), "--mirror-of", self.at(0, ranges="no"))
        self.assert_file(self.seed, SIZE)
        self.assertLessEqual(len(self.mirrors[0].requests), 2)

    def test_a_mirror_whose_content_range_does_not_fit(self):
        self.get(self.url(SIZE, rate=4 * MIB), "--mirror-of", self.at(0, bad_range=1), "--mirror-of", self.at(1, bad_size=1))
        self.assert_file(self.seed, SIZE)

    def test_a_mirror_that_changes_midway(self):
        self.get(self.url(SIZE, rate=2 * MIB), "--mirror-of", self.at(0, rate=2 * MIB, change=20),
                 "--checksum", "sha-256=" + sha256(self.seed, SIZE))
        self.assert_file(self.seed, SIZE)

    def test_the_mirrors_finish_what_a_dying_source_began(self):
        self.get(self.url(SIZE, rate=8 * MIB, die=30, die_all=1), "--mirror-of", self.at(0, rate=8 * MIB))
        self.assert_file(self.seed, SIZE)
        self.assertNotIn("trying again", self.err)

    def test_a_source_that_falls_silent(self):
        self.get("-T", "5", self.url(SIZE, rate=8 * MIB, stall=40), "--mirror-of", self.at(0, rate=8 * MIB, stall=60),
                 "--mirror-of", self.at(1, rate=8 * MIB))
        self.assert_file(self.seed, SIZE)

    def test_a_mirror_behind_a_redirect(self):
        self.mirrors[0].raw("/go", f"HTTP/1.1 302 Found\r\nLocation: {self.at(1, rate=4 * MIB)}\r\nContent-Length: 0\r\n\r\n".encode())
        self.get(self.url(SIZE, rate=2 * MIB), "--mirror-of", self.mirrors[0].url("/go"))
        self.assert_file(self.seed, SIZE)
        self.assertGreater(self.sent(self.mirrors[1]), MIB)
        self.assertLess(len(self.mirrors[0].seen("/go")), 4)  # where it led is remembered

    def test_the_first_source_is_missing(self):
        self.get("-o", "file", self.origin.url("/missing"), "--mirror-of", self.at(0))
        self.assert_file("file", SIZE)

    def test_a_first_source_without_ranges_or_validator_is_helped_by_mirrors(self):
        self.get(self.url(SIZE, rate=500_000, ranges="no", etag="none", lm="none"), "--mirror-of", self.at(0, rate=8 * MIB))
        self.assert_file(self.seed, SIZE)
        self.assertGreater(self.sent(self.mirrors[0]), MIB)

    def test_secrets_are_for_the_first_source(self):
        self.get("-H", "Authorization: Bearer x", self.url(SIZE, rate=2 * MIB), "--mirror-of", self.at(0, rate=2 * MIB))
        self.assert_file(self.seed, SIZE)
        self.assertTrue(self.mirrors[0].requests)
        self.assertEqual({r.field("authorization") for r in self.mirrors[0].requests}, {None})

    def test_secrets_do_not_move_to_a_mirror_that_is_asked_instead(self):
        missing = self.origin.url("/missing").replace("http://", "http://user:secret@")
        self.get("-o", "file", "-H", "Authorization: Bearer x", missing, "--mirror-of", self.at(0))
        self.assert_file("file", SIZE)
        self.assertEqual({r.field("authorization") for r in self.mirrors[0].requests}, {None})

    def test_for_one_url_only(self):
        self.get(self.url(1), self.url(2), "--mirror-of", self.at(0), status=2)

    def test_two_real_servers(self):
        servers = [Nginx(pace=3 * MIB).start() for _ in range(3)]
        data = content(self.seed, 0, SIZE)
        for n, server in enumerate(servers):
            self.addCleanup(server.stop)
            os.utime(server.put("file", data), (1_700_000_000 + n, 1_700_000_000 + n))  # nginx makes the ETag of it
        self.get(servers[0].url("/file"), "--mirror-of", servers[1].url("/file"), "--mirror-of", servers[2].url("/file"))
        self.assert_file("file", SIZE)
        for server in servers:
            self.assertGreater(sum(row[3] for row in server.log("/file")), MIB)


class Links(SourcesTest):
    """RFC 6249: what a server says of other sources."""

    def url_with(self, *fields, **query):
        text = "".join(f"&header={f}" for f in fields).replace("+", "%2B").replace(" ", "%20").replace("<", "%3C").replace(">", "%3E")
        return self.url(SIZE, rate=2 * MIB, **query) + text

    def duplicate(self, mirror, **query):
        return f"Link:<{self.at(mirror, **query).replace('&', '%26')}>; rel=duplicate"

    def digest(self, name="sha-256"):
        whole = content(self.seed, 0, SIZE)
        value = base64.b64encode(hashlib.new(name.replace("-", ""), whole).digest()).decode()
        return f"Repr-Digest:{name}=:{value}:"

    def test_duplicates_are_used_where_a_digest_is_known(self):
        self.get(self.url_with(self.digest(), self.duplicate(0, rate=2 * MIB)))
        self.assert_file(self.seed, SIZE)
        self.assertGreater(self.sent(self.mirrors[0]), MIB)

    def test_a_checksum_of_the_user_is_a_digest_too(self):
        self.get("--checksum", "sha-256=" + sha256(self.seed, SIZE), self.url_with(self.duplicate(0, rate=2 * MIB)))
        self.assert_file(self.seed, SIZE)
        self.assertGreater(self.sent(self.mirrors[0]), MIB)

    def test_without_a_strong_digest_they_are_not(self):
        self.get(self.url_with(self.duplicate(0)))
        self.get(self.url_with(self.duplicate(0), "Digest:MD5=" + base64.b64encode(
            hashlib.md5(content(self.seed, 0, SIZE)).digest()).decode()))
        self.assertEqual(self.mirrors[0].requests, [])

    def test_a_lying_duplicate_does_no_harm(self):
        self.get(self.url_with(self.digest(), self.duplicate(0, seed="liar")))
        self.assert_file(self.seed, SIZE)
        self.assertGreater(self.sent(self.mirrors[0]), MIB)


class Signed(SourcesTest):
    """A redirect leads to a signed place that expires: the stable URL is asked again, for the pieces that need it."""

    def signed(self, status, lives):
        """/stable redirects to a place that answers `lives` requests."""
        tokens = []

        async def stable(request, connection):
            tokens.append(0)
            await connection.reply(request, 302, [("Location", f"/bytes/{SIZE}/{self.seed}/{len(tokens)}")], b"")

        def place(number):
            async def answer(request, connection):
                tokens[number] += 1
                if tokens[number] > lives:
                    await connection.reply(request, status, [], b"expired\n")
                    return
                request.target = f"/bytes/{SIZE}/{self.seed}?rate={2 * MIB}"
                await self.origin._bytes(request, connection)
            return answer
        self.origin.on("/stable", stable)
        for number in range(200):
            self.origin.on(f"/bytes/{SIZE}/{self.seed}/{number + 1}", place(number))
        self.get("-o", "file", self.origin.url("/stable"))
        self.assert_file("file", SIZE)
        self.assertNotIn("trying again", self.err)
        wholes = [r for r in self.origin.requests if r.status == 200 and r.path.startswith("/bytes/")]
        self.assertEqual(len(wholes), 1)  # nothing began anew
        self.assertGreater(len(tokens), 1)

    def test_forbidden(self):
        self.signed(403, 3)

    def test_gone(self):
        self.signed(410, 3)

    def test_every_place_answers_once(self):
        self.signed(403, 1)


if __name__ == "__main__":
    unittest.main()
