"""`tributary get`: options, names, lists, redirects, retries, exit statuses, credentials, output (P-14, S0-3.*, S3-4.*, S3-11.*)."""
import base64
import fcntl
import hashlib
import json
import os
import pty
import re
import struct
import subprocess
import termios
import time
import unittest

from harness import Close, Origin, content, sha256, wait_until
from harness.downloader import MIB, GetTest
from harness.proxy import PROGRAM


class Files(GetTest):
    def test_a_small_file(self):
        self.get(self.url(1000))
        self.assert_file(self.seed, 1000)
        self.assertEqual(self.files(), [self.seed])
        self.assertEqual(len(self.origin.seen(f"/bytes/1000/{self.seed}")), 1)

    def test_an_empty_file(self):
        self.get(self.url(0))
        self.assert_file(self.seed, 0)

    def test_a_large_file_over_several_connections(self):
        size = 24 * MIB
        self.get(self.url(size, rate=4 * MIB))
        self.assert_file(self.seed, size)
        requests = self.origin.seen(f"/bytes/{size}/{self.seed}")
        self.assertGreater(len({r.connection for r in requests}), 3)

    def test_one_connection(self):
        size = 12 * MIB
        self.get("-x", "1", self.url(size, rate=12 * MIB))
        self.assert_file(self.seed, size)
        self.assertEqual(len(self.origin.seen(f"/bytes/{size}/{self.seed}")), 1)

    def test_output_and_directory(self):
        os.mkdir(self.path("in"))
        self.get("-P", "in", "-o", "name", self.url(5000))
        self.assert_file("in/name", 5000)
        self.get("-o", self.path("absolute"), "-P", "in", self.url(5000))
        self.assert_file("absolute", 5000)

    def test_a_directory_that_is_not_there(self):
        self.get("-P", "nowhere", self.url(5000), status=3)
        self.assertIn("nowhere", self.err)

    def test_nothing_is_overwritten(self):
        for name in (self.seed, self.seed + ".1"):
            with open(self.path(name), "w") as f:
                f.write("mine")
        self.get(self.url(5000))
        self.assert_file(self.seed + ".2", 5000)
        for name in (self.seed, self.seed + ".1"):
            with open(self.path(name)) as f:
                self.assertEqual(f.read(), "mine")
        self.get("-o", self.seed, self.url(5000))
        self.assert_file(self.seed + ".3", 5000)

    def test_a_part_of_somebody_else_is_left_alone(self):
        with open(self.path(self.seed + ".part"), "w") as f:
            f.write("a browser's")
        self.get(self.url(5000))
        self.get("-c", "-o", "other", self.url(5000))
        self.assert_file(self.seed + ".1", 5000)
        with open(self.path(self.seed + ".part")) as f:
            self.assertEqual(f.read(), "a browser's")

    def test_the_same_file_twice_at_once(self):
        self.get(self.url(20000, gap=0.01, piece=2000), self.url(20000, gap=0.01, piece=2000))
        self.assert_file(self.seed, 20000)
        self.assert_file(self.seed + ".1", 20000)
        self.assertEqual(self.files(), [self.seed, self.seed + ".1"])

    def test_names_from_content_disposition_are_made_safe(self):
        disposition = 'Content-Disposition:attachment;%20filename="../../evil%20name"'
        self.get(self.url(5000, header=disposition.replace('"', "%22")))
        self.assertEqual(self.files(), ["evil name"])

    def test_without_a_name_it_is_an_index(self):
        self.origin.raw("/folder/", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
        self.get(self.origin.url("/folder/"))
        self.assertEqual(self.files(), ["index.html"])


class Lists(GetTest):
    def test_several_urls_and_the_highest_status(self):
        self.get(self.url(1000, "a"), self.origin.url("/missing"), self.url(2000, "b"), status=8)
        self.assert_file("a", 1000, "a")
        self.assert_file("b", 2000, "b")
        self.assertIn("404", self.err)

    def test_a_list_from_a_file_and_from_standard_input(self):
        text = f"# some\r\n\n  {self.url(1000, 'a')}  \r\n{self.url(2000, 'b')}\n"
        with open(self.path("list"), "w") as f:
            f.write(text)
        self.get("-i", "list", "-j", "1")
        self.assert_file("a", 1000, "a")
        self.assert_file("b", 2000, "b")
        process = self.start("-i", "-", "-P", self.dir, stdin=subprocess.PIPE)
        self.finish(process, 0, text.encode())
        self.assert_file("a.1", 1000, "a")
        self.assert_file("b.1", 2000, "b")

    def test_a_list_that_is_not_there(self):
        self.get("-i", "nothing", status=3)

    def test_so_many_at_a_time(self):
        origin = Origin().start()
        self.addCleanup(origin.stop)
        self.get("-j", "2", *(origin.url(f"/bytes/1000/{i}?delay=0.1") for i in range(8)))
        self.assertEqual(len(self.files()), 8)
        self.assertLessEqual(origin.peak_connections, 2)

    def test_output_for_several_is_a_usage_error(self):
        self.get("-o", "x", self.url(1), self.url(2), status=2)
        self.get(status=2)
        self.get("ftp://127.0.0.1/x", status=2)
        self.get("http://127.0.0.1:99999/x", status=2)
        self.get("--no-such-option", self.url(1), status=2)


class Redirects(GetTest):
    def redirect(self, path, to, status=302):
        self.origin.raw(path, f"HTTP/1.1 {status} Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n".encode())

    def test_every_kind_is_followed_and_the_name_is_the_first_urls(self):
        for status in (301, 302, 303, 307, 308):
            self.redirect(f"/r{status}", self.url(5000), status)
            self.get(self.origin.url(f"/r{status}"))
            self.assert_file(f"r{status}", 5000)

    def test_a_circle_is_left(self):
        self.redirect("/c1", "/c2")
        self.redirect("/c2", "/c1")
        self.get(self.origin.url("/c1"), status=7)
        self.assertIn("circle", self.err)

    def test_the_limit(self):
        for i in range(4):
            self.redirect(f"/l{i}", f"/l{i + 1}")
        self.redirect("/l4", self.url(5000))
        self.get("--max-redirect", "4", self.origin.url("/l0"), status=7)
        self.get("--max-redirect", "5", self.origin.url("/l0"))
        self.assert_file("l0", 5000)

    def test_other_schemes_are_not_followed(self):
        self.redirect("/ftp", "ftp://127.0.0.1/x")
        self.get(self.origin.url("/ftp"), status=7)
        self.redirect("/none", "")
        self.get(self.origin.url("/none"), status=7)

    def test_secrets_stay_at_their_origin(self):
        other = Origin("127.0.0.2").start()
        self.addCleanup(other.stop)
        fields = ["--header", "Authorization: Bearer x", "--header", "Cookie: a=b", "--header", "X-Mine: 1"]
        self.redirect("/same", "/bytes/10/same")
        self.redirect("/away", other.url("/bytes/10/away"))
        self.get(*fields, self.origin.url("/same"), self.origin.url("/away"))
        same, away = self.origin.seen("/bytes/10/same")[0], other.seen("/bytes/10/away")[0]
        self.assertEqual((same.field("authorization"), same.field("cookie"), same.field("x-mine")), ("Bearer x", "a=b", "1"))
        self.assertEqual((away.field("authorization"), away.field("cookie"), away.field("x-mine")), (None, None, "1"))

    def test_a_signed_target_that_expires_is_asked_for_anew(self):
        size, valid = 24 * MIB, {"key": 0}

        async def stable(request, connection):
            valid["key"] += 1
            await connection.reply(request, 302, [("Location", f"/signed{valid['key']}")], b"")

        def signed(number):
            async def handler(request, connection):
                if number != valid["key"] or (number == 1 and len(self.origin.seen("/signed1")) > 2):
                    await connection.reply(request, 403, [], b"expired")
                    return
                request.target = f"/bytes/{size}/{self.seed}?rate={4 * MIB}" + ("&die=30" if number == 1 else "")
                await self.origin._bytes(request, connection)
            return handler
        self.origin.on("/stable", stable)
        for number in range(1, 6):
            self.origin.on(f"/signed{number}", signed(number))
        self.get(self.origin.url("/stable"))
        self.assert_file("stable", size)
        self.assertGreater(valid["key"], 1)


class Retrying(GetTest):
    def test_a_busy_server_is_asked_again(self):
        self.get(self.url(5000, fail=1, retry_after=1))
        self.assert_file(self.seed, 5000)
        first, second = self.origin.seen(f"/bytes/5000/{self.seed}")
        self.assertGreaterEqual(second.at - first.at, 0.99)

    def test_so_often_and_no_more(self):
        self.origin.raw("/busy", b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")
        self.get("--retries", "1", self.origin.url("/busy"), status=8)
        self.assertEqual(len(self.origin.seen("/busy")), 2)

    def test_a_wait_that_is_too_long_is_a_failure(self):
        self.origin.raw("/later", b"HTTP/1.1 503 Busy\r\nRetry-After: 86400\r\nContent-Length: 0\r\n\r\n")
        self.get(self.origin.url("/later"), status=8)
        self.assertEqual(len(self.origin.seen("/later")), 1)

    def test_exit_statuses(self):
        for status, expected in ((401, 6), (403, 8), (404, 8), (407, 6), (410, 8)):
            self.origin.raw(f"/s{status}", f"HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n".encode())
            self.get(self.origin.url(f"/s{status}"), status=expected)
        self.get("http://127.0.0.1:1/x", status=4)
        self.get("http://name.invalid/x", status=4)
        self.origin.raw("/garbage", b"NOT HTTP AT ALL\r\n\r\n", Close)
        self.get("--retries", "0", self.origin.url("/garbage"), status=7)
        self.get("--retries", "0", "--timeout", "1s", self.origin.url("/x").replace("http:", "https:"), status=5)
        self.assertEqual(self.files(), [])

    def test_a_server_that_comes_back(self):
        size = 12 * MIB
        origin = Origin().start()
        process = self.start("--retries", "20", origin.url(f"/bytes/{size}/{self.seed}?rate={2 * MIB}"))
        wait_until(lambda: origin.bytes_sent(f"/bytes/{size}/{self.seed}") > 3 * MIB, what="it runs")
        port = origin.port
        origin.stop()
        again = Origin(port=port).start()
        self.addCleanup(again.stop)
        self.finish(process)
        self.assert_file(self.seed, size)

    def test_silence_ends_by_the_timeout(self):
        self.origin.raw("/silent", b"", 30, Close)
        self.get("--timeout", "500ms", "--retries", "0", self.origin.url("/silent"), status=4)
        self.assertIn("in time", self.err)


class Checksums(GetTest):
    SIZE = 12 * MIB

    def test_what_is_right_is_kept(self):
        for algorithm in ("md5", "sha-1", "sha256", "SHA-512"):
            name = algorithm.lower().replace("-", "")
            digest = hashlib.new(name, content(self.seed, 0, self.SIZE)).hexdigest()
            self.get("--checksum", f"{algorithm}={digest}", "-o", name, self.url(self.SIZE, rate=24 * MIB))
            self.assert_file(name, self.SIZE)

    def test_what_is_wrong_is_not_and_it_says_what_differs(self):
        wrong = sha256("other", self.SIZE)
        self.get("--checksum", f"sha-256={wrong}", self.url(self.SIZE, rate=24 * MIB), status=7)
        self.assertEqual(self.files(), [])
        self.assertIn(wrong, self.err)
        self.assertIn(sha256(self.seed, self.SIZE), self.err)

    def test_of_what_was_continued(self):
        url = self.url(self.SIZE, rate=MIB)
        self.interrupt_midway(url, name=self.seed, at_least=4 * MIB)
        self.get("-c", "--checksum", f"sha-256={sha256(self.seed, self.SIZE)}", url)
        self.assert_file(self.seed, self.SIZE)

    def test_a_damaged_part_does_not_become_the_file(self):
        url = self.url(self.SIZE, rate=MIB)
        self.interrupt_midway(url, name=self.seed, at_least=4 * MIB)
        with open(self.path(self.seed + ".part.json")) as f:
            first = json.load(f)["present"][0][0]
        with open(self.path(self.seed + ".part"), "r+b") as f:
            f.seek(first)
            byte = f.read(1)
            f.seek(first)
            f.write(bytes([byte[0] ^ 1]))
        self.get("-c", "--checksum", f"sha-256={sha256(self.seed, self.SIZE)}", url, status=7)
        self.assertEqual(self.files(), [])

    def test_the_servers_own_digest(self):
        body = content(self.seed, 0, 5000)
        for name, data, status in (("right", body, 0), ("wrong", b"x" + body[1:], 7)):
            digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
            self.origin.raw(f"/{name}", f"HTTP/1.1 200 OK\r\nRepr-Digest: sha-256=:{digest}:\r\nContent-Length: 5000\r\n\r\n".encode() + data)
            self.get(self.origin.url(f"/{name}"), status=status)
        self.assertEqual(self.files(), ["right"])

    def test_bad_ones_are_usage_errors(self):
        for text in ("sha-256=12", "crc=00", "nonsense"):
            self.get("--checksum", text, self.url(1), status=2)
        self.get("--checksum", "md5=" + 32 * "0", self.url(1), self.url(2), status=2)


class Rates(GetTest):
    def seconds(self, *arguments):
        self.get("--progress", "json", *arguments)
        return json.loads(self.out.splitlines()[-1])["seconds"]

    def test_one_download_and_all_together(self):
        """At most 5 % above the rate; how much below is up to the machine."""
        size = 6 * MIB
        self.assertGreater(self.seconds("--limit-rate", "4MiB", self.url(size)), 1.5 * 0.95)
        self.assertGreater(self.seconds("--limit-rate", "4M", self.url(size // 2, "a"), self.url(size // 2, "b")), 1.5 * 0.95)
        self.assertGreater(self.seconds("--limit-rate-each", "2M", self.url(size // 2, "c"), self.url(size // 2, "d")), 1.5 * 0.95)
        self.assert_file(self.seed, size)
        for seed in "abcd":
            self.assert_file(seed, size // 2, seed)

    def test_a_split_one(self):
        size = 24 * MIB
        self.assertGreater(self.seconds("--limit-rate", "16MiB", self.url(size, rate=4 * MIB)), 1.5 * 0.95)
        self.assert_file(self.seed, size)

    def test_of_a_slow_rate(self):
        self.assertGreater(self.seconds("--limit-rate", "100k", self.url(150_000)), 1.46 * 0.95)

    def test_a_bad_rate_is_a_usage_error(self):
        self.get("--limit-rate", "fast", self.url(1), status=2)


class Visits(GetTest):
    """Credentials, cookies and HSTS (S0-5.5, S3-4.4 to S3-4.9)."""
    SIZE = 12 * MIB

    def setUp(self):
        super().setUp()
        with open(self.path("../" + os.path.basename(self.dir) + "-secret"), "w") as f:
            f.write("canary-4711\n")
        self.secret = f.name
        self.addCleanup(os.unlink, self.secret)

    def guarded(self, path, check, challenge):
        async def handler(request, connection):
            if not check(request.field("authorization", ""), request):
                await connection.reply(request, 401, [("WWW-Authenticate", challenge)], b"no")
                return
            request.target = f"/bytes/{self.SIZE}/{self.seed}?rate={4 * MIB}"
            await self.origin._bytes(request, connection)
        self.origin.on(path, handler)
        return self.origin.url(path)

    def test_basic_credentials_are_sent_when_asked_for(self):
        right = "Basic " + base64.b64encode(b"me:canary-4711").decode()
        url = self.guarded("/basic", lambda value, _: value == right, 'Basic realm="x"')
        self.get("-v", "--user", "me", "--password-file", self.secret, url)
        self.assert_file("basic", self.SIZE)
        self.assertIsNone(self.origin.seen("/basic")[0].field("authorization"))
        self.assertNotIn("canary-4711", self.err + self.out)

    def test_digest_with_a_new_count_for_every_piece(self):
        used = []

        def check(value, request):
            parts = dict(re.findall(r'(\w+)="?([^",]+)', value))
            if not parts.get("response") or parts["nc"] in used:
                return False

            def h(text):
                return hashlib.sha256(text.encode()).hexdigest()
            expected = h(":".join((h("me:x:canary-4711"), "n0", parts["nc"], parts["cnonce"], "auth", h("GET:/digest"))))
            if parts["response"] != expected:
                return False
            used.append(parts["nc"])
            return True
        url = self.guarded("/digest", check, 'Digest realm="x", nonce="n0", qop="auth", algorithm=SHA-256')
        self.get("--user", "me", "--password-file", self.secret, url)
        self.assert_file("digest", self.SIZE)
        self.assertGreater(len(used), 1)
        refused = [r for r in self.origin.seen("/digest") if r.status == 401]
        self.assertEqual(len(refused), 1)

    def test_wrong_credentials_are_not_sent_for_ever(self):
        url = self.guarded("/never", lambda *_: False, 'Basic realm="x"')
        self.get("--user", "me", "--password-file", self.secret, url, status=6)
        self.assertEqual(len(self.origin.seen("/never")), 2)
        self.get(url, status=6)
        self.assertEqual(len(self.origin.seen("/never")), 3)

    def test_netrc(self):
        right = "Basic " + base64.b64encode(b"you:pw").decode()
        url = self.guarded("/netrc", lambda value, _: value == right, 'Basic realm="x"')
        with open(self.path("netrc"), "w") as f:
            f.write("machine 127.0.0.1 login you password pw\n")
        self.get("--netrc-file", "netrc", url)
        self.assert_file("netrc.1", self.SIZE)

    def test_a_login_in_the_url(self):
        other = Origin().start()
        self.addCleanup(other.stop)
        right = "Basic " + base64.b64encode(b"me:canary-4711@").decode()
        url = self.guarded("/mine", lambda value, _: value == right, 'Basic realm="x"')
        login = url.replace("://", "://me:canary-4711%40@")
        with open(self.path("netrc"), "w") as f:
            f.write("machine 127.0.0.1 login you password pw\nmachine 127.0.0.1 login me password canary-4711@\n")
        # It counts before --user and netrc; a password that it lacks comes from the latter.
        for number, arguments in enumerate((["-v", login], ["--progress", "json", login], ["--user", "you", "--password-file", self.secret, login],
                                            ["--netrc-file", "netrc", login], ["--netrc-file", "netrc", url.replace("://", "://me@")])):
            with self.subTest(arguments):
                self.get("-o", f"out{number}", *arguments)
                self.assert_file(f"out{number}", self.SIZE)
                self.assertNotIn("canary-4711", self.err + self.out)
        self.get("-i", "-", "-P", self.dir, stdin=subprocess.DEVNULL, status=2)
        self.assertEqual([name for name in self.files() if "me" in name or "canary" in name], [])

        # It is for that origin, and what a redirect has is nobody's.
        seen = []

        async def elsewhere(request, connection):
            seen.append(request.field("authorization"))
            await connection.reply(request, 401, [("WWW-Authenticate", 'Basic realm="x"')], b"no")
        other.on("/there", elsewhere)
        target = other.url("/there").replace("://", "://them:theirs@")
        self.origin.raw("/away", f"HTTP/1.1 302 Found\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n".encode())
        self.get(self.origin.url("/away").replace("://", "://me:canary-4711@"), status=6)
        self.assertEqual(seen, [None])
        self.assertNotIn("theirs", self.err)

    def test_a_login_is_not_in_the_state_file(self):
        right = "Basic " + base64.b64encode(b"me:canary-4711").decode()
        url = self.guarded("/kept", lambda value, _: value == right, 'Basic realm="x"').replace("://", "://me:canary-4711@")
        self.interrupt_midway("-x", "1", url, name="kept")
        with open(self.path("kept.part.json")) as f:
            self.assertNotIn("canary", f.read())
        self.get("-c", url)
        self.assert_file("kept", self.SIZE)

    def test_cookies_are_kept_in_their_file(self):
        async def handler(request, connection):
            await connection.reply(request, 200, [("Set-Cookie", "a=1; Max-Age=1000")], request.field("cookie", "none").encode())
        self.origin.on("/cookie", handler)
        for turn, expected in enumerate(("none", "a=1")):
            self.get("--cookie-jar", "jar", "-o", f"out{turn}", self.origin.url("/cookie"))
            with open(self.path(f"out{turn}")) as f:
                self.assertEqual(f.read(), expected)
        self.assertEqual(os.stat(self.path("jar")).st_mode & 0o077, 0)

    def test_ranges_only_after_a_cookie(self):
        async def handler(request, connection):
            if request.field("range") and "seen=1" not in request.field("cookie", ""):
                await connection.reply(request, 403, [], b"no cookie")
                return
            request.target = f"/bytes/{self.SIZE}/{self.seed}?rate={4 * MIB}&header=Set-Cookie:seen=1"
            await self.origin._bytes(request, connection)
        self.origin.on("/ranges", handler)
        self.get(self.origin.url("/ranges"))
        self.assert_file("ranges", self.SIZE)
        self.assertEqual(self.origin.seen("/ranges"), [])  # those that were refused
        self.assertGreater(len(self.origin.seen(f"/bytes/{self.SIZE}/{self.seed}")), 1)

    def test_a_host_that_wants_https_is_not_asked_in_the_clear(self):
        with open(self.path("hsts"), "w") as f:
            f.write(f"localhost 0 0 {int(time.time())} 100000\n")
        url = self.origin.url("/bytes/10/hsts").replace("127.0.0.1", "localhost")
        self.get("--hsts-file", "hsts", "--timeout", "1s", "--retries", "0", url, status=5)
        self.assertEqual(self.origin.seen("/bytes/10/hsts"), [])


class Output(GetTest):
    def test_json_lines(self):
        self.get("--progress", "json", self.url(3 * MIB, rate=2 * MIB), self.origin.url("/missing"), status=8)
        events = [json.loads(line) for line in self.out.splitlines()]
        kinds = [event["event"] for event in events]
        self.assertEqual(kinds[-1], "total")
        self.assertIn("progress", kinds)
        done = next(e for e in events if e["event"] == "done")
        self.assertEqual((done["file"], done["length"]), (self.seed, 3 * MIB))
        failed = next(e for e in events if e["event"] == "failed")
        self.assertEqual(failed["status"], 8)
        self.assertEqual((events[-1]["done"], events[-1]["failed"], events[-1]["status"]), (1, 1, 8))

    def test_quiet_says_only_what_failed(self):
        self.get("-q", self.url(1000))
        self.assertEqual((self.out, self.err), ("", ""))
        self.get("-q", self.origin.url("/missing"), status=8)
        self.assertIn("404", self.err)

    def test_a_server_cannot_command_the_terminal(self):
        self.get("-v", "--progress", "plain", self.url(10, header="X-Evil:%C2%9B31m"))
        self.assertIn("X-Evil", self.err)
        self.assertNotIn("\x9b", self.err)

    def test_nobody_reads_what_is_printed(self):
        process = self.start("--progress", "json", self.url(1000))
        process.stdout.close()
        self.assertEqual(process.wait(30), 0)
        self.assert_file(self.seed, 1000)


class Terminal(GetTest):
    """S0-5.2: the bar, on a terminal."""

    def run_on_terminal(self, *arguments, during=lambda fd: None):
        master, slave = pty.openpty()
        self.addCleanup(os.close, master)
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
        process = subprocess.Popen([PROGRAM, "get", *arguments], cwd=self.dir, stdin=slave, stdout=slave, stderr=slave,
                                   start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(slave)
        out = b""
        try:
            while part := os.read(master, 65536):
                out += part
                during(master)
        except OSError:
            pass
        self.assertEqual(process.wait(30), 0, out)
        return out.decode()

    def test_a_bar_that_is_redrawn_and_goes_away(self):
        size = 6 * MIB
        out = self.run_on_terminal("--limit-rate", "4MiB", self.url(size))
        self.assert_file(self.seed, size)
        self.assertRegex(out, r"\d+ % \[#*=?\.*#*\]")
        self.assertIn("\x1b[1A\r\x1b[J", out)
        last = out.rsplit("\x1b[J", 1)[1]  # behind the last erasure
        self.assertTrue(last.strip().startswith("saved "), last)
        self.assertLess(out.count("conn"), 30)

    def test_it_follows_the_size_of_the_terminal(self):
        def narrow(fd):
            fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 40, 0, 0))
        out = self.run_on_terminal("--limit-rate", "4MiB", self.url(4 * MIB, "a"), self.url(4 * MIB, "b"), during=narrow)
        for seed in "ab":
            self.assert_file(seed, 4 * MIB, seed)
        lines = [line for line in re.split(r"\r\n|\x1b\[\d*[AJ]|\r", out) if "conn" in line]
        self.assertLessEqual(len(lines[-1]), 39)
        self.assertIn("of 2 done", out)


if __name__ == "__main__":
    unittest.main()
