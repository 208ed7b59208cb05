"""Real proxies as the way to an origin: squid (HTTP, HTTPS), microsocks and dante (SOCKS5). Each started on a free port, and
stopped by its pid. A test that needs one that is not installed is skipped."""
import os
import shutil
import socket
import subprocess
import tempfile
import unittest

from .proxy import free_port, wait_until

SQUID = """
http_port 127.0.0.1:{port}
http_port 127.0.0.1:{locked_port} name=locked
https_port 127.0.0.1:{tls_port} tls-cert={cert} tls-key={key}
auth_param basic program {ncsa} {dir}/users
auth_param basic children 1
acl known proxy_auth REQUIRED
acl locked myportname locked
http_access deny locked !known
http_access allow all
cache deny all
access_log stdio:{dir}/access.log
cache_log {dir}/cache.log
pid_filename {dir}/squid.pid
coredump_dir {dir}
shutdown_lifetime 0 seconds
pinger_enable off
"""

DANTE = """
logoutput: {dir}/log
internal: 127.0.0.1 port = {port}
external: lo
socksmethod: none
clientmethod: none
{users}client pass {{ from: 0.0.0.0/0 to: 0.0.0.0/0 }}
socks pass {{ from: 0.0.0.0/0 to: 0.0.0.0/0 }}
"""

USER, PASSWORD = "someone", "a:secret@of/theirs"
CREDENTIALS = "someone:a%3Asecret%40of%2Ftheirs"


def certificate(folder):
    """(certificate, key) for localhost and 127.0.0.1, its own authority."""
    cert, key = f"{folder}/cert.pem", f"{folder}/key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-keyout",
                    key, "-out", cert, "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.chmod(key, 0o644)
    return cert, key


def _program(*names):
    for name in names:
        path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
        if path:
            return path
    raise unittest.SkipTest(f"{names[0]} is not installed")


class Peer:
    """A program that listens on self.port once it is started."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="tributary-peer-")
        os.chmod(self.dir, 0o777)  # it may run as another user
        self.port, self.process = free_port(), None

    def run(self, *command):
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                        cwd=self.dir, start_new_session=True)
        wait_until(self._listens, 30, f"{command[0]} listens")
        return self

    def _listens(self):
        assert self.process.poll() is None, f"{self.process.args[0]} ended with {self.process.returncode}"
        try:
            socket.create_connection(("127.0.0.1", self.port), 5).close()
            return True
        except OSError:
            return False

    def stop(self):
        if self.process and self.process.poll() is None:
            os.killpg(self.process.pid, 9)  # its helpers too: the group is its own
            self.process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)


class Squid(Peer):
    """Also: locked_port asks for USER and PASSWORD, tls_port speaks TLS with `cert`."""

    def __init__(self, cert, key):
        program = _program("squid")
        super().__init__()
        self.locked_port, self.tls_port = free_port(), free_port()
        with open(f"{self.dir}/users", "w") as f:
            hashed = subprocess.run(["openssl", "passwd", "-apr1", PASSWORD], check=True, capture_output=True, text=True)
            f.write(f"{USER}:{hashed.stdout}")
        with open(f"{self.dir}/squid.conf", "w") as f:
            f.write(SQUID.format(dir=self.dir, port=self.port, locked_port=self.locked_port, tls_port=self.tls_port, cert=cert, key=key,
                                 ncsa="/usr/lib/squid/basic_ncsa_auth"))
        self.run(program, "-N", "-f", f"{self.dir}/squid.conf")

    def log(self):
        """[(method, target)] in order."""
        try:
            with open(f"{self.dir}/access.log") as f:
                return [tuple(line.split()[5:7]) for line in f if line.endswith("\n")]
        except FileNotFoundError:
            return []


class Microsocks(Peer):
    def __init__(self, user=None, password=None):
        program = _program("microsocks")
        super().__init__()
        self.run(program, "-i", "127.0.0.1", "-p", str(self.port), *(["-u", user, "-P", password] if user else []))


class Dante(Peer):
    def __init__(self):
        program = _program("danted", "sockd")
        super().__init__()
        users = "user.privileged: root\nuser.unprivileged: nobody\n" if os.geteuid() == 0 else ""
        with open(f"{self.dir}/conf", "w") as f:
            f.write(DANTE.format(dir=self.dir, port=self.port, users=users))
        self.run(program, "-f", f"{self.dir}/conf")
