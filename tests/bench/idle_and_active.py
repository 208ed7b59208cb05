#!/usr/bin/env python3
"""10,000 idle tunnels and 1,000 active requests at once on one worker: memory a tunnel, loop lag, requests a second (S0-H4).

    python3 tests/bench/idle_and_active.py [--tunnels 10000] [--active 1000] [--seconds 20] [--program build/release/tributary] [--realtime]

A tunnel costs the proxy two descriptors, so 10,000 and 1,000 want `ulimit -Hn` of 21,300 at least; with a lower limit as many
tunnels are held as fit, and the output says how many. Half of the active requests are hits of 1 KiB, half are misses (not
storable, from nginx); each of the 1,000 connections asks again as soon as it has its answer. The proxy has the last core, its
clients and its origin have the others. Loop lag is also what the worker waits for that core: where anything else may want it,
--realtime (as root) tells the one from the other.
"""
import argparse
import json
import multiprocessing
import os
import resource
import select
import socket
import sys
import time

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
sys.path.insert(0, os.path.join(ROOT, "tests", "integration"))
SPARE = 300  # descriptors of the proxy for itself, and for nginx's 64 connections


def raise_limit():
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (65536, 65536))
    except (OSError, ValueError):  # only root, and not in every container
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[1]


def hold(listener, pipe):
    """The far ends of the tunnels: accepts and keeps."""
    kept = []
    listener.settimeout(0.5)
    while not pipe.poll():
        try:
            kept.append(listener.accept()[0])
        except TimeoutError:
            pass


def ask(proxy, targets, connections, pipe):
    """The active clients: a request on every connection at any time, until told to stop. Answers (requests, errors)."""
    requests = [f"GET {url} HTTP/1.1\r\nHost: x\r\n\r\n".encode() for url in targets]
    poll, clients = select.epoll(), {}
    for i in range(connections):
        client = socket.create_connection(proxy)
        client.setblocking(False)
        client.send(requests[i % 2])
        clients[client.fileno()] = [client, i, b""]
        poll.register(client, select.EPOLLIN)
    done = errors = 0
    while not pipe.poll():
        for number, _ in poll.poll(0.2):
            state = clients[number]
            data = state[0].recv(65536)
            state[2] += data
            head, end, body = state[2].partition(b"\r\n\r\n")
            if not data:
                errors += 1
                poll.unregister(number)
            elif end and len(body) >= 1024:
                done, errors = done + 1, errors + (b" 200 " not in head[:20])
                state[1], state[2] = state[1] + 1, b""
                state[0].send(requests[state[1] % 2])
    pipe.send((done, errors))


def lag(metrics):
    return {float(name.split('le="')[1].split('"')[0].replace("+Inf", "inf")): value for name, value in metrics.items()
            if name.startswith("tributary_loop_lag_seconds_bucket")}


def quantile(before, after, share):
    """The bound of the bucket in which it lies."""
    counts = {bound: after[bound] - before.get(bound, 0) for bound in sorted(after)}
    return next(bound for bound, count in counts.items() if count >= share * counts[float("inf")])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tunnels", type=int, default=10_000)
    parser.add_argument("--active", type=int, default=1_000)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--program", default=os.path.join(ROOT, "build", "release", "tributary"))
    parser.add_argument("--realtime", action="store_true", help="the proxy goes before whatever else wants its core")
    options = parser.parse_args()
    os.environ["TRIBUTARY"] = options.program
    limit = raise_limit()
    tunnels = min(options.tunnels, (limit - options.active - SPARE) // 2)
    from harness.nginx import Nginx
    from harness.proxy import Tributary

    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[:-1] or cores)
    nginx = Nginx(extra="location /hit { expires 1d; } location /miss { add_header Cache-Control no-store; }").start()
    proxy = Tributary({"server": {"workers": 1}, "log": {"level": "warn", "access_file": ""}}).start()
    children = []

    def child(work, *arguments):
        ours, theirs = multiprocessing.Pipe()
        process = multiprocessing.get_context("fork").Process(target=work, args=(*arguments, theirs), daemon=True)
        process.start()
        children.append((process, ours))
        return ours

    try:
        for thread in os.listdir(f"/proc/{proxy.process.pid}/task"):
            os.sched_setaffinity(int(thread), cores[-1:])
            if options.realtime:
                os.sched_setscheduler(int(thread), os.SCHED_RR, os.sched_param(1))
        for name in ("hit", "miss"):
            nginx.put(f"{name}/object", b"x" * 1024)
        listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        target = f"127.0.0.1:{listener.getsockname()[1]}"
        child(hold, listener)
        opening = f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode()

        def tunnel():
            client = socket.create_connection((proxy.host, proxy.port))
            client.sendall(opening)
            assert client.recv(4096).startswith(b"HTTP/1.1 200"), "the tunnel was refused"
            return client

        held = [tunnel() for _ in range(min(200, tunnels))]  # what is made once for the first is not the tunnels' cost
        memory = proxy.memory()[0]
        held += [tunnel() for _ in range(tunnels - len(held))]
        each = (proxy.memory()[0] - memory) / max(1, tunnels - 200)
        active = child(ask, (proxy.host, proxy.port), [nginx.url("/hit/object"), nginx.url("/miss/object")], options.active)
        time.sleep(2)  # every connection is open and at work
        before, connections = proxy.metrics(), proxy.metric("tributary_client_connections", protocol="http")
        time.sleep(options.seconds)
        after = proxy.metrics()
        answered = sum(after[n] - before.get(n, 0) for n in after if n.startswith("tributary_requests_total"))
        active.send("stop")
        _, errors = active.recv()
        held[0].sendall(b"x")  # they are still tunnels
        print(json.dumps({
            "descriptors_allowed": limit, "idle_tunnels": tunnels, "tunnels_metric": after['tributary_tunnels{protocol="connect"}'],
            "active_connections": connections, "bytes_per_idle_tunnel": round(each), "requests_per_s": round(answered / options.seconds),
            "failed": errors, "loop_lag_p50_s": quantile(lag(before), lag(after), 0.5),
            "loop_lag_p99_s": quantile(lag(before), lag(after), 0.99), "loop_lag_p99.9_s": quantile(lag(before), lag(after), 0.999),
        }, indent=2))
        return errors != 0
    finally:
        for process, pipe in children:
            process.kill()
            process.join()
        proxy.stop()
        proxy.remove()
        nginx.stop()


if __name__ == "__main__":
    sys.exit(main())
