"""A real nginx as the origin: files from a folder, an access log that counts bytes, and a pace for each connection."""
import os
import shutil
import subprocess
import tempfile

from .proxy import free_port, wait_until
from .client import Client

CONFIG = """
daemon off;
master_process off;
pid {dir}/nginx.pid;
error_log {dir}/error.log warn;
events {{ worker_connections 2048; }}
http {{
    default_type application/octet-stream;
    types {{ text/html html; }}
    log_format counted '$request_method $uri $status $body_bytes_sent $connection $http_range';
    access_log {dir}/access.log counted;
    sendfile off;
    tcp_nodelay on;
    keepalive_requests 1000000;
    client_body_temp_path {dir}/body;
    proxy_temp_path {dir}/proxy;
    fastcgi_temp_path {dir}/fastcgi;
    uwsgi_temp_path {dir}/uwsgi;
    scgi_temp_path {dir}/scgi;
    server {{
        listen 127.0.0.1:{port} backlog=1024;
        root {files};
        autoindex on;
        {extra}
    }}
}}
"""


class Nginx:
    """`pace` in bytes per second limits each connection, with the preloaded library that the build made."""

    def __init__(self, pace=None, extra="expires 1d;"):
        self.dir = tempfile.mkdtemp(prefix="tributary-nginx-")
        self.files = os.path.join(self.dir, "files")
        os.mkdir(self.files)
        os.chmod(self.dir, 0o755)  # nginx may run as another user
        self.port, self.pace, self.extra, self.process = free_port(), pace, extra, None

    def start(self):
        config = os.path.join(self.dir, "nginx.conf")
        with open(config, "w") as f:
            f.write(CONFIG.format(dir=self.dir, files=self.files, port=self.port, extra=self.extra))
        environment = dict(os.environ)
        if self.pace:
            environment.update(LD_PRELOAD=os.environ["PACE"], PACE_BYTES_PER_S=str(self.pace))
        self.process = subprocess.Popen(
            [shutil.which("nginx") or "/usr/sbin/nginx", "-c", config, "-e", f"{self.dir}/error.log"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment,
            start_new_session=True)
        wait_until(self._listens, 10, "nginx listens")
        return self

    def _listens(self):
        assert self.process.poll() is None, open(f"{self.dir}/error.log").read()
        try:
            Client(("127.0.0.1", self.port)).close()
            return True
        except OSError:
            return False

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None
        shutil.rmtree(self.dir, ignore_errors=True)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def url(self, path):
        return f"http://127.0.0.1:{self.port}{path}"

    def put(self, name, data):
        """A file to serve."""
        path = os.path.join(self.files, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(data)
        return path

    def log(self, path=None):
        """[(method, path, status, body bytes, connection)] in order, for one path or all."""
        rows = []
        if os.path.exists(f"{self.dir}/access.log"):
            with open(f"{self.dir}/access.log") as f:
                for line in f:
                    if line.endswith("\n"):
                        method, uri, status, size, connection, *_ = line.split()
                        rows.append((method, uri, int(status), int(size), int(connection)))
        return [row for row in rows if path is None or row[1] == path]
