#!/usr/bin/env python3
"""1,000 downloads at once from 100 hosts (127.0.1.1 to .100), by one `tributary get -i LIST -j 1000` or by 1,000 clients of the proxy:
none stalls, every file is right, and no host ever has more connections than the limit, as counted there (issue 4).

    python3 tests/bench/thousand_downloads.py [--program build/release/tributary] [--size 1048576] [--through get|proxy]
"""
import argparse
import filecmp
import os
import re
import resource
import socket
import subprocess
import sys
import tempfile
import threading
import time

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
sys.path.insert(0, os.path.join(ROOT, "tests", "integration"))
HOSTS, EACH = 100, 10
CONFIG = """
daemon off; master_process off; pid {dir}/pid; error_log {dir}/error.log warn;
events {{ worker_connections 16384; }}
http {{ default_type application/octet-stream; access_log off; client_body_temp_path {dir}/b; proxy_temp_path {dir}/p; fastcgi_temp_path {dir}/f;
  uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s; server {{ {listen} root {files}; expires 1d; }} }}
"""


def count(port, stop, most):
    """What /proc/net/tcp says of the hosts' side, about every 20 ms: the most connections that each had."""
    line = re.compile(rf"^ *\d+: ([0-9A-F]{{8}}):{port:04X} [0-9A-F:]+ 01 ", re.M)
    while not stop.is_set():
        with open("/proc/net/tcp") as f:
            text = f.read()
        now = {}
        for address in line.findall(text):
            now[address] = now.get(address, 0) + 1
        for address, number in now.items():
            most[address] = max(most.get(address, 0), number)
        stop.wait(0.02)


def through_get(program, urls, folder):
    done = subprocess.run([program, "get", "-q", "-i", "-", "-j", "1000", "-P", folder], input="\n".join(urls).encode())
    return done.returncode == 0, {url: os.path.join(folder, url.rsplit("/", 1)[1]) for url in urls}


def through_proxy(urls, folder, original):
    """1,000 clients, a thread each; what they got is compared at once."""
    from harness.client import Client
    from harness.proxy import Tributary
    with open(original, "rb") as f:
        expected = f.read()
    proxy = Tributary({"log": {"level": "warn", "access_file": ""}, "cache": {"size": "4GiB"}}).start()
    right = []

    def ask(url):
        client = Client((proxy.host, proxy.port), 120)
        response = client.exchange("GET", url)
        client.close()
        if response.status == 200 and response.body == expected:
            right.append(url)

    try:
        threads = [threading.Thread(target=ask, args=(url,)) for url in urls]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(180)
        return len(right) == len(urls), {}
    finally:
        proxy.stop()
        proxy.remove()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", default=os.path.join(ROOT, "build", "release", "tributary"))
    parser.add_argument("--size", type=int, default=1 << 20)
    parser.add_argument("--through", choices=("get", "proxy"), default="get")
    options = parser.parse_args()
    os.environ["TRIBUTARY"] = options.program
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    from harness.proxy import free_port, wait_until
    limit = 16 if options.through == "get" else 64  # accelerate.max_connections_per_host and upstream.max_connections_per_host
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        files, got = os.path.join(folder, "files"), os.path.join(folder, "got")
        os.mkdir(files)
        os.mkdir(got)
        original = os.path.join(files, "file")
        with open(original, "wb") as f:
            f.write(os.urandom(options.size))
        names = [f"file-{number}" for number in range(HOSTS * EACH)]
        for name in names:
            os.link(original, os.path.join(files, name))
        listen = " ".join(f"listen 127.0.1.{host}:{port} backlog=1024;" for host in range(1, HOSTS + 1))
        with open(f"{folder}/nginx.conf", "w") as f:
            f.write(CONFIG.format(dir=folder, files=files, listen=listen))
        nginx = subprocess.Popen(["nginx", "-c", f"{folder}/nginx.conf", "-e", f"{folder}/error.log"])
        stop, most = threading.Event(), {}
        try:
            wait_until(lambda: socket.socket().connect_ex(("127.0.1.1", port)) == 0, what="nginx listens")
            urls = [f"http://127.0.1.{1 + number % HOSTS}:{port}/{name}" for number, name in enumerate(names)]
            counter = threading.Thread(target=count, args=(port, stop, most))
            counter.start()
            before = time.monotonic()
            is_good, paths = through_get(options.program, urls, got) if options.through == "get" else through_proxy(urls, got, original)
            took = time.monotonic() - before
            stop.set()
            counter.join()
            is_good = is_good and all(filecmp.cmp(original, path, shallow=False) for path in paths.values())
        finally:
            stop.set()
            nginx.kill()
            nginx.wait()
    total = HOSTS * EACH * options.size
    print(f"{options.through}: {len(urls)} downloads of {options.size} bytes in {took:.2f} s ({total / took / 1e6:.0f} MB/s), "
          f"{'all right' if is_good else 'NOT ALL RIGHT'}; at most {max(most.values())} connections to a host (limit {limit})")
    return 0 if is_good and max(most.values()) <= limit else 1


if __name__ == "__main__":
    sys.exit(main())
