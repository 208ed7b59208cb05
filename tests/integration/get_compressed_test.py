"""`tributary get --compressed`: gzip, br and zstd undone, in one piece and split, continued, cut off, broken, and bombs (P-14, RFC 9110 8.4)."""
import gzip
import hashlib
import os
import random

from harness import Close, Nginx
from harness.codings import CODINGS
from harness.downloader import MIB, GetTest


def text(size, seed):
    """Bytes that compress to about two thirds."""
    draw = random.Random(seed)
    return bytes(draw.choices(b"0123456789abcdefghijklmnopqrstuv", k=size))


class Compressed(GetTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.data = text(12 * MIB, 1)
        cls.coded = {name: encode(cls.data) for name, encode in CODINGS.items()}

    def serve(self, path, body, coding, etag='"v1"', chop=None, close=False, fields=(), rate=0):
        """`body` with Content-Encoding and ranges of it. `chop`: it ends after so many bytes, with the connection."""
        async def handler(request, connection):
            head = [("Content-Encoding", coding), ("Accept-Ranges", "bytes"), *fields]
            head += [("ETag", etag)] if etag else []
            asked, first, last, status = request.field("range"), 0, len(body), 200
            if asked and request.field("if-range") in (None, etag):
                low, _, high = asked.removeprefix("bytes=").partition("-")
                first, last, status = int(low), min(int(high or len(body)) + 1, len(body)), 206
                head.append(("Content-Range", f"bytes {first}-{last - 1}/{len(body)}"))
            await connection.reply(request, status, head, body[first:last])
        self.origin.on(path, handler)
        return self.origin.url(path)

    def raw(self, path, body, coding, *fields):
        """Until the connection ends: nothing but the coding tells whether it is whole."""
        head = "".join(f"{field}\r\n" for field in ("Connection: close", f"Content-Encoding: {coding}", *fields))
        self.origin.raw(path, f"HTTP/1.1 200 OK\r\n{head}\r\n".encode() + body, Close)
        return self.origin.url(path)

    def assert_data(self, name, data):
        self.assertEqual(self.files(), [name])
        with open(self.path(name), "rb") as f:
            self.assertTrue(f.read() == data)
        os.remove(self.path(name))

    def test_each_coding(self):
        for coding, body in self.coded.items():
            with self.subTest(coding):
                url = self.serve(f"/{coding}", body, coding)
                self.get("--compressed", "--progress", "json", "-o", "out", url)
                self.assertIn(f'"length":{len(self.data)}', self.out.replace(" ", "").split('"event":"done"')[1])
                self.assert_data("out", self.data)
                self.assertEqual(self.origin.seen(f"/{coding}")[0].field("accept-encoding"), "gzip, br, zstd")
                self.get("-o", "out", url)  # not asked for, so not undone
                self.assert_data("out", body)
                self.assertEqual(self.origin.seen(f"/{coding}")[-1].field("accept-encoding"), "identity")

    def test_small_empty_and_uncoded_files(self):
        for number, (coding, body, data) in enumerate((
                ("gzip", gzip.compress(b"x"), b"x"), ("gzip", gzip.compress(b""), b""), ("gzip", b"", b""), ("identity", b"as it is", b"as it is"),
                ("x-gzip", gzip.compress(b"one ") + gzip.compress(b"two"), b"one two"))):
            with self.subTest(number):
                self.get("--compressed", "-o", "out", self.serve(f"/small{number}", body, coding))
                self.assert_data("out", data)

    def test_a_split_download_joins_what_is_coded(self):
        nginx = Nginx(pace=2 * MIB, extra="add_header Content-Encoding gzip;")
        self.addCleanup(nginx.stop)
        nginx.start()
        body = gzip.compress(text(30 * MIB, 2), 1, mtime=0)
        nginx.put("big", body)
        self.get("--compressed", "-o", "out", nginx.url("/big"))
        self.assert_data("out", text(30 * MIB, 2))
        rows = nginx.log("/big")
        self.assertGreater(len({row[4] for row in rows}), 2, "it was not split")
        self.assertGreater(sum(row[2] == 206 for row in rows), 1)
        self.assertLess(sum(row[3] for row in rows), 1.25 * len(body))

    def test_gzip_on_the_fly(self):
        nginx = Nginx(extra="gzip on; gzip_types *; gzip_min_length 1;")
        self.addCleanup(nginx.stop)
        nginx.start()
        nginx.put("file", self.data)
        self.get("--compressed", nginx.url("/file"))
        self.assert_data("file", self.data)

    def test_an_interrupted_download_is_continued_and_then_unpacked(self):
        nginx = Nginx(pace=2 * MIB, extra="add_header Content-Encoding gzip;")
        self.addCleanup(nginx.stop)
        nginx.start()
        nginx.put("big", self.coded["gzip"])
        self.interrupt_midway("--compressed", "-x", "1", nginx.url("/big"), name="big", at_least=1)
        before = sum(row[3] for row in nginx.log("/big"))
        self.get("-c", "--compressed", nginx.url("/big"))
        self.assert_data("big", self.data)
        self.assertLess(sum(row[3] for row in nginx.log("/big")) - before, len(self.coded["gzip"]))
        # What was begun to be unpacked is unpacked in the end.
        self.interrupt_midway("--compressed", "-x", "1", nginx.url("/big"), name="big", at_least=1)
        self.get("-c", nginx.url("/big"))
        self.assert_data("big", self.data)

    def test_cut_off_or_broken_is_an_error_and_nothing_is_kept(self):
        for coding, body in self.coded.items():
            broken = body[:len(body) // 2] + b"\xff" * 4096 + body[len(body) // 2 + 4096:]
            # Only gzip always has a checksum; in the others changed bytes may be literals, but what is cut off is always seen.
            cases = {"cut off": body[:-1], "cut off early": body[:1000], "other form": b"<html>" * 100}
            cases["broken"] = {"gzip": broken, "br": b"\xff" * 5000, "zstd": b"\x28\xb5\x2f\xfd" + b"\xff" * 5000}[coding]
            if coding != "zstd":
                cases["something behind"] = body + b"more"
            for name, bytes_ in cases.items():
                with self.subTest(coding, case=name):
                    self.get("--compressed", "-o", "out", self.raw(f"/{coding}-{name.replace(' ', '-')}", bytes_, coding), status=7)
                    self.assertRegex(self.err, f"its {coding} form is (cut off|broken)")
                    self.assertEqual(self.files(), [])

    def test_a_coding_that_nobody_asked_for(self):
        self.get("--compressed", self.serve("/odd", b"abc", "compress"), status=7)
        self.assertIn("compress, which cannot be undone", self.err)
        self.assertEqual(self.files(), [])

    def test_a_bomb_does_not_fill_the_disk(self):
        for coding, encode in CODINGS.items():
            with self.subTest(coding):
                body = encode(bytes(300 * MIB))
                self.get("--compressed", "-o", "out", self.serve(f"/bomb-{coding}", body, coding), status=7)
                self.assertIn("more than 250 times", self.err)
                self.assertEqual(self.files(), [])

    def test_the_users_checksum_is_of_the_file_and_the_servers_of_what_comes(self):
        import base64
        body = self.coded["gzip"]
        right = hashlib.sha256(self.data).hexdigest()
        digest = lambda bytes_: f"sha-256=:{base64.b64encode(hashlib.sha256(bytes_).digest()).decode()}:"
        url = self.serve("/digests", body, "gzip", fields=[("Repr-Digest", digest(body))])
        self.get("--compressed", "--checksum", f"sha-256={right}", "-o", "out", url)
        self.assert_data("out", self.data)
        self.get("--compressed", "--checksum", f"sha-256={hashlib.sha256(body).hexdigest()}", "-o", "out", url, status=7)
        self.assertIn(right, self.err)
        self.assertEqual(self.files(), [])
        url = self.serve("/wrong", body, "gzip", fields=[("Repr-Digest", digest(self.data))])
        self.get("--compressed", "-o", "out", url, status=7)
        self.assertEqual(self.files(), [])

    def test_a_file_that_is_there_is_not_compared_with_what_is_compressed(self):
        with open(self.path("out"), "w") as f:
            f.write("mine")
        self.get("-c", "--compressed", "-o", "out", self.serve("/there", self.coded["gzip"], "gzip"), status=3)
        with open(self.path("out")) as f:
            self.assertEqual(f.read(), "mine")
