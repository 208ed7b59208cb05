"""`tributary get`: interrupted downloads are continued, and whatever an origin or a disk does, FILE is right or it is not there
(P-14, S0-4.*, issue 4)."""
import hashlib
import os
import signal
import subprocess
import unittest

from harness import Close, Nginx, content, sha256, wait_until
from harness.downloader import MIB, GetTest
from harness.proxy import PROGRAM


class Continuing(GetTest):
    SIZE = 24 * MIB

    def continued(self, listed, **query):
        """-c, and no more is fetched than what the state file did not list."""
        path = f"/bytes/{self.SIZE}/{self.seed}"
        before = self.origin.bytes_sent(path)
        self.get("-c", self.url(self.SIZE, **query))
        self.assert_file(self.seed, self.SIZE)
        self.assertEqual(self.files(), [self.seed])
        # A piece's response may be cut while the origin has sent more of it already.
        self.assertLess(self.origin.bytes_sent(path) - before, self.SIZE - listed + 4 * MIB)

    def test_after_an_interrupt(self):
        listed = self.interrupt_midway(self.url(self.SIZE, rate=MIB), name=self.seed, at_least=4 * MIB)
        self.assertEqual(self.files(), [self.seed + ".part", self.seed + ".part.json"])
        self.assertIn("-c continues it", self.err)
        self.continued(listed, rate=MIB)

    def test_after_sigterm(self):
        listed = self.interrupt_midway(self.url(self.SIZE, rate=MIB), name=self.seed, by=signal.SIGTERM, at_least=4 * MIB)
        self.continued(listed, rate=MIB)

    def test_after_a_crash(self):
        listed = self.interrupt_midway(self.url(self.SIZE, rate=MIB), name=self.seed, by=signal.SIGKILL, at_least=4 * MIB)
        self.continued(listed, rate=MIB)

    def test_after_several_crashes(self):
        for share in (2, 8, 14):
            self.interrupt_midway("-c", self.url(self.SIZE, rate=MIB), name=self.seed, by=signal.SIGKILL, at_least=share * MIB)
        self.get("-c", self.url(self.SIZE, rate=MIB))
        self.assert_file(self.seed, self.SIZE)

    def test_another_version_is_fetched_whole(self):
        url = self.url(self.SIZE, rate=8 * MIB)
        self.interrupt_midway("-x", "1", url, name=self.seed, at_least=4 * MIB)
        self.origin._changed[url.removeprefix(self.origin.url(""))] = True
        self.get("-c", url)
        self.assert_file(self.seed, self.SIZE, self.seed + "-changed")

    def test_a_lying_part_is_not_longer_than_it_is(self):
        self.interrupt_midway("-x", "1", self.url(self.SIZE, rate=8 * MIB), name=self.seed, at_least=4 * MIB)
        os.truncate(self.path(self.seed + ".part"), 1 * MIB)
        self.get("-c", self.url(self.SIZE, rate=8 * MIB))
        self.assert_file(self.seed, self.SIZE)

    def test_a_damaged_state_is_not_used(self):
        self.interrupt_midway("-x", "1", self.url(self.SIZE, rate=8 * MIB), name=self.seed, at_least=4 * MIB)
        with open(self.path(self.seed + ".part.json"), "w") as f:
            f.write('{"tributary-part": 1, "url"')
        self.get("-c", self.url(self.SIZE))
        self.assert_file(self.seed + ".1", self.SIZE)

    def test_what_is_there_is_left(self):
        self.get(self.url(5000))
        self.get("-c", self.url(5000))
        self.assertEqual(self.files(), [self.seed])
        self.assertIn("already", self.err)

    def test_another_file_of_that_name_is_in_the_way(self):
        with open(self.path(self.seed), "w") as f:
            f.write("mine")
        self.get("-c", self.url(5000), status=3)
        self.assertEqual(self.files(), [self.seed])

    def test_without_c_it_begins_anew(self):
        self.interrupt_midway("-x", "1", self.url(self.SIZE, rate=8 * MIB), name=self.seed, at_least=4 * MIB)
        self.get(self.url(self.SIZE, rate=8 * MIB))
        self.assert_file(self.seed, self.SIZE)
        self.assertEqual(self.files(), [self.seed])

    def test_the_part_of_another_url_is_left_alone(self):
        self.interrupt_midway("-x", "1", self.url(self.SIZE, rate=8 * MIB), name=self.seed, at_least=4 * MIB)
        before = self.files()
        self.get("-c", self.url(self.SIZE, rate=9 * MIB))
        self.assert_file(self.seed + ".1", self.SIZE)
        self.assertEqual(self.files(), sorted([*before, self.seed + ".1"]))

    def test_a_part_named_by_the_server(self):
        url = self.url(self.SIZE, rate=MIB, header="Content-Disposition:attachment;%20filename=named")
        listed = self.interrupt_midway(url, name="named", at_least=4 * MIB)
        path = f"/bytes/{self.SIZE}/{self.seed}"
        before = self.origin.bytes_sent(path)
        self.get("-c", url)
        self.assert_file("named", self.SIZE)
        self.assertLess(self.origin.bytes_sent(path) - before, self.SIZE - listed + 6 * MIB)

    def test_a_file_that_cannot_be_continued_leaves_nothing(self):
        process = self.start(self.url(self.SIZE, etag="none", lm="none", rate=2 * MIB))
        wait_until(lambda: self.origin.bytes_sent(f"/bytes/{self.SIZE}/{self.seed}") > 2 * MIB, what="it runs")
        process.send_signal(signal.SIGINT)
        self.finish(process, 130)
        self.assertEqual(self.files(), [])


class Origins(GetTest):
    """Issue 4: every behaviour of an origin ends in the right bytes or in a clear failure."""
    SIZE = 12 * MIB

    def one(self, must_work=True, size=SIZE, seed=None, arguments=(), **query):
        status = self.run_any("--timeout", "3s", "--retries", "2", *arguments, self.url(size, seed, **query))
        if must_work:
            self.assertEqual(status, 0, self.err)
            self.assert_file(seed or self.seed, size)
        self.assert_right_or_none(seed or self.seed, size, status)
        return status

    def test_ignores_range(self):
        self.one(ranges="no", rate=24 * MIB)

    def test_ranges_that_are_not_announced(self):
        self.one(ranges="shy")

    def test_says_ranges_and_sends_everything(self):
        async def handler(request, connection):
            body = content(self.seed, 0, self.SIZE)
            await connection.send(f"HTTP/1.1 200 OK\r\nContent-Length: {self.SIZE}\r\nETag: \"e\"\r\nAccept-Ranges: bytes\r\n\r\n".encode())
            await connection.send(body, 12 * MIB)
        self.origin.on(f"/all/{self.seed}", handler)
        self.get(self.origin.url(f"/all/{self.seed}"))
        self.assert_file(self.seed, self.SIZE)

    def test_other_bounds(self):
        self.one(bad_range=1, rate=4 * MIB)

    def test_other_complete_length(self):
        self.one(must_work=False, bad_size=1, rate=4 * MIB)

    def test_changes_while_it_is_fetched(self):
        status = self.run_any("--timeout", "3s", self.url(self.SIZE, change=50, rate=4 * MIB))
        if status == 0:  # one version or the other, never both
            with open(self.path(self.seed), "rb") as f:
                digest = hashlib.sha256(f.read()).hexdigest()
            self.assertIn(digest, (sha256(self.seed, self.SIZE), sha256(self.seed + "-changed", self.SIZE)))

    def test_weak_etag(self):
        self.one(etag="weak", lm="none", rate=24 * MIB)

    def test_no_validator(self):
        self.one(etag="none", lm="none", rate=24 * MIB)

    def test_no_validator_and_a_reset(self):
        self.one(etag="none", lm="none", die=50, die_once=1)

    def test_chunked(self):
        self.one(chunked=1)

    def test_close_marks_the_end(self):
        self.one(until_close=1)

    def test_a_length_that_lies_short(self):
        self.one(must_work=False, length=self.SIZE + 5, close=1, arguments=["-x", "1"])
        self.assertFalse(os.path.exists(self.path(self.seed)))

    def test_early_close(self):
        self.one(die=40, die_once=1, die_by="close", rate=24 * MIB)

    def test_reset(self):
        self.one(die=40, die_once=1, rate=24 * MIB)

    def test_reset_for_good(self):
        status = self.one(must_work=False, die=40, die_all=1, rate=24 * MIB, arguments=["--retries", "1"])
        self.assertEqual(status, 4, self.err)
        self.assertIn(self.seed + ".part", self.files())

    def test_cut_chunked(self):
        self.one(chunked=1, cut=1)

    def test_stall(self):
        self.one(stall=40, rate=24 * MIB)

    def test_stall_of_what_cannot_be_split(self):
        self.one(stall=40, etag="none", lm="none")

    def test_trickle(self):
        self.one(size=60000, piece=1000, gap=0.01)

    def test_503_to_some(self):
        self.one(fail_conn=3, rate=4 * MIB)

    def test_refuses_more_than_one_connection(self):
        busy = {"at": 0}

        async def handler(request, connection):
            if busy["at"]:
                await connection.reply(request, 429, [], b"one at a time")
                return
            busy["at"] += 1
            try:
                request.target = f"/bytes/{self.SIZE}/{self.seed}?rate={8 * MIB}"
                await self.origin._bytes(request, connection)
            finally:
                busy["at"] -= 1
        self.origin.on("/single", handler)
        self.get(self.origin.url("/single"))
        self.assert_file("single", self.SIZE)

    def test_redirect_for_some(self):
        seen = {"n": 0}

        async def handler(request, connection):
            seen["n"] += 1
            if seen["n"] % 3 == 2:
                await connection.reply(request, 302, [("Location", f"/bytes/{self.SIZE}/{self.seed}")], b"")
                return
            request.target = f"/bytes/{self.SIZE}/{self.seed}?rate={4 * MIB}"
            await self.origin._bytes(request, connection)
        self.origin.on("/some", handler)
        self.get(self.origin.url("/some"))
        self.assert_file("some", self.SIZE)

    def test_another_coding_per_connection(self):
        async def handler(request, connection):
            gzipped = request.field("range") is not None
            request.target = f"/bytes/{self.SIZE}/{self.seed}?rate={4 * MIB}" + ("&header=Content-Encoding:gzip" if gzipped else "")
            await self.origin._bytes(request, connection)
        self.origin.on("/coded", handler)
        status = self.run_any(self.origin.url("/coded"))
        self.assertEqual(status, 0, self.err)
        self.assert_file("coded", self.SIZE)

    def test_multipart_answer(self):
        async def handler(request, connection):
            asked = request.field("range")
            if asked and not asked.startswith("bytes=0-"):
                await connection.reply(request, 206, [("Content-Type", "multipart/byteranges; boundary=x")],
                                       b"--x\r\nContent-Range: bytes 0-1/4\r\n\r\nab\r\n--x--\r\n")
                return
            request.target = f"/bytes/{self.SIZE}/{self.seed}?rate={12 * MIB}"
            await self.origin._bytes(request, connection)
        self.origin.on("/multipart", handler)
        self.get(self.origin.url("/multipart"))
        self.assert_file("multipart", self.SIZE)

    def test_a_continuation_answered_with_several_parts_is_fetched_whole(self):
        seen = []

        async def handler(request, connection):
            seen.append(request.field("range"))
            if seen[-1]:
                await connection.reply(request, 206, [("Content-Type", "multipart/byteranges; boundary=x")],
                                       b"--x\r\nContent-Range: bytes 0-1/4\r\n\r\nab\r\n--x--\r\n")
                return
            request.target = f"/bytes/{self.SIZE}/{self.seed}?rate={12 * MIB}" + ("&die=50" if len(seen) == 1 else "")
            await self.origin._bytes(request, connection)
        self.origin.on("/multipart", handler)
        self.get("-x", "1", self.origin.url("/multipart"))
        self.assert_file("multipart", self.SIZE)
        self.assertIsNone(seen[-1])

    def test_http_1_0(self):
        body = content(self.seed, 0, 50000)
        self.origin.raw("/old", b"HTTP/1.0 200 OK\r\n\r\n" + body, Close)
        self.get(self.origin.url("/old"))
        self.assert_file("old", 50000)
        self.origin.raw("/old2", b"HTTP/1.0 200 OK\r\nContent-Length: 50000\r\n\r\n" + body, Close)
        self.get(self.origin.url("/old2"))
        self.assert_file("old2", 50000)

    def test_a_part_that_nobody_asked_for(self):
        self.origin.raw("/part", b"HTTP/1.1 206 Partial\r\nContent-Range: bytes 0-1/4\r\nContent-Length: 2\r\n\r\nab")
        self.get("--retries", "0", self.origin.url("/part"), status=7)
        self.assertEqual(self.files(), [])


class Disk(GetTest):
    def test_a_full_disk_fails_clearly_and_is_resumable(self):
        size = 24 * MIB
        process = subprocess.run(
            ["sh", "-c", 'ulimit -f 20000; exec "$@"', "sh", PROGRAM, "get", self.url(size, rate=24 * MIB)],
            cwd=self.dir, stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
        self.assertEqual(process.returncode, 3, process.stderr)
        self.assertNotIn(self.seed, self.files())


class RealServer(GetTest):
    def test_nginx_with_a_rate_for_each_connection(self):
        nginx = Nginx(pace=4 * MIB).start()
        self.addCleanup(nginx.stop)
        size = 32 * MIB
        nginx.put("file", content(self.seed, 0, size))
        self.get(nginx.url("/file"))
        self.assert_file("file", size)
        self.assertGreater(len({row[4] for row in nginx.log("/file")}), 3)


if __name__ == "__main__":
    unittest.main()
