#!/usr/bin/env python3
"""tributary beside other downloaders over made networks: wall time of one large file, medians, as a Markdown table (issue 4).

    sudo python3 tests/bench/accelerator/accelerator.py [--program build/release/tributary] [--relay build/release/tests/bench/relay]
         [--rounds 3] [--only SCENARIO,…] [--tools get,serve,aria2,…] [--list]

The clients live in a network namespace of their own, behind a veth pair whose rate tbf limits; relay.c in between makes delay,
slow start, limits for each connection and for all, silence and resets, and changes midway. nginx holds the file. Everything runs
in unnamed namespaces (network, mounts, processes) below this process: they are gone when it is, however it ends.
What every client wrote is compared with the file. Tools that are not installed are left out.
"""
import argparse
import contextlib
import filecmp
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))
sys.path.insert(0, os.path.join(ROOT, "tests", "integration"))
MIB = 1 << 20
INSIDE = "TRIBUTARY_BENCH_NAMESPACE"
HERE, THERE, PORT, PROXY = "10.77.0.1", "10.77.0.2", 8000, 3128
LIMIT = 90  # seconds for one download


class Scenario:
    """`ideal`: the seconds below which no client can be. `sources`: a relay each, its settings; the first is the URL asked for."""

    def __init__(self, says, ideal, *sources, size=128 * MIB, link="2gbit", changes=False):
        self.says, self.ideal, self.sources, self.size, self.link, self.changes = says, ideal, sources, size, link, changes


def mib(number):
    return f"{number * MIB:.0f}"


SCENARIOS = {
    "per-connection": Scenario("4 MiB/s a connection, 20 ms", 2 + .02, f"rtt=20 conn={mib(4)}"),
    "per-connection-far": Scenario("2 MiB/s a connection, 100 ms", 4 + .1, f"rtt=100 conn={mib(2)}"),
    "per-host": Scenario("40 MiB/s for all, one may have them, 20 ms", 3.2 + .02, f"rtt=20 host={mib(40)}"),
    "per-host-shared": Scenario("40 MiB/s for all, 10 a connection, 20 ms", 3.2 + .02, f"rtt=20 host={mib(40)} conn={mib(10)}"),
    "bottleneck": Scenario("a link of 400 Mbit/s, TCP alone", 128 * MIB / 47.4e6, "", link="400mbit"),
    "bottleneck-far": Scenario("a link of 400 Mbit/s, 50 ms, pauses of 200 ms every 8 MiB of a connection", 128 * MIB / 47.4e6 + .05,
                               f"rtt=50 pause={mib(8)}:200", link="400mbit"),
    "four-connections": Scenario("8 MiB/s a connection, more than 4 are reset, 20 ms", 4 + .02, f"rtt=20 conn={mib(8)} most=4"),
    "stalls": Scenario("8 MiB/s a connection, each 4th falls silent for 8 s after 2 MiB", 128 / (8 * 12) + .02,
                       f"rtt=20 conn={mib(8)} stall=4:{mib(2)}:8000", changes=True),
    "resets": Scenario("8 MiB/s a connection, each 3rd is reset after 3 MiB", 1 + .02, f"rtt=20 conn={mib(8)} reset=3:{mib(3)}", changes=True),
    "rate-drops": Scenario("8 MiB/s a connection; after 0.6 s half of them have 0.25 MiB/s", 128 / (8 * 16) + .02,
                           f"rtt=20 conn={mib(8)} then=600:{mib(.25)}:2", changes=True),
    "rate-rises": Scenario("2 MiB/s a connection; after 1.5 s 40 MiB/s, 160 MiB/s in all", 1.5 + (128 - 48) / 160 + .02,
                           f"rtt=20 conn={mib(2)} then=1500:{mib(40)}:1 host={mib(160)}", changes=True),
    "worn-out": Scenario("16 MiB/s a connection, 1 MiB/s once it has brought 6 MiB", 128 / (16 * 16) + .02,
                         f"rtt=20 conn={mib(16)} worn={mib(6)}:{mib(1)}", changes=True),
}


class Client:
    """The namespace of the clients, and the folder that they write to."""

    def __init__(self, options, folder):
        self.folder, self.program = folder, options.program
        self.holder = subprocess.Popen(["unshare", "-n", "sleep", "infinity"])
        ours = os.readlink("/proc/self/ns/net")
        until(lambda: os.readlink(f"/proc/{self.holder.pid}/ns/net") != ours)
        run("ip", "link", "set", "lo", "up")
        run("ip", "link", "add", "near", "type", "veth", "peer", "name", "far", "netns", str(self.holder.pid))
        run("ip", "addr", "add", f"{HERE}/24", "dev", "near")
        run("ip", "link", "set", "near", "up")
        for command in ("ip link set lo up", f"ip addr add {THERE}/24 dev far", "ip link set far up"):
            run(*self.inside(*command.split()))

    def inside(self, *command):
        return ["nsenter", "-t", str(self.holder.pid), "-n", *command]

    def link(self, rate):
        run("tc", "qdisc", "replace", "dev", "near", "root", "tbf", "rate", rate, "burst", "256k", "latency", "30ms")

    @contextlib.contextmanager
    def proxy(self):
        """`tributary serve` with nothing in its cache."""
        from harness.proxy import toml
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            with open(f"{folder}/tributary.toml", "w") as f:
                f.write(toml({"listen": [{"address": f"{THERE}:{PROXY}"}], "admin": {"address": "127.0.0.1:3129"},
                              "access": {"allow_private": True, "allow_clients": [THERE], "allow_ports": ["*"]},
                              "cache": {"directory": f"{folder}/cache", "size": "1GiB", "memory": "16MiB", "min_free_disk": "0MiB"},
                              "log": {"level": "warn", "access_file": ""}}))
            process = subprocess.Popen(self.inside(self.program, "serve", "--config", f"{folder}/tributary.toml"), stdout=subprocess.DEVNULL)
            try:
                until(lambda: is_open(THERE, PROXY) or process.poll() is not None)
                yield
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(20)

    def download(self, tool, urls, original):
        """The seconds it took; None when it failed."""
        target = f"{self.folder}/file"
        commands = {
            "get": [self.program, "get", "-q", "-o", target, *mirrors(urls), urls[0]],
            "serve": ["curl", "-sf", "-x", f"http://{THERE}:{PROXY}", "-o", target, urls[0]],
            "aria2c": ["aria2c", "-q", "-x16", "-s16", "-k1M", "--file-allocation=none", "-d", self.folder, "-o", "file", *urls],
            "axel": ["axel", "-q", "-n16", "-o", target, *urls],
            "wget2": ["wget2", "-q", "--max-threads=16", f"--chunk-size={os.path.getsize(original) // 16}", "-O", target, urls[0]],
            "curl": ["curl", "-sf", "-o", target, urls[0]],
        }
        with self.proxy() if tool == "serve" else contextlib.nullcontext():
            before = time.monotonic()
            try:
                status = subprocess.run(self.inside(*commands[tool]), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                        timeout=LIMIT).returncode
            except subprocess.TimeoutExpired:
                status = -1
            took = time.monotonic() - before
        is_right = status == 0 and filecmp.cmp(target, original, shallow=False)
        for name in os.listdir(self.folder):
            if name.startswith("file"):
                os.unlink(os.path.join(self.folder, name))
        return took if is_right else None


def mirrors(urls):
    return [f"--mirror-of={url}" for url in urls[1:]]


def run(*command):
    subprocess.run(command, check=True)


def until(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit("a part of the experiment did not start")
        time.sleep(0.005)


def is_open(host, port):
    try:
        socket.create_connection((host, port)).close()
        return True
    except OSError:
        return False


@contextlib.contextmanager
def relays(options, scenario, port):
    running = []
    try:
        for number, settings in enumerate(scenario.sources):
            running.append(subprocess.Popen([options.relay, HERE, str(PORT + number), str(port), *settings.split()],
                                            stdout=subprocess.PIPE))
            running[-1].stdout.readline()
        yield [f"http://{HERE}:{PORT + number}/file" for number in range(len(running))]
    finally:
        for process in running:
            process.kill()
            process.wait()
            process.stdout.close()


def measure(options, client, name, tools):
    """{tool: median seconds or None}"""
    from harness.nginx import Nginx
    scenario = SCENARIOS[name]
    client.link(scenario.link)
    nginx = Nginx().start()
    try:
        original = nginx.put("file", b"".join(os.urandom(MIB) for _ in range(scenario.size // MIB)))
        times = {tool: [] for tool in tools}
        for _ in range(options.rounds):
            for tool in tools:
                if len(times[tool]) >= 1 and (times[tool][0] is None or times[tool][0] > 3 * scenario.ideal and
                                              tool in ("curl", "wget2")):
                    continue  # what does not work, or is slow and steady, is not waited for again
                with relays(options, scenario, nginx.port) as urls:
                    times[tool].append(client.download(tool, urls, original))
                print(f"{name} {tool} {times[tool][-1]}", file=sys.stderr)
        return {tool: None if None in taken else statistics.median(taken) for tool, taken in times.items()}
    finally:
        nginx.stop()


def fairness(options, client):
    """Two downloads of one link, and a small request beside sixteen pieces, each median of the rounds."""
    from harness.nginx import Nginx
    client.link("200mbit")
    nginx = Nginx().start()
    nginx.put("file", os.urandom(64 * MIB))
    nginx.put("small", os.urandom(10_000))

    def get(name, *more):
        return subprocess.Popen(client.inside(options.program, "get", "-q", "-o", f"{client.folder}/{name}", *more))

    proxy = ["-x", f"http://{THERE}:{PROXY}"]

    def small(url, first):
        taken = []
        for number in range(first, first + 25):  # misses
            before = time.monotonic()
            subprocess.run(client.inside("curl", "-sf", *proxy, "-o", "/dev/null", url.replace("/file", f"/small?{number}")), check=True)
            taken.append(time.monotonic() - before)
        return statistics.median(taken)

    try:
        jain, ratios = [], []
        for _ in range(options.rounds):
            with relays(options, Scenario("", 0, "rtt=20"), nginx.port) as (url,):
                started, ends = time.monotonic(), {}
                running = {name: get(name, url) for name in "ab"}
                while len(ends) < 2:
                    for name, process in running.items():
                        if name not in ends and process.poll() is not None:
                            ends[name] = time.monotonic() - started
                    time.sleep(0.002)
                rates = [1 / ends[name] for name in "ab"]
                jain.append(sum(rates) ** 2 / (2 * sum(rate * rate for rate in rates)))
            for name in "ab":
                os.unlink(f"{client.folder}/{name}")
            with relays(options, Scenario("", 0, f"rtt=20 conn={mib(1)}"), nginx.port) as (url,), client.proxy():
                alone = small(url, 0)
                process = subprocess.Popen(client.inside("curl", "-sf", *proxy, "-o", "/dev/null", url))
                time.sleep(1)  # until it has all of its sixteen
                ratios.append(small(url, 100) / alone)
                process.kill()
                process.wait()
            for name in os.listdir(client.folder):
                os.unlink(os.path.join(client.folder, name))
        print(f"\nJain's index of two downloads at a link of 200 Mbit/s, from their times: {statistics.median(jain):.3f}")
        print(f"a request of 10 kB through the proxy beside sixteen pieces to its host: {statistics.median(ratios):.2f} x its time alone")
    finally:
        nginx.stop()


def table(results, tools):
    ours, others = [t for t in tools if t in ("get", "serve")], [t for t in tools if t not in ("get", "serve")]
    print("| network | ideal | " + " | ".join(tools) + " | " + " | ".join(f"{t} × best of the others" for t in ours) +
          " | get × aria2c | get × ideal |")
    print("|" + "---|" * (4 + len(tools) + len(ours)))

    def seconds(value):
        return "failed" if value is None else f"{value:.2f}"

    def ratio(a, b):
        return f"{a / b:.2f}" if a and b else "–"

    for name, times in results.items():
        scenario = SCENARIOS[name]
        best = min((times[t] for t in others if times[t]), default=None)
        row = [("*changes:* " if scenario.changes else "") + scenario.says, seconds(scenario.ideal), *(seconds(times[t]) for t in tools), *(ratio(times[t], best) for t in ours),
               ratio(times.get("get"), times.get("aria2c")), ratio(times.get("get"), scenario.ideal)]
        print("| " + " | ".join(row) + " |")


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", default=os.path.join(ROOT, "build", "release", "tributary"))
    parser.add_argument("--relay", default=os.path.join(ROOT, "build", "release", "tests", "bench", "relay"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="")
    parser.add_argument("--tools", default="get,serve,aria2c,axel,wget2,curl")
    parser.add_argument("--list", action="store_true")
    return parser.parse_args()


def main():
    options = parse()
    if options.list:
        print("\n".join(f"{name:20} {scenario.says}" for name, scenario in SCENARIOS.items()))
        print("fairness             two downloads at one link, and a small request beside sixteen pieces")
        return
    if INSIDE not in os.environ:  # the rest in namespaces that end with it
        os.environ[INSIDE] = "1"
        os.execvp("unshare", ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", sys.executable, *sys.argv])
    program = {"get": options.program, "serve": "curl"}
    tools = [t for t in options.tools.split(",") if shutil.which(program.get(t, t))]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # as the first process here it would be ignored
    run("mount", "-t", "tmpfs", "tmpfs", "/dev/shm")  # memory, for everybody: no disk in between
    tempfile.tempdir = "/dev/shm"
    client = Client(options, tempfile.mkdtemp())
    results = {}
    names = options.only.split(",") if options.only else [*SCENARIOS, "fairness"]
    for name in names:
        if name in SCENARIOS:
            results[name] = measure(options, client, name, tools)
    table(results, tools)
    if "fairness" in names:
        fairness(options, client)


if __name__ == "__main__":
    main()
