"""`tributary get` ended by SIGKILL at random points of a split download and continued with -c: the bytes are right, and at most one
piece a connection is fetched again, as counted at the origin (issue 4). TRIBUTARY_ROUNDS says how often; TRIBUTARY_SEED repeats a run."""
import os
import random
import signal
import subprocess
import unittest

from harness import wait_until
from harness.downloader import MIB, GetTest

ROUNDS = int(os.environ.get("TRIBUTARY_ROUNDS", "6"))
SEED = int(os.environ.get("TRIBUTARY_SEED", "0")) or random.randrange(1, 1 << 30)
CONNECTIONS = 8
RATE = 4 * MIB  # of a connection
# The state file is written twice a second, behind the bytes: what a connection brings in between is its piece, or a part of it.
PIECE = 2 * MIB
IN_SOCKETS = MIB  # of a connection that is cut: sent, and counted by the origin, but not arrived


class Kills(GetTest):
    SIZE = 24 * MIB

    def test_each_download_survives_kills(self):
        choose = random.Random(SEED)
        kills = downloads = most_again = 0
        while kills < ROUNDS:
            downloads += 1
            name = f"killed-{downloads}"
            path = f"/bytes/{self.SIZE}/{name}"
            url = self.url(self.SIZE, name, rate=RATE)
            killed = 0
            for _ in range(min(choose.randrange(1, 5), ROUNDS - kills)):
                process = self.start("-q", "-c", "-x", str(CONNECTIONS), url)
                asked = len(self.origin.seen(path))
                wait_until(lambda: len(self.origin.seen(path)) > asked or process.poll() is not None, what="it asks")
                try:
                    process.wait(choose.uniform(0, 0.9))  # the random point; nothing is waited for
                except subprocess.TimeoutExpired:
                    process.send_signal(signal.SIGKILL)
                    killed += 1
                process.communicate()
                if process.returncode == 0:
                    break
            kills += killed
            with self.subTest(download=downloads, killed=killed, seed=SEED):
                self.get("-q", "-c", "-x", str(CONNECTIONS), url)
                self.assert_file(name, self.SIZE, name)
                self.assertNotIn(name + ".part", self.files())
                again = self.origin.bytes_sent(path) - self.SIZE
                most_again = max(most_again, again / max(killed, 1))
                self.assertLessEqual(again, killed * CONNECTIONS * PIECE + (killed + 1) * CONNECTIONS * IN_SOCKETS)
            os.unlink(self.path(name))
        print(f"{kills} kills in {downloads} downloads, seed {SEED}: at most {most_again / MIB:.1f} MiB sent again a kill, "
              f"over up to {CONNECTIONS} connections")


if __name__ == "__main__":
    unittest.main()
