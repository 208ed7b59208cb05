"""The man page tells of the program that is there: every option of every command, and none that it has not (S3-14.13)."""
import pathlib
import re
import shutil
import subprocess
import unittest

from harness.proxy import PROGRAM

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs/man/tributary.1"
COMMANDS = ["", "serve", "get", "config", "config check", "config show", "config schema", "cache", "cache stat", "cache ls", "cache show",
            "cache purge", "cache verify", "cache warm"]


def options(text):
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]*[a-z]", text))


class ManPage(unittest.TestCase):
    def help(self, command):
        done = subprocess.run([PROGRAM, *command.split(), "--help"], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done)
        return done.stdout

    def test_every_option_is_explained_and_no_other(self):
        page = options(re.sub(r"\\f.", "", PAGE.read_text()).replace("\\-", "-"))
        program = set()
        for command in COMMANDS:
            with self.subTest(command):
                # An option's explanation may name others: only what begins a line is an option of this command.
                there = options("\n".join(re.findall(r"^\s+((?:-\w,)?--\S+)", self.help(command), re.M)))
                self.assertTrue(there)
                self.assertEqual(there - page, set(), "not in docs/man/tributary.1")
                program |= there
        self.assertEqual(page - program, set(), "in docs/man/tributary.1, but the program has no such option")

    @unittest.skipUnless(shutil.which("groff"), "needs groff")
    def test_it_renders_without_a_warning(self):
        done = subprocess.run(["groff", "-man", "-ww", "-T", "utf8", "-z", str(PAGE)], capture_output=True, text=True, timeout=60)
        self.assertEqual((done.returncode, done.stderr), (0, ""))


if __name__ == "__main__":
    unittest.main()
