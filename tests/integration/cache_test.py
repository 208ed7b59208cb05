"""The cache as its operator sees it: `tributary cache …` and the admin API behind it (P-19)."""
import json
import os
import signal
import subprocess
import urllib.parse

from harness import Client, ProxyTest, Tributary, wait_until
from harness.proxy import PROGRAM


class CacheTest(ProxyTest):
    def cache(self, *arguments, proxy=None, status=0, **options):
        """Runs the command against the proxy; its lines of output."""
        done = self.run_cache("--admin", f"127.0.0.1:{(proxy or self.proxy).admin_port}", *arguments, **options)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done.stdout.splitlines()

    def offline(self, directory, *arguments, status=0):
        """The same on a directory, with no proxy there."""
        done = self.run_cache("--cache-dir", directory, *arguments)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done.stdout.splitlines() + done.stderr.splitlines()

    def run_cache(self, option, value, action, *arguments, **options):
        environment = {k: v for k, v in os.environ.items() if not k.startswith("TRIBUTARY")}
        return subprocess.run([PROGRAM, "cache", action, option, value, *arguments], capture_output=True, text=True,
                              timeout=60, env=environment, **options)

    def url(self, path):
        return self.origin.url(path)

    def api(self, path, document=None, content=None, type_="application/json"):
        body = content if content is not None else None if document is None else json.dumps(document).encode()
        status, fields, reply = self.proxy.admin(path, "GET" if body is None else "POST", body,
                                                 {"Content-Type": type_} if body is not None else {})
        return status, json.loads(reply)


class Show(CacheTest):
    config = {"cache": {"max_object": "1MiB"}}

    def show(self, path, *arguments, status=0):
        return self.cache("show", self.url(path), *arguments, status=status)

    def test_a_hit(self):
        path = self.path(5000, cc="max-age=600")
        self.get(path)
        lines = self.show(path)
        self.assertEqual(lines[0], self.url(path))
        self.assertRegex(lines[1], r"^  stored: status 200, 5000 bytes, whole, in memory; it came \d+ s ago$")
        self.assertEqual(lines[2], "  why: it says how long it is fresh (RFC 9111 3)")
        self.assertRegex(lines[3], r"^  freshness: fresh for another .*: its age is \d+ s \(RFC 9111 4\.2\.3\), "
                                   r"its lifetime 10 min, from max-age \(RFC 9111 5\.2\.2\.1\)$")
        self.assertEqual(lines[4], "  now: on a GET it is served from the cache (RFC 9111 4)")
        self.assertEqual(len(lines), 5)
        self.assert_hit(self.get(path))  # and so it is

    def test_an_expired_one(self):
        path = self.path(5000, cc="max-age=10", header="Age:100")
        self.get(path)
        lines = self.show(path)
        self.assertRegex(lines[3], r"^  freshness: expired \d+ s ago: its age is 10\d s \(RFC 9111 4\.2\.3\), its lifetime 10 s, "
                                   r"from max-age \(RFC 9111 5\.2\.2\.1\)$")
        self.assertRegex(lines[4], r'^  now: on a GET the origin is asked first, with If-None-Match: ".*" \(RFC 9111 4\.3\.1\)$')
        self.get(path)
        self.assertEqual(self.seen(path)[-1].field("if-none-match", ""), lines[4].split("If-None-Match: ")[1].split(" (")[0])

    def test_no_store(self):
        path = self.path(100, cc="no-store")
        self.get(path)
        lines = self.show(path, status=1)
        self.assertEqual(lines[1], "  not stored: the response said no-store (RFC 9111 5.2.2.5)")
        self.assertRegex(lines[2], r"^  that was a response with status 200, \d+ s ago$")
        self.assertEqual(lines[3], "  now: a GET is fetched from the origin")

    def test_too_large(self):
        for path in (self.path(2_000_000), self.path(3_000_000, chunked=1)):
            with self.subTest(path):
                self.get(path)
                lines = wait_until(lambda p=path: [x for x in self.show(p, status=1) if "too large" in x], 5, "the reason")
                self.assertEqual(lines, ["  not stored: it is too large: larger than cache.max_object "
                                         "(RFC 9111 3 leaves that to the cache)"])

    def test_other_reasons(self):
        for query, reason in (({"cc": "private"}, "the response said private (RFC 9111 5.2.2.7)"),
                              ({"vary": "*"}, "it said Vary: *, so no other request can select it (RFC 9111 4.1)")):
            with self.subTest(reason):
                path = self.path(50, **query)
                self.get(path)
                self.assertEqual(self.show(path, status=1)[1], "  not stored: " + reason)
        path = self.path(60, cc="max-age=60")
        self.get(path, [("Authorization", "Basic eDp5")])
        self.assertIn("RFC 9111 3.5", self.show(path, status=1)[1])

    def test_absent_and_purged(self):
        path = self.path(70)
        self.assertIn("nothing is known of it", self.show(path, status=1)[1])
        self.get(path)
        self.cache("purge", self.url(path))
        self.assertRegex(self.show(path, status=1)[1], r"^  not stored: it was purged, \d+ s ago$")

    def test_variants_and_the_request_that_is_meant(self):
        path = self.path(80, vary="X-Kind")
        self.get(path, [("X-Kind", "a")])
        lines = self.show(path)
        self.assertIn("  for requests with: x-kind: a", lines)
        self.assertEqual(lines[-1], "  now: this GET does not select it, its fields differ in what Vary names (RFC 9111 4.1)")
        self.assertEqual(self.show(path, "-H", "X-Kind: a")[-1], "  now: on a GET it is served from the cache (RFC 9111 4)")
        self.get(path, [("X-Kind", "b")])
        self.assertIn("variant 2 of 2", self.show(path))

    def test_a_request_with_directives_is_explained_as_it_would_be_answered(self):
        path = self.path(90, cc="max-age=600")
        self.get(path)
        self.assertIn("the request wants it (RFC 9111 5.2.1)", self.show(path, "-H", "Cache-Control: no-cache")[-1])

    def test_json_says_the_same_for_programs(self):
        path = self.path(95, cc="max-age=600")
        self.get(path)
        document = json.loads("".join(self.show(path, "--json")))
        self.assertTrue(document["stored"])
        self.assertEqual((document["variants"][0]["use"], document["variants"][0]["lifetime"]), ("hit", 600))


class Commands(CacheTest):
    def test_ls_pages_through_everything(self):
        paths = [self.path(10, seed=f"{self.seed}{i}") for i in range(25)]
        for path in paths:
            self.get(path)
        prefix = self.url("/bytes/10/" + self.seed)
        listed = [json.loads(line)["url"] for line in self.cache("ls", prefix, "--json")]
        self.assertEqual(sorted(listed), sorted(self.url(path) for path in paths))
        self.assertEqual(len(self.cache("ls", prefix, "--limit", "7")), 7)
        # The same in small pages by hand.
        found, cursor = [], ""
        while cursor is not None:
            status, page = self.api(f"/api/v1/cache/objects?limit=4&prefix={urllib.parse.quote(prefix, safe='')}&cursor={cursor}")
            self.assertEqual(status, 200)
            self.assertLessEqual(len(page["objects"]), 4)
            found += [entry["url"] for entry in page["objects"]]
            cursor = page["cursor"]
        self.assertEqual(sorted(found), sorted(listed))

    def test_ls_ends_with_its_reader(self):
        for i in range(300):
            self.get(self.path(1, seed=f"{self.seed}{i}"))
        with subprocess.Popen([PROGRAM, "cache", "ls", "--admin", f"127.0.0.1:{self.proxy.admin_port}"],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            process.stdout.close()
            self.assertEqual(process.stderr.read(), b"")
            self.assertEqual(process.wait(20), -signal.SIGPIPE)

    def test_output_that_cannot_be_written_is_an_error(self):
        with open("/dev/full", "w") as full:
            done = subprocess.run([PROGRAM, "cache", "stat", "--admin", f"127.0.0.1:{self.proxy.admin_port}"], stdout=full,
                                  stderr=subprocess.PIPE, text=True, timeout=20)
        self.assertEqual((done.returncode, done.stderr), (1, "tributary: standard output: No space left on device\n"))

    def test_stat_agrees_with_the_metrics(self):
        self.get(self.path(50_000))
        document = json.loads("".join(self.cache("stat", "--json")))
        wait_until(lambda: json.loads("".join(self.cache("stat", "--json")))["pending"] == 0, 5, "everything is committed")
        document = json.loads("".join(self.cache("stat", "--json")))
        for name in ("objects", "bytes", "size_bytes"):
            self.assertEqual(document[name], self.proxy.metric(f"tributary_cache_{name}"), name)
        self.assertGreater(document["objects"], 0)

    def test_purge_by_prefix_tag_and_url(self):
        for i in range(4):
            self.get(self.path(20, seed=f"{self.seed}{i}"))
        self.assertEqual(self.cache("purge", "--prefix", self.url(f"/bytes/20/{self.seed}")), ["4 stored responses purged"])
        tagged = self.path(21, header="Cache-Tag:release, Other")
        plain = self.path(22)
        self.get(tagged), self.get(plain)
        self.assertEqual(self.cache("purge", "--tag", "RELEASE"), ["1 stored response purged"])
        self.assert_not_hit(self.get(tagged))
        self.assert_hit(self.get(plain))
        self.assertEqual(self.cache("purge", self.url(plain), "--json"), ['{"objects":1}'])
        self.assertEqual(self.cache("purge", self.url(plain)), ["0 stored responses purged"])

    def test_purge_takes_a_running_fill(self):
        path = self.path(4_000_000, rate=2_000_000)
        client = self.client()
        client.request("GET", self.url(path))
        head = client.read_head()
        self.assertEqual(head.status, 200)
        client.read_exactly(1000)
        self.assertEqual(self.cache("purge", self.url(path)), ["1 stored response purged"])
        before = len(self.seen(path))
        other = self.client()
        other.request("GET", self.url(path))
        self.assertEqual(other.read_head().status, 200)
        wait_until(lambda: len(self.seen(path)) > before, 5, "a request of its own at the origin")
        self.assertEqual(len(client.read_exactly(3_999_000)), 3_999_000, "who reads already reads to the end")

    def test_wrong_arguments_are_status_2(self):
        self.cache("purge", status=2)
        self.cache("purge", self.url("/"), "--all", status=2)
        self.cache("purge", "no url", status=2)
        self.cache("purge", "--tag", "two words", status=2)
        self.cache("show", "ftp://a.example/", status=2)
        self.cache("ls", "no url", status=2)
        self.cache("show", status=2)
        self.cache("show", self.url("/"), "-H", "no field", status=2)
        self.cache("warm", "-i", "/nowhere/at/all", status=2)
        self.assertIn("not in this version", self.run_cache("--admin", "off", "export").stderr)

    def test_hostile_api_requests_get_clear_refusals(self):
        for document in ({}, {"url": 1}, {"all": False}, {"url": "x", "tag": "y"}, {"nothing": 1}, [], "all", None):
            status, problem = self.api("/api/v1/cache/purge", content=json.dumps(document).encode())
            self.assertEqual((status, problem["status"]), (400, 400), document)
        for content in (b"", b"{", b"[" * 100_000, b'{"a":' * 50_000, b"\xff\xfe", b'{"tag": "\xff"}', b"\0" * 10_000):
            self.assertEqual(self.api("/api/v1/cache/purge", content=content)[0], 400, content[:20])
        self.assertEqual(self.api("/api/v1/cache/purge", content=b"{}", type_="text/plain")[0], 415)
        self.assertEqual(self.api("/api/v1/cache/purge", content=b" " * 2_000_000)[0], 413)
        for query in ("limit=0", "limit=1001", "cursor=x", "cursor=" + "0" * 48, "cursor=" + "0" * 48 + "-x", "prefix=x", "what=1"):
            self.assertEqual(self.api("/api/v1/cache/objects?" + query)[0], 400, query)
        for key in ("%", "%zz", "nothing", "ftp%3A%2F%2Fa", urllib.parse.quote("http://a/" + "x" * 9000, safe="")):
            self.assertEqual(self.api("/api/v1/cache/objects/" + key)[0], 400, key[:20])
        with Client(("127.0.0.1", self.proxy.admin_port)) as client:  # a page of another site
            reply = client.exchange("POST", "/api/v1/cache/purge", [("Origin", "http://evil.example"),
                                    ("Content-Type", "application/json")], b'{"all": true}', host="localhost")
            self.assertEqual(reply.status, 403)
        self.assertEqual(self.proxy.admin("/healthz")[0], 200)


class Warm(CacheTest):
    def test_a_list_is_fetched_once_and_reported_url_by_url(self):
        paths = [self.path(30_000, seed=f"{self.seed}{i}") for i in range(20)]
        present, refused = self.path(40), self.path(41, cc="no-store")
        self.get(present)
        text = "\n".join(["# a list", "", *map(self.url, paths), self.url(present), self.url(refused), "nonsense"])
        lines = self.cache("warm", "-i", "-", input=text, status=1)
        self.assertEqual(len([line for line in lines if line.startswith("stored ")]), 20, lines)
        self.assertTrue(any(line.startswith("present ") and line.endswith(self.url(present)) for line in lines), lines)
        self.assertTrue(any(line.startswith("not stored ") and line.endswith(self.url(refused)) for line in lines), lines)
        self.assertTrue(any(line.startswith("failed ") and "nonsense" in line for line in lines), lines)
        self.assertEqual(lines[-1], "20 stored (586.0 KiB), 1 present already, 1 not stored, 1 failed")
        for path in paths:
            self.assertEqual(len(self.seen(path)), 1)
            reply = self.get(path)
            self.assert_hit(reply)
            self.assertEqual(len(reply.body), 30_000)
        self.assertEqual(self.cache("warm", *map(self.url, paths))[-1], "0 stored (0 B), 20 present already, 0 not stored, 0 failed")

    def test_it_joins_a_fetch_that_is_under_way(self):
        path = self.path(1_000_000, rate=2_000_000)
        client = self.client()
        client.request("GET", self.url(path))
        client.read_head()
        self.assertTrue(self.cache("warm", self.url(path))[0].startswith("stored "))
        self.assertEqual(len(self.seen(path)), 1)

    def test_what_the_origin_cuts_short_is_a_failure(self):
        path = self.path(100_000, die=50, etag="none", ranges="no", lm="none", die_all=1)
        self.assertTrue(self.cache("warm", self.url(path), status=1)[0].startswith("failed "))

    def test_it_is_bounded_by_the_rules_of_the_proxy(self):
        strict = self.start_proxy({"access": {"allow_private": False}})
        self.assertIn("403", self.cache("warm", self.url(self.path(10)), proxy=strict, status=1)[0])

    def test_an_interrupt_ends_it(self):
        path = self.path(50_000_000, rate=100_000)
        with subprocess.Popen([PROGRAM, "cache", "warm", self.url(path), "--admin", f"127.0.0.1:{self.proxy.admin_port}"],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            wait_until(lambda: self.seen(path), 10, "the request at the origin")
            process.send_signal(signal.SIGINT)
            self.assertEqual(process.wait(10), -signal.SIGINT)
        wait_until(lambda: self.proxy.metric("tributary_client_connections") == 0, 10, "its connection is gone")


class Verify(CacheTest):
    def damage(self, proxy, sample):
        """Changes a byte in the middle of where `sample` lies in the segments."""
        for name in os.listdir(proxy.cache_dir):
            if not name.startswith("seg-"):
                continue
            with open(os.path.join(proxy.cache_dir, name), "r+b") as f:
                data = f.read()
                at = data.find(sample)
                if at >= 0:
                    f.seek(at + len(sample) // 2)
                    f.write(bytes([data[at + len(sample) // 2] ^ 1]))
                    return
        self.fail("the sample is not in any segment")

    def test_everything_right_is_status_0(self):
        for size in (10, 30_000, 3_000_000):
            self.get(self.path(size))
        lines = self.cache("verify")
        self.assertRegex(lines[-1], r"^\d+ stored responses, .*: 0 damaged$")

    def test_a_damaged_piece_is_found_dropped_counted_and_fetched_again(self):
        large, small = self.path(3_000_000, seed="large"), self.path(30_000, seed="small")
        body = {path: self.get(path).body for path in (large, small)}
        self.cache("verify")  # and all of it is on disk
        self.damage(self.proxy, body[large][1_500_000:1_500_400])
        self.damage(self.proxy, body[small][1000:1400])
        before = self.proxy.metric("tributary_cache_corrupt_total")
        lines = self.cache("verify", "--limit-rate", "1GiB", status=1)
        self.assertIn(f"damaged  {self.url(large)}: 1 of its pieces is damaged", lines)
        self.assertIn(f"damaged  {self.url(small)}: the content is damaged", lines)
        self.assertTrue(lines[-1].endswith("2 damaged, and dropped"), lines)
        self.assertEqual(self.proxy.metric("tributary_cache_corrupt_total"), before + 2)
        for path in (large, small):
            self.assertEqual(self.get(path).body, body[path])
        self.cache("verify")


class Offline(CacheTest):
    def test_the_directory_can_be_worked_on_when_no_proxy_runs(self):
        proxy = self.start_proxy()
        one, two = self.path(3000, header="xkey:t"), self.path(200_000)
        for path in (one, two):
            self.get(path, proxy=proxy)
        refused = self.offline(proxy.cache_dir, "stat", status=3)
        self.assertIn("is in use by", refused[0])
        proxy.stop()
        directory = proxy.cache_dir
        self.assertEqual(json.loads("".join(self.offline(directory, "stat", "--json")))["objects"], 2)
        self.assertEqual(len(self.offline(directory, "ls")), 2)
        self.assertEqual(self.offline(directory, "show", self.url(two))[-1], "  now: on a GET it is served from the cache (RFC 9111 4)")
        self.assertIn("0 damaged", self.offline(directory, "verify")[-1])
        self.assertEqual(self.offline(directory, "purge", "--tag", "t"), ["1 stored response purged"])
        self.assertEqual(self.offline(directory, "warm", self.url(one), status=4),
                         ["tributary: no proxy answers: warming goes through a running one"])
        proxy.start()
        self.assert_hit(self.get(two, proxy=proxy))
        self.assert_not_hit(self.get(one, proxy=proxy))

    def test_looking_never_empties_what_is_larger_than_the_limit_says(self):
        proxy = self.start_proxy({"cache": {"size": "4GiB"}})
        for i in range(3):
            self.get(self.path(90_000_000, seed=f"{self.seed}{i}", etag="x"), proxy=proxy)
        proxy.stop()
        size = ("--cache-size", "64MiB")
        self.assertEqual(len(self.offline(proxy.cache_dir, "ls", *size)), 3)
        self.assertIn("0 damaged", self.offline(proxy.cache_dir, "verify", *size)[-1])
        proxy.start()
        self.assertEqual(proxy.metric("tributary_cache_objects"), 3)

    def test_where_there_is_no_cache_none_is_made(self):
        missing = os.path.join(self.proxy.dir, "nothing")
        self.assertIn("there is no cache in", self.offline(missing, "stat", status=3)[0])
        self.assertFalse(os.path.exists(missing))

    def test_without_a_proxy_the_configured_directory_is_used(self):
        proxy = Tributary()
        self.addCleanup(proxy.remove)
        done = self.run_cache("--admin", f"127.0.0.1:{proxy.admin_port}", "stat", "--set", f"cache.directory={proxy.cache_dir}")
        self.assertEqual(done.returncode, 3)


if __name__ == "__main__":
    import unittest
    unittest.main()
