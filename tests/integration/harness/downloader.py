"""The base of the tests of `tributary get`: a scripted origin, a folder, the program run in it, and what is left there."""
import hashlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import unittest

from .proxy import PROGRAM, wait_until
from .testcase import REPORTS, Origin, sha256

MIB = 1 << 20


class GetTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.origin = Origin().start()
        cls.addClassCleanup(cls.origin.stop)

    def setUp(self):
        self.seed = self._testMethodName.removeprefix("test_")
        self.dir = tempfile.mkdtemp(prefix="tributary-get-")
        self.addCleanup(shutil.rmtree, self.dir, True)

    def url(self, size, seed=None, **query):
        text = "&".join(f"{k}={v}" for k, v in query.items())
        return self.origin.url(f"/bytes/{size}/{seed or self.seed}" + (f"?{text}" if text else ""))

    def start(self, *arguments, stdin=subprocess.DEVNULL, environment=None):
        clean = {k: v for k, v in os.environ.items() if "proxy" not in k.lower()}
        process = subprocess.Popen([PROGRAM, "get", *arguments], cwd=self.dir, stdin=stdin, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, env={**clean, **(environment or {})}, start_new_session=True)
        self.addCleanup(lambda: process.poll() is None and process.kill())
        return process

    def finish(self, process, status=0, stdin=None, timeout=60):
        out, err = process.communicate(stdin, timeout=timeout)
        self.out, self.err = out.decode(), err.decode()
        for report in REPORTS:
            self.assertNotIn(report, self.err)
        self.assertEqual(process.returncode, status, self.err)
        return process.returncode

    def get(self, *arguments, status=0, **options):
        return self.finish(self.start(*arguments, **options), status)

    def path(self, name):
        return os.path.join(self.dir, name)

    def files(self):
        return sorted(os.listdir(self.dir))

    def assert_file(self, name, size, seed=None):
        with open(self.path(name), "rb") as f:
            digest = hashlib.sha256(f.read())
        self.assertEqual(os.path.getsize(self.path(name)), size)
        self.assertEqual(digest.hexdigest(), sha256(seed or self.seed, size))

    def assert_right_or_none(self, name, size, status):
        """The file is right and nothing else is left, or it failed as it should and there is no file."""
        if os.path.exists(self.path(name)):
            self.assertEqual(self.files(), [name])
            self.assert_file(name, size)
        else:
            self.assertNotEqual(status, 0)

    def run_any(self, *arguments):
        process = self.start(*arguments)
        out, err = process.communicate(timeout=90)
        self.err = err.decode()
        return process.returncode

    def interrupt_midway(self, *arguments, name, by=signal.SIGINT, at_least=1):
        """Starts it and ends it once the state file lists so many bytes; the bytes it lists then."""
        process = self.start(*arguments)
        state = self.path(name + ".part.json")

        def listed():
            try:
                with open(state) as f:
                    return sum(b - a for a, b in json.load(f)["present"])
            except FileNotFoundError:
                return 0
        wait_until(lambda: listed() >= at_least, 30, "the state file lists bytes")
        process.send_signal(by)
        self.finish(process, 128 + by if by != signal.SIGKILL else -9)
        return listed()
