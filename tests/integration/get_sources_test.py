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

    def test_sources_that_name_each_other_and_all_lie_come_to_an_end(self):
        servers = [self.origin, self.mirrors[0]]
        urls = [server.url(f"/each-other/{self.seed}") for server in servers]
        for server, other in zip(servers, reversed(urls)):
            async def answer(request, connection, other=other):
                await connection.reply(request, 200, [("ETag", '"x"'), ("Link", f"<{other}>; rel=duplicate")], b"not what was meant")
            server.on(f"/each-other/{self.seed}", answer)
        self.get("-o", "file", urls[0], "--checksum", "sha-256=" + sha256(self.seed, SIZE), status=7)
        self.assertEqual(self.files(), [])
        self.assertLessEqual(sum(len(server.requests) for server in servers), 4)

    def test_a_lying_duplicate_does_no_harm(self):
        self.get(self.url_with(self.digest(), self.duplicate(0, seed="liar")))
        self.assert_file(self.seed, SIZE)
        self.assertGreater(self.sent(self.mirrors[0]), MIB)


PIECE = MIB


class Metalinks(SourcesTest):
    """RFC 5854, and version 3: files with their sources and hashes."""

    def hashes(self, size=SIZE, seed=None, name="sha-256", piece=PIECE):
        data = content(seed or self.seed, 0, size)
        take = lambda part: hashlib.new(name.replace("-", ""), part).hexdigest()
        whole = f'<hash type="{name}">{take(data)}</hash>'
        pieces = "".join(f"<hash>{take(data[at:at + piece])}</hash>" for at in range(0, size, piece))
        return whole, f'<pieces type="{name}" length="{piece}">{pieces}</pieces>'

    def write(self, *files, name="list.meta4"):
        """A document of (path, [parts between the tags])."""
        text = '<?xml version="1.0"?><metalink xmlns="urn:ietf:params:xml:ns:metalink">'
        for path, parts in files:
            text += f'<file name="{path}">' + "".join(parts) + "</file>"
        with open(self.path(name), "w") as f:
            f.write(text.replace("&", "&amp;") + "</metalink>")
        return name

    def source(self, url, priority=1):
        return f'<url priority="{priority}">{url}</url>'

    def left(self):
        return [name for name in self.files() if not name.endswith(".meta4")]

    def test_a_file_from_three_sources(self):
        whole, pieces = self.hashes()
        self.get("--metalink", self.write(("file", [f"<size>{SIZE}</size>", whole, pieces, self.source(self.url(SIZE, rate=2 * MIB)),
                                                    self.source(self.at(0, rate=2 * MIB), 2), self.source(self.at(1, rate=2 * MIB), 3)])))
        self.assert_file("file", SIZE)
        for origin in (self.origin, *self.mirrors):
            self.assertGreater(self.sent(origin), MIB)

    def test_wrong_pieces_are_fetched_again_from_others_and_their_source_is_left(self):
        whole, pieces = self.hashes()
        self.get("-v", "--metalink", self.write(("file", [whole, pieces, self.source(self.url(SIZE, rate=2 * MIB)),
                                                          self.source(self.at(0, seed="liar", rate=2 * MIB), 2),
                                                          self.source(self.at(1, rate=2 * MIB), 3)])))
        self.assert_file("file", SIZE)
        self.assertGreater(self.sent(self.mirrors[0]), 0)
        self.assertLess(self.sent(self.mirrors[0]), SIZE // 3)  # it was not asked on
        self.assertNotIn("fetched again", self.err)  # not the whole: the pieces
        self.assertLess(self.sent(self.origin) + self.sent(self.mirrors[1]), SIZE + 8 * MIB)

    def test_a_lying_first_source_is_found_out_by_its_pieces(self):
        whole, pieces = self.hashes()
        self.get("--metalink", self.write(("file", [whole, pieces, self.source(self.url(SIZE, seed="liar", rate=2 * MIB)),
                                                    self.source(self.at(0, rate=8 * MIB), 2)])))
        self.assert_file("file", SIZE)
        self.assertLess(self.sent(self.origin), SIZE // 2)

    def test_pieces_that_are_not_a_power_of_two_long(self):
        whole, pieces = self.hashes(piece=700_001)
        self.get("--metalink", self.write(("file", [whole, pieces, self.source(self.url(SIZE, rate=3 * MIB)),
                                                    self.source(self.at(0, seed="liar", rate=3 * MIB), 2)])))
        self.assert_file("file", SIZE)

    def test_one_source_with_wrong_pieces_ends_in_a_failure(self):
        whole, pieces = self.hashes()
        self.get("--metalink", self.write(("file", [whole, pieces, self.source(self.url(SIZE, seed="liar"))])), status=7)
        self.assertEqual(self.left(), [])

    def test_small_files_are_checked_by_pieces_too(self):
        whole, pieces = self.hashes(100_000, piece=16384)
        self.get("--metalink", self.write(("file", [pieces, self.source(self.url(100_000, seed="liar")), self.source(self.at(0, 100_000), 2)])))
        self.assert_file("file", 100_000)
        self.get("-P", ".", "-o", "other", "--metalink",
                 self.write(("file", [pieces, self.source(self.url(100_000, seed="liar"))]), name="bad.meta4"), status=7)
        self.assertEqual(self.left(), ["file"])

    def test_a_source_of_another_size_is_passed_over(self):
        whole, pieces = self.hashes(100_000)
        self.get("--metalink", self.write(("file", ["<size>100000</size>", whole, self.source(self.url(99_999)),
                                                    self.source(self.at(0, 100_000), 2)])))
        self.assert_file("file", 100_000)
        self.get("--metalink", self.write(("gone", ["<size>100000</size>", self.source(self.url(99_999))])), status=7)
        self.assertEqual(self.left(), ["file"])

    def test_sources_that_are_missing_or_do_not_answer(self):
        whole, pieces = self.hashes(100_000)
        self.get("--metalink", self.write(("file", [whole, self.source(f"http://127.0.0.4:{free_port()}/"),
                                                    self.source(self.origin.url("/missing"), 2), self.source(self.at(0, 100_000), 3)])))
        self.assert_file("file", 100_000)

    def test_several_files_in_folders_and_hostile_names(self):
        self.get("-P", self.dir, "--metalink", self.write(
            ("sub/folder/one", [self.source(self.url(1000, "one"))]), ("two", [self.source(self.url(2000, "two"))]),
            ("../evil", [self.source(self.url(10, "evil"))]), ("/etc/evil", [self.source(self.url(10, "evil"))])))
        self.assert_file("sub/folder/one", 1000, "one")
        self.assert_file("two", 2000, "two")
        self.assertFalse(os.path.exists(os.path.join(os.path.dirname(self.dir), "evil")))
        self.assertFalse(os.path.exists("/etc/evil"))

    def test_version_3(self):
        data = content(self.seed, 0, SIZE)
        text = ('<metalink version="3.0" xmlns="http://www.metalinker.org/"><files><file name="file"><size>%d</size><verification>'
                '<hash type="sha1">%s</hash></verification><resources><url type="http" preference="100">%s</url>'
                '<url type="http" preference="50">%s</url></resources></file></files></metalink>') % (
                    SIZE, hashlib.sha1(data).hexdigest(), self.url(SIZE, rate=2 * MIB), self.at(0))
        with open(self.path("list.metalink"), "w") as f:
            f.write(text)
        self.get("--metalink", "list.metalink")
        self.assert_file("file", SIZE)
        self.assertGreater(self.sent(self.mirrors[0]), MIB)

    def test_the_name_may_be_given_and_lie_anywhere(self):
        self.get("-o", self.path("elsewhere"), "--metalink", self.write(("in/folders/file", [self.source(self.url(1000))])))
        self.assert_file("elsewhere", 1000)

    def test_an_interrupted_one_is_continued(self):
        whole, pieces = self.hashes()
        name = self.write(("file", [whole, pieces, self.source(self.url(SIZE, rate=MIB)), self.source(self.at(0, rate=MIB), 2)]))
        self.interrupt_midway("--metalink", name, name="file", at_least=6 * MIB)
        with open(self.path("file.part"), "r+b") as f:
            f.seek(100)
            f.write(b"damage")
        self.get("-v", "-c", "--metalink", name)
        self.assertNotIn("fetched again", self.err)
        self.assert_file("file", SIZE)

    def test_a_document_that_contradicts_itself_ends_in_a_failure(self):
        _, pieces = self.hashes()
        other, _ = self.hashes(seed="other")
        self.get("--metalink", self.write(("file", [other, pieces, self.source(self.url(SIZE)), self.source(self.at(0), 2)])), status=7)
        self.assertEqual(self.left(), [])

    def test_documents_of_no_use(self):
        self.get("--metalink", "nothing", status=3)
        with open(self.path("text.meta4"), "w") as f:
            f.write("no metalink")
        self.get("--metalink", "text.meta4", status=2)
        self.assertIn("text.meta4", self.err)


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
