"""The proxy under test as a process: its configuration, start, signals, metrics, memory and log."""
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request

PROGRAM = os.environ.get("TRIBUTARY", os.path.join(os.path.dirname(__file__), "../../../build/release/tributary"))


_draw = random.SystemRandom()  # whoever seeds the other one must not make two proxies share a port
_given = set()


def free_port():
    """A port nobody listens on, outside the range that outgoing connections use, and another one each time."""
    for _ in range(1000):
        port = _draw.randrange(10240, 32000)
        if port in _given:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                _given.add(port)
                return port
            except OSError:
                continue
    raise RuntimeError("no free port")


def wait_until(condition, timeout=10.0, what="the condition"):
    """Ask until it is true; the wait is bounded and its result returned."""
    deadline = time.monotonic() + timeout
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come true within {timeout} s")
        time.sleep(0.01)


def toml(settings):
    """A nested dict as TOML: sections, arrays of tables, dotted sub-sections, plain values."""
    lines = []

    def section(path, table, header):
        scalars = {k: v for k, v in table.items() if not isinstance(v, dict) and not _is_tables(v)}
        if path and (scalars or not table):
            lines.append(header)
        lines.extend(f"{k} = {json.dumps(v)}" for k, v in scalars.items())
        for key, value in table.items():
            name = f"{path}.{key}" if path else key
            if isinstance(value, dict):
                section(name, value, f"[{name}]")
            elif _is_tables(value):
                for item in value:
                    section(name, item, f"[[{name}]]")

    section("", settings, "")
    return "\n".join(lines) + "\n"


def _is_tables(value):
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


def merged(base, more):
    """`more` over `base`, section by section."""
    result = dict(base)
    for key, value in more.items():
        result[key] = merged(result[key], value) if isinstance(value, dict) and isinstance(result.get(key), dict) else value
    return result


class Tributary:
    """One running proxy. `config` is laid over defaults that suit tests: loopback origins and any port allowed."""

    def __init__(self, config=None, directory=None, arguments=(), environment=None):
        self.dir = directory or tempfile.mkdtemp(prefix="tributary-test-")
        os.makedirs(self.dir, exist_ok=True)
        self._owns_dir = directory is None
        self.host = "127.0.0.1"
        self.port, self.admin_port = free_port(), free_port()
        self.arguments, self.environment = list(arguments), dict(environment or {})
        self.cache_dir = os.path.join(self.dir, "cache")
        self.log_path = os.path.join(self.dir, "log")
        self.access_log_path = os.path.join(self.dir, "access.log")
        self.config = merged(self.defaults(), config or {})
        self.process = None

    def defaults(self):
        return {
            "server": {"workers": 2, "drain_timeout": "5s"},
            "listen": [{"address": f"127.0.0.1:{self.port}"}],
            "access": {"allow_private": True, "allow_ports": ["*"], "connect_ports": ["*"]},
            "cache": {"directory": self.cache_dir, "size": "512MiB", "memory": "16MiB", "min_free_disk": "0MiB"},
            "admin": {"address": f"127.0.0.1:{self.admin_port}"},
            "log": {"level": "debug", "access_file": self.access_log_path},
        }

    # Life.

    def start(self, timeout=30.0):
        """Start and wait until it is ready; how long that took."""
        config = os.path.join(self.dir, "tributary.toml")
        with open(config, "w") as f:
            f.write(toml(self.config))
        started = time.monotonic()
        environment = {k: v for k, v in os.environ.items() if not k.startswith("TRIBUTARY") and "_proxy" not in k.lower()}
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [PROGRAM, "serve", "--config", config, *self.arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**environment, **self.environment}, start_new_session=True)
        try:
            wait_until(self._is_ready, timeout, "the proxy is ready")
        except BaseException as error:
            self.kill()
            raise AssertionError(f"{error}\n{self.log()[-4000:]}") from None
        self.start_seconds = time.monotonic() - started
        return self

    def _is_ready(self):
        if self.process.poll() is not None:
            raise AssertionError(f"the proxy ended with status {self.process.returncode}:\n{self.log()[-4000:]}")
        try:
            return self.admin("/readyz")[0] == 200
        except OSError:
            return False

    def stop(self, timeout=20.0):
        """TERM and wait; the exit status. What it left in its directory stays until `remove`."""
        if self.process is None:
            return None
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the proxy did not end within {timeout} s of TERM:\n{self.log()[-4000:]}") from None
        self.process = None
        return status

    def kill(self):
        """SIGKILL, as a crash would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def restart(self):
        """Stop politely and start again on the same directory and ports."""
        status = self.stop()
        assert status == 0, f"ended with status {status}:\n{self.log()[-4000:]}"
        return self.start()

    def remove(self):
        if self._owns_dir:
            shutil.rmtree(self.dir, ignore_errors=True)

    # What it tells.

    @property
    def url(self):
        return f"http://{self.host}:{self.port}"

    def admin(self, path, method="GET", body=None, headers=None):
        """(status, fields, body) from the admin listener."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.admin_port}{path}", data=body, method=method,
                                         headers=headers or {})
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoErrors)
        with opener.open(request, timeout=10) as reply:
            return reply.status, reply.headers, reply.read()

    def metrics(self):
        """Every sample of /metrics: "name" or "name{a=\"b\"}" -> number."""
        text = self.admin("/metrics")[2].decode()
        return {m.group(1): float(m.group(2))
                for m in re.finditer(r'^([a-z_]+(?:\{.*\})?) ([-+0-9.eInfNa]+)$', text, re.M)}

    def metric(self, name, **labels):
        """The sum of the samples of this name whose labels include these."""
        total = 0.0
        for sample, value in self.metrics().items():
            base, _, rest = sample.partition("{")
            if base == name and all(f'{k}="{v}"' in rest for k, v in labels.items()):
                total += value
        return total

    def log(self):
        try:
            with open(self.log_path, errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def access_log(self):
        with open(self.access_log_path, errors="replace") as f:
            return f.read()

    def memory(self):
        """Resident memory now, and at its highest, in bytes."""
        with open(f"/proc/{self.process.pid}/status") as f:
            text = f.read()
        return tuple(int(re.search(rf"{name}:\s+(\d+) kB", text).group(1)) * 1024 for name in ("VmRSS", "VmHWM"))

    def threads(self):
        return len(os.listdir(f"/proc/{self.process.pid}/task"))

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))


class _NoErrors(urllib.request.HTTPErrorProcessor):
    """A status is a result here, never an exception."""

    def http_response(self, request, response):
        return response

    https_response = http_response


def is_sanitized():
    """Whether the program was built with a sanitizer: then memory and time say nothing."""
    with open(PROGRAM, "rb") as f:
        data = f.read()
    return b"__asan_init" in data or b"__tsan_init" in data
