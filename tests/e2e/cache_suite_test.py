"""The public suite of HTTP cache tests (npm: http-cache-tests), through the forward proxy (P-8).

None of the required tests may fail, and 95 % of the optimal ones must pass. What we decide against is listed here with its
reason, and must keep failing in the way that is stated: a test that passes by now is to be taken off the list.
"""
import collections
import json
import os
import shutil
import socket
import subprocess
import tempfile
import unittest

from harness import ProxyTest
from harness.proxy import free_port, wait_until

SUITE = "http-cache-tests@0.4.5"

# RFC 9111 came after this release of the suite; its authors have turned these around or taken them back since.
SUPERSEDED = {
    **{f"age-parse-{name}": "5.1: of several the first counts, what is no number is ignored"
       for name in ("nonnumeric", "negative", "float", "prefix-twoline", "dup-0", "dup-0-twoline", "dup-old", "parameter",
                    "numeric-parameter")},
    **{f"stale-close-{name}": "expects the origin's fields in an answer that no origin gave; ours is 502, not stale"
       for name in ("must-revalidate", "proxy-revalidate", "no-cache", "s-maxage=2")},
    "304-etag-update-response-ETag": "4.3.4: a 304 with another strong validator is not about what is stored",
    "headers-store-Transfer-Encoding": "RFC 9112 6.1: an unknown transfer coding cannot be decoded; the answer is 502",
}

# Optimal tests that no cache can pass which keeps to the RFC.
AGAINST_THE_RFC = {
    **{f"partial-store-partial-reuse-partial{name}": "5 bytes of content for a Content-Range of 6: not to be trusted"
       for name in ("", "-byterange", "-absent", "-suffix")},
    "partial-store-partial-complete": "3.4: parts without a strong validator are not combined",
    "conditional-lm-fresh-no-lm": "4.3.2: judged by Date, it was modified since",
    "vary-normalise-lang-select": "4.1: the requests do not have the same meaning; nobody but the origin may choose",
}

# What the tests of kind "check" ask, answered no by intent: lenient parsing of dates, spans and entity-tags; using what is
# stored for a client that says no-cache in Pragma; Warning, which RFC 9111 5.5 has removed; a lifetime of a second or less
# by a guess; updates from a HEAD with another status than 200.
CHECKS_ANSWERED_YES = {
    "ccreq-ma0", "ccreq-ma1", "ccreq-magreaterage", "ccreq-max-stale", "ccreq-max-stale-age", "ccreq-min-fresh",
    "ccreq-min-fresh-age", "ccreq-no-cache", "ccreq-no-cache-lm", "ccreq-oic", "head-200-freshness-update",
    "head-200-retain", "head-200-update", "head-writethrough", "stale-503", "stale-close", "stale-sie-503",
    "stale-sie-close", "heuristic-delta-60", "freshness-expires-rfc850", "freshness-expires-ansi-c",
}


class CacheSuite(ProxyTest):
    config = {"cache": {"stale_if_error": "1h"}}

    @classmethod
    def setUpClass(cls):
        npm, node = os.environ["PROGRAM"], shutil.which("node")
        if not node:
            raise unittest.SkipTest("no node")
        cls.folder = tempfile.mkdtemp(prefix="tributary-suite-")
        cls.addClassCleanup(shutil.rmtree, cls.folder, True)
        environment = {**os.environ, "HOME": cls.folder, "NO_UPDATE_NOTIFIER": "1"}
        quiet = ["--no-audit", "--no-fund", "--no-update-notifier", "--ignore-scripts", "--fetch-retries=0", "--loglevel=error"]
        for command in (["pack", SUITE], ["install", "--prefix", f"{cls.folder}/package", "--no-package-lock", "node-fetch@2"]):
            done = subprocess.run([npm, *command, *quiet], cwd=cls.folder, env=environment, capture_output=True, text=True,
                                  timeout=120, stdin=subprocess.DEVNULL)
            if done.returncode != 0:
                raise unittest.SkipTest(f"the suite cannot be installed: {done.stderr.strip()[-300:]}")
            if command[0] == "pack":
                archive = done.stdout.split()[-1]
                subprocess.run(["tar", "xzf", archive], cwd=cls.folder, check=True)
                # Only what the client needs: its package.json names a whole npm besides.
                with open(f"{cls.folder}/package/package.json", "w") as f:
                    json.dump({"name": "suite", "version": "0.0.0", "type": "commonjs"}, f)
        super().setUpClass()
        cls.port = free_port()
        server = subprocess.Popen(
            [node, "--no-warnings", f"{cls.folder}/package/server/server.mjs"], cwd=f"{cls.folder}/package",
            env={**os.environ, "npm_config_protocol": "http", "npm_config_port": str(cls.port),
                 "npm_config_pidfile": f"{cls.folder}/pid"}, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        cls.addClassCleanup(server.wait)
        cls.addClassCleanup(server.kill)
        wait_until(lambda: cls.is_listening(cls.port), what="the suite's origin listens")
        cls.results = cls.run_suite(node)
        # What a test prepares must come within the second: an Age that is 7201 for 7200 because the machine was busy ends it, and all that depend
        # on it, before it has asked anything. These are asked again; what a test found stands.
        for _ in range(3):
            undecided = {name for name, result in cls.results.items() if result[2] in ("setup", "dependency")}
            if undecided <= {*SUPERSEDED, *AGAINST_THE_RFC}:
                break
            again = cls.run_suite(node)
            cls.results.update((name, again[name]) for name in undecided)

    @staticmethod
    def is_listening(port):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    @classmethod
    def run_suite(cls, node):
        """{id: (kind, suite, outcome, message)}"""
        done = subprocess.run(
            [node, "--no-warnings", os.path.join(os.path.dirname(os.path.abspath(__file__)), "cache_suite.mjs"),
             f"{cls.folder}/package", str(cls.port), cls.proxy.host, str(cls.proxy.port)],
            capture_output=True, text=True, timeout=150, stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            raise AssertionError(f"the suite ended with {done.returncode}:\n{done.stderr[-4000:]}")
        return {name: tuple(result) for name, result in json.loads(done.stdout.splitlines()[-1]).items()}

    def of_kind(self, kind):
        return {name: result for name, result in self.results.items() if result[0] == kind}

    def not_passed(self, kind):
        return {name: result[2:] for name, result in self.of_kind(kind).items() if result[2] != "pass"}

    def test_the_suite_ran_whole(self):
        counts = collections.Counter(result[0] for result in self.results.values())
        self.assertGreaterEqual(counts["required"], 150, counts)
        self.assertGreaterEqual(counts["optimal"], 80, counts)
        self.assertNotIn("harness", {result[2] for result in self.results.values()})

    def test_no_required_test_fails(self):
        self.assertEqual({name: why for name, why in self.not_passed("required").items() if name not in SUPERSEDED}, {})

    def test_at_least_95_of_100_optimal_tests_pass(self):
        optimal = self.of_kind("optimal")
        counted = set(optimal) - set(AGAINST_THE_RFC)
        failed = {name: why for name, why in self.not_passed("optimal").items() if name in counted}
        print(f"\noptimal: {len(optimal) - len(self.not_passed('optimal'))} of {len(optimal)}, "
              f"{len(counted) - len(failed)} of the {len(counted)} that the RFC allows to pass")
        self.assertGreaterEqual(len(counted) - len(failed), 0.95 * len(counted), failed)
        self.assertLessEqual(len(self.not_passed("optimal")), len(AGAINST_THE_RFC), self.not_passed("optimal"))

    def test_what_is_listed_as_an_exception_is_one(self):
        for name in [*SUPERSEDED, *AGAINST_THE_RFC]:
            self.assertIn(name, self.results)
            self.assertNotEqual(self.results[name][2], "pass", f"{name} passes: take it off the list")

    def test_the_checks_are_answered_as_we_mean_to(self):
        missing = {name: self.results.get(name) for name in CHECKS_ANSWERED_YES
                   if name not in self.results or self.results[name][2] != "pass"}
        self.assertEqual(missing, {})


if __name__ == "__main__":
    unittest.main()
