"""Configuration and commands: every bad input stops the start with a message that names it (issue: conf; interface: commands)."""
import json
import os
import subprocess
import tempfile
import unittest

from harness import ProxyTest, Tributary
from harness.proxy import PROGRAM


def run(*arguments, environment=None, timeout=20):
    """The program's exit status and what it wrote."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("TRIBUTARY")}
    done = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL,
                          env={**clean, **(environment or {})})
    return done.returncode, done.stdout + done.stderr


class BadInput(unittest.TestCase):
    def file(self, text):
        handle, path = tempfile.mkstemp(suffix=".toml", prefix="tributary-test-")
        self.addCleanup(os.unlink, path)
        with os.fdopen(handle, "w") as f:
            f.write(text)
        return path

    def assert_refused(self, text, *mentions):
        path = self.file(text)
        for command in (["serve", "--config", path], ["config", "check", "--config", path]):
            status, output = run(*command)
            self.assertEqual(status, 2, output)
            for mention in (os.path.basename(path), *mentions):
                self.assertIn(mention, output)

    def test_unknown_keys_and_sections(self):
        self.assert_refused("[cache]\nsize = \"1GiB\"\nsiez = \"1GiB\"\n", ":3", "siez")
        self.assert_refused("[cahce]\nsize = \"1GiB\"\n", "cahce")

    def test_wrong_types(self):
        self.assert_refused("[cache]\nenabled = \"yes\"\n", ":2", "cache.enabled")
        self.assert_refused("[server]\nworkers = \"two\"\n", ":2", "server.workers")

    def test_values_out_of_range(self):
        self.assert_refused("[server]\nworkers = 100000\n", ":2", "server.workers", "100000")
        self.assert_refused("[cache]\nsize = \"5 parsec\"\n", ":2", "cache.size", "5 parsec")
        self.assert_refused("[timeout]\nidle = \"-3s\"\n", ":2", "timeout.idle")

    def test_syntax_errors(self):
        self.assert_refused("[cache\nsize = 1\n", ":1")

    def test_what_is_not_built_yet_is_refused_not_ignored(self):
        self.assert_refused("[auth]\nscheme = \"basic\"\n", "auth")
        self.assert_refused("[intercept]\nenabled = true\n", "intercept")
        self.assert_refused("[[parent]]\nurl = \"direct\"\n", "parent")

    def test_a_missing_file(self):
        status, output = run("serve", "--config", "/nonexistent/tributary.toml")
        self.assertEqual(status, 2, output)
        self.assertIn("/nonexistent/tributary.toml", output)

    def test_bad_options_and_commands(self):
        for arguments in (["serve", "--nonsense"], ["nonsense"], ["serve", "--set", "cache.size"], ["serve", "--set", "a.b=1"],
                          ["serve", "--workers", "many"], ["serve", "--listen", "nowhere"], []):
            status, output = run(*arguments)
            self.assertEqual(status, 2, (arguments, output))
            self.assertTrue(output.strip(), arguments)

    def test_a_bad_environment_variable_is_named(self):
        status, output = run("serve", environment={"TRIBUTARY_CACHE_SIZE": "much"})
        self.assertEqual(status, 2, output)
        self.assertIn("TRIBUTARY_CACHE_SIZE", output)


class Commands(unittest.TestCase):
    def test_version_and_help(self):
        status, output = run("version")
        self.assertEqual(status, 0)
        self.assertRegex(output, r"tributary \d+\.\d+\.\d+")
        for arguments in (["--help"], ["serve", "--help"], ["config", "--help"]):
            status, output = run(*arguments)
            self.assertEqual(status, 0, output)
            self.assertIn("tributary", output)

    def test_config_show_gives_what_it_reads_back(self):
        status, output = run("config", "show", environment={"TRIBUTARY_CACHE_SIZE": "3GiB"})
        self.assertEqual(status, 0, output)
        self.assertIn("3GiB", output)

    def test_config_schema_is_json(self):
        status, output = run("config", "schema")
        self.assertEqual(status, 0, output)
        self.assertIn("cache", json.loads(output)["properties"])

    def test_the_shipped_file_is_right(self):
        status, output = run("config", "check", "--config", os.path.join(os.path.dirname(__file__), "../../conf/tributary.toml"))
        self.assertEqual(status, 0, output)


class Precedence(ProxyTest):
    def effective(self, **options):
        """cache.size in force, by the size metric of a running proxy."""
        proxy = self.start_proxy({"cache": {"size": "64MiB"}}, **options)
        return proxy.metric("tributary_cache_size_bytes")

    def test_file_then_environment_then_command_line(self):
        self.assertEqual(self.effective(), 64 << 20)
        self.assertEqual(self.effective(environment={"TRIBUTARY_CACHE_SIZE": "80MiB"}), 80 << 20)
        self.assertEqual(self.effective(environment={"TRIBUTARY_CACHE_SIZE": "80MiB"}, arguments=["--set", "cache.size=96MiB"]),
                         96 << 20)
        self.assertEqual(self.effective(arguments=["--cache-size", "112MiB"]), 112 << 20)

    def test_a_port_that_is_taken_stops_the_start_with_its_name(self):
        proxy = Tributary({"listen": [{"address": f"127.0.0.1:{self.origin.port}"}]})
        self.addCleanup(proxy.remove)
        with self.assertRaises(AssertionError) as failed:
            proxy.start(timeout=10)
        self.assertIn(str(self.origin.port), str(failed.exception))

    def test_a_unix_socket_and_ipv6_are_listeners_too(self):
        from harness import Client, free_port
        directory = tempfile.mkdtemp(prefix="tributary-test-")
        port = free_port()
        proxy = self.start_proxy({"listen": [{"address": f"unix:{directory}/s"}, {"address": f"[::1]:{port}"}]})
        for address in (f"{directory}/s", ("::1", port)):
            with Client(address) as client:
                self.assert_content(client.exchange("GET", self.origin.url(self.path(100))), self.seed, 100)
        proxy.stop()
        self.assertFalse(os.path.exists(f"{directory}/s"))
        os.rmdir(directory)


if __name__ == "__main__":
    unittest.main()
