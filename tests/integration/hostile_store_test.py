"""Content files in which anybody has written (V-14): after an unclean end the proxy finds what is damaged as it reads it, serves
no wrong byte, and stores it again. TRIBUTARY_ROUNDS and TRIBUTARY_SEED as in crash_test."""
import os
import random
import shutil
import subprocess
import unittest

from harness import ProxyTest
from harness.proxy import PROGRAM

ROUNDS = int(os.environ.get("TRIBUTARY_ROUNDS", "12"))
SEED = int(os.environ.get("TRIBUTARY_SEED", "0")) or random.randrange(1, 1 << 30)
SIZES = [10, 900, 5000, 60_000, 70_000, 300_000, 1 << 20, 3_000_000]


class HostileStore(ProxyTest):
    def setUp(self):
        super().setUp()
        self.choose = random.Random(SEED)
        self.under_test = self.start_proxy({"cache": {"size": "64MiB", "memory": "1MiB"}, "server": {"workers": 1},
                                            "accelerate": {"enabled": False}})
        self.objects = [(self.path(size, seed=f"{self.seed}{i}"), f"{self.seed}{i}", size) for i, size in enumerate(SIZES * 2)]
        self.read_all()
        self.pristine = self.under_test.dir + "/pristine"
        self.command("verify")  # waits until all is on disk
        self.under_test.kill()
        shutil.copytree(self.under_test.cache_dir, self.pristine)

    def read_all(self):
        hits = 0
        for path, seed, size in self.objects:
            reply = self.get(path, proxy=self.under_test)
            self.assert_content(reply, seed, size)
            hits += "hit" in self.cache_status(reply)
        return hits

    def command(self, *arguments):
        return subprocess.run([PROGRAM, "cache", *arguments, "--admin", f"127.0.0.1:{self.under_test.admin_port}"],
                              capture_output=True, text=True, timeout=60)

    def damage(self):
        shutil.rmtree(self.under_test.cache_dir)
        shutil.copytree(self.pristine, self.under_test.cache_dir)
        name = self.choose.choice([n for n in sorted(os.listdir(self.pristine)) if n.startswith("seg-")])
        path = os.path.join(self.under_test.cache_dir, name)
        size, how = os.stat(path).st_size, self.choose.choice(("bits", "zeros", "garbage", "cut", "shuffle", "grow"))
        with open(path, "r+b") as f:
            for _ in range(self.choose.choice((1, 3, 40))):
                at, length = self.choose.randrange(size), self.choose.choice((1, 8, 512, 4096, 100_000))
                f.seek(at)
                old = f.read(length)
                f.seek(at)
                if how == "bits":
                    f.write(bytes(b ^ (1 << self.choose.randrange(8)) for b in old[:8]))
                elif how == "zeros":
                    f.write(bytes(len(old)))
                elif how == "garbage":
                    f.write(self.choose.randbytes(len(old)))
                elif how == "shuffle":
                    f.seek(self.choose.randrange(max(1, size - length)))
                    f.write(old)
            if how in ("cut", "grow"):
                f.truncate(self.choose.randrange(size) if how == "cut" else size + self.choose.randrange(100_000))
        return f"{name}: {how}"

    def test_damaged_content_is_never_served(self):
        found = 0
        hits = 0
        for round_number in range(ROUNDS):
            what = self.damage()
            with self.subTest(what, seed=SEED, round=round_number):
                self.under_test.start()
                hits += self.read_all()
                self.assertEqual(self.read_all(), len(self.objects), "what was damaged has not been stored again")
                found += self.under_test.metric("tributary_cache_corrupt_total")
            self.under_test.kill()
        self.assertGreater(found, 0)
        self.assertGreater(hits, ROUNDS * len(self.objects) // 4)


if __name__ == "__main__":
    unittest.main()
