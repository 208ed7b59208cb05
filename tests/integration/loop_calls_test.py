"""What the loop threads ask of the kernel: few calls for a hit, and never one that waits for a disk (S0-6.11, S0-5.8, S4-4.6)."""
import collections
import os
import re
import shutil
import signal
import struct
import subprocess
import tempfile
import threading
import unittest

from harness import ProxyTest, connect, wait_until
from harness.proxy import is_sanitized

# Sockets and pipes, waiting, time, memory, and waking a thread.
HARMLESS = set("""
    socket connect bind listen accept4 getsockname getpeername getsockopt setsockopt shutdown close
    recvfrom recvmsg sendto sendmsg sendfile splice pipe2 fcntl ioctl
    epoll_wait epoll_pwait epoll_pwait2 epoll_ctl timerfd_settime futex sched_yield
    clock_gettime gettimeofday getrandom brk mmap munmap mremap madvise mprotect restart_syscall
    rt_sigprocmask rt_sigreturn
    cachestat syscall_0x1c3""".split())
# Allowed where the descriptor is none of a file.
NOT_ON_FILES = {"read", "write", "readv", "writev"}


def can_trace():
    if not shutil.which("strace"):
        return False
    return subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True).returncode == 0


class Trace:
    """strace of the workers of a running proxy, from `with` to its end; `calls`: (name, the rest of the line)."""

    def __init__(self, proxy):
        self.path = os.path.join(proxy.dir, "strace")
        tasks = f"/proc/{proxy.process.pid}/task"
        self.threads = []
        for thread in os.listdir(tasks):
            with open(f"{tasks}/{thread}/comm") as f:
                if f.read().startswith("worker"):
                    self.threads.append(thread)
        assert self.threads, "no worker found"

    def __enter__(self):
        pids = [argument for thread in self.threads for argument in ("-p", thread)]
        # Not -f: only the loops. -y: what a descriptor is.
        self.process = subprocess.Popen(["strace", "-y", "-s", "16", "-o", self.path, *pids], stderr=subprocess.PIPE, text=True)
        for _ in self.threads:
            assert "attached" in (line := self.process.stderr.readline()), line
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGINT)
        self.process.wait()
        self.process.stderr.close()
        with open(self.path) as f:
            lines = f.read().splitlines()
        self.calls = []
        for line in lines:
            called = re.match(r"(?:\d+ +)?([a-z0-9_]+)\((.*)", line)
            if called:
                self.calls.append((called.group(1), called.group(2)))


@unittest.skipUnless(can_trace(), "strace cannot trace here")
@unittest.skipIf(is_sanitized(), "the sanitizer makes calls of its own")
class LoopCalls(ProxyTest):
    config = {"server": {"workers": 1}, "cache": {"memory": "64MiB"}}

    def calls_for_each_hit(self, size, hits=200):
        path = self.path(size)
        self.get(path)
        client = self.client()
        for _ in range(3):
            self.assertIn("; hit", client.exchange("GET", self.origin.url(path)).field("Cache-Status"))
        with Trace(self.proxy) as trace:
            for _ in range(hits):
                reply = client.exchange("GET", self.origin.url(path))
                self.assert_content(reply, self.seed, size)
        names = collections.Counter(name for name, _ in trace.calls)
        self.assertGreaterEqual(names["recvfrom"] + names["recvmsg"] + names["read"], hits, names)  # they were seen
        return len(trace.calls) / hits, names

    def test_a_hit_from_memory_takes_at_most_four_calls(self):
        calls, names = self.calls_for_each_hit(1000)
        self.assertLessEqual(calls, 4.1, names)  # a timer now and then
        self.assertEqual(names["sendfile"], 0)

    def test_a_hit_by_sendfile_takes_at_most_four_calls(self):
        calls, names = self.calls_for_each_hit(100_000)
        self.assertLessEqual(calls, 4.1, names)
        self.assertGreaterEqual(names["sendfile"], 200)

    def test_no_loop_makes_a_call_that_waits_for_a_disk(self):
        sizes = [500, 5_000, 60_000, 300_000, 3_000_000]
        with Trace(self.proxy) as trace:
            def load(i):
                for n in range(12):
                    size = sizes[(i + n) % len(sizes)]
                    seed = f"{self.seed}{i}-{n}"
                    path = self.path(size, seed=seed)
                    for _ in range(2):  # a miss that is stored, a hit
                        self.assert_content(self.get(path), seed, size)
                self.get(self.path(100_000, cc="no-store", seed=f"{self.seed}-{i}"))
                reply = self.get(self.path(3_000_000, seed=f"{self.seed}{i}-r"), {"Range": "bytes=1000000-1999999"})
                self.assertEqual(reply.status, 206)
                client = self.client()  # one that leaves in the middle
                client.request("GET", self.origin.url(self.path(3_000_000, seed=f"{self.seed}{i}-gone")))
                client.read_until(b"\r\n\r\n")
                client.close()
                with connect(self.proxy, f"{self.origin.address}:{self.origin.port}")[0] as tunnel:
                    self.assertEqual(tunnel.exchange("GET", "/bytes/10/x").status, 200)
            self.at_once(4, load)
        names = collections.Counter(name for name, _ in trace.calls)
        self.assertGreater(names["sendfile"], 0, names)
        bad = collections.Counter()
        for name, rest in trace.calls:
            if name in HARMLESS:
                continue
            on_file = re.match(r"\d+</(?!dev/null)", rest)
            if name in NOT_ON_FILES and not on_file:
                continue
            if name == "preadv2" and "RWF_NOWAIT" in rest:
                continue
            bad[f"{name}({rest[:80]}"] += 1
        self.assertFalse(bad, dict(bad.most_common(20)))


ALLOCATIONS = os.environ.get("ALLOCATIONS_LIBRARY")


@unittest.skipUnless(ALLOCATIONS and not is_sanitized(), "needs the preloaded library, beside which no sanitizer starts")
class Allocations(ProxyTest):
    config = {"server": {"workers": 1}, "cache": {"memory": "64MiB"}}

    @classmethod
    def start_proxy(cls, config=None, **options):
        cls.directory = tempfile.mkdtemp(prefix="tributary-allocations-")
        cls.addClassCleanup(shutil.rmtree, cls.directory, True)
        cls.counts = os.path.join(cls.directory, "counts")
        return super().start_proxy(config, environment={"LD_PRELOAD": ALLOCATIONS, "ALLOCATIONS": cls.counts}, **options)

    def count(self):
        """Allocations of the worker's thread so far."""
        with open(self.counts, "rb") as f:
            numbers = [n for n, in struct.iter_unpack("<Q", f.read())]
        counts = dict(zip(numbers[::2], numbers[1::2]))
        return sum(counts[int(thread)] for thread in Trace(self.proxy).threads)

    def allocations_for_each_hit(self, size, hits=1000):
        url = self.origin.url(self.path(size))
        self.get(url)
        client = self.client()
        for _ in range(10):
            self.assertIn("; hit", client.exchange("GET", url).field("Cache-Status"))
        before = self.count()
        for _ in range(hits):
            self.assertEqual(len(client.exchange("GET", url).body), size)
        return (self.count() - before) / hits

    def test_a_hit_from_memory_takes_at_most_two(self):
        self.assertLessEqual(self.allocations_for_each_hit(1000), 2.05)

    def test_a_hit_by_sendfile_takes_at_most_two(self):
        self.assertLessEqual(self.allocations_for_each_hit(100_000), 2.05)


SLOW_DISK = os.environ.get("SLOW_DISK")


@unittest.skipUnless(SLOW_DISK and not is_sanitized(), "needs the preloaded library, beside which no sanitizer starts")
class SlowDisk(ProxyTest):
    """A cold object on a disk that does not answer: its reader waits, nobody else."""
    config = {"server": {"workers": 1, "offload_threads": 2}, "cache": {"memory": "64MiB"}}

    @classmethod
    def start_proxy(cls, config=None, **options):
        cls.gate = os.path.join(tempfile.mkdtemp(prefix="tributary-gate-"), "gate")
        cls.addClassCleanup(shutil.rmtree, os.path.dirname(cls.gate), True)
        return super().start_proxy(config, environment={"LD_PRELOAD": SLOW_DISK, "SLOW_DISK_GATE": cls.gate}, **options)

    def tearDown(self):
        self.open_gate()

    def close_gate(self):
        with open(self.gate, "w"):
            pass

    def open_gate(self):
        if os.path.exists(self.gate):
            os.remove(self.gate)

    def told(self, what):
        try:
            with open(f"{self.gate}.{what}") as f:
                return len(f.readlines())
        except FileNotFoundError:
            return 0

    def make_cold(self):
        """Nothing of the segments is in the page cache, and the proxy does not remember that it was."""
        self.proxy.restart()
        for name in os.listdir(self.proxy.cache_dir):
            if name.startswith("seg-"):
                fd = os.open(os.path.join(self.proxy.cache_dir, name), os.O_RDWR)
                os.fsync(fd)
                os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
                os.close(fd)

    def test_others_are_served_while_a_reader_waits_for_the_disk(self):
        size = 6_000_000
        cold, hot = self.path(size), self.path(1000, seed="hot")
        self.assert_content(self.get(cold), self.seed, size)
        self.get(hot)
        wait_until(lambda: self.proxy.metric("tributary_cache_objects") >= 2, what="both are committed")
        self.make_cold()
        self.get(hot)  # from the index into memory
        self.close_gate()
        before = self.told("waiting")
        reader = self.client()
        reader.request("GET", self.origin.url(cold))
        wait_until(lambda: self.told("waiting") > before, what="the disk is asked")

        client = self.client()
        for _ in range(300):
            reply = client.exchange("GET", self.origin.url(hot))
            self.assertIn("; hit", reply.field("Cache-Status"))
        miss = self.path(2000, seed=f"{self.seed}-miss")
        self.assert_content(self.get(miss), f"{self.seed}-miss", 2000)
        # All that, and the reader has not a byte of content: nobody read the disk for it behind the gate's back.
        reader.socket.setblocking(False)
        try:
            early = reader.socket.recv(1 << 16)
        except BlockingIOError:
            early = b""
        self.assertFalse(early.partition(b"\r\n\r\n")[2])
        reader.socket.setblocking(True)
        reader.socket.settimeout(30)
        reader.buffer = early

        self.open_gate()
        self.assert_content(reader.read_response(), self.seed, size)
        self.assertEqual(len(self.seen(cold)), 1)
        self.assertEqual(self.told("cold"), 0, "sendfile was called for what is not in the page cache")

    def test_many_readers_of_a_cold_object_get_it_when_the_disk_answers(self):
        size = 5_000_000
        path = self.path(size)
        self.assert_content(self.get(path), self.seed, size)
        wait_until(lambda: self.proxy.metric("tributary_cache_objects") >= 1, what="it is committed")
        self.make_cold()
        self.close_gate()
        before = self.told("waiting")
        threading.Timer(0.0, lambda: (wait_until(lambda: self.told("waiting") > before), self.open_gate())).start()
        for reply in self.at_once(8, lambda i: self.get(path)):
            self.assert_content(reply, self.seed, size)
        self.assertEqual(len(self.seen(path)), 1)
        self.assertEqual(self.told("cold"), 0)


if __name__ == "__main__":
    unittest.main()
