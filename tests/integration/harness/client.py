"""A client that shows what really came over the wire: raw sockets, one small strict HTTP/1.1 reader, SOCKS and CONNECT."""
import socket
import struct
import urllib.parse

TIMEOUT = 20.0


class Truncated(Exception):
    """The peer closed or reset where more was due; `got` is what had come."""

    def __init__(self, got):
        super().__init__(f"the connection ended after {len(got)} bytes of what was due")
        self.got = got


class Response:
    """One response as it arrived. `complete` is false when the message ended before its framing said so."""

    def __init__(self):
        self.version, self.status, self.reason = "", 0, ""
        self.fields, self.trailers, self.interim = [], [], []
        self.body, self.complete, self.error = b"", False, None

    def field(self, name, default=None):
        """The field's lines joined by commas, or the default."""
        values = [v for n, v in self.fields if n.lower() == name.lower()]
        return ", ".join(values) if values else default

    def count(self, name):
        return sum(1 for n, _ in self.fields if n.lower() == name.lower())

    def __repr__(self):
        return f"<{self.status} {self.fields} {len(self.body)} bytes{'' if self.complete else ' INCOMPLETE'} {self.error or ''}>"


class Client:
    """One connection. `send` what you like, `read_response` what comes."""

    def __init__(self, address, timeout=TIMEOUT, receive_buffer=None, source=None):
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.settimeout(timeout)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        try:
            if source:
                self.socket.bind((source, 0))
            self.socket.connect(address)
        except BaseException:
            self.socket.close()
            raise
        if family != socket.AF_UNIX:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def finish_sending(self):
        self.socket.shutdown(socket.SHUT_WR)

    def request(self, method, target, fields=(), body=b"", host=None):
        """Send one request; Host from the target unless given, Content-Length when there is a body."""
        if host is None:
            host = urllib.parse.urlsplit(target).netloc if "://" in target else target
        lines = [f"{method} {target} HTTP/1.1", f"Host: {host}"]
        lines += [f"{n}: {v}" for n, v in (fields.items() if isinstance(fields, dict) else fields)]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        self.send(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body)

    def exchange(self, method, target, fields=(), body=b"", host=None):
        self.request(method, target, fields, body, host)
        return self.read_response(method)

    def _fill(self):
        data = self.socket.recv(1 << 18)
        self.buffer += data
        return bool(data)

    def read_until(self, mark):
        while mark not in self.buffer:
            if not self._fill():
                raise Truncated(self.buffer)
        head, _, self.buffer = self.buffer.partition(mark)
        return head

    def read_exactly(self, size):
        parts, have = [self.buffer], len(self.buffer)
        while have < size:
            try:
                data = self.socket.recv(min(1 << 20, size - have + 65536))
            except ConnectionResetError:
                data = b""
            if not data:
                self.buffer = b""
                raise Truncated(b"".join(parts))
            parts.append(data)
            have += len(data)
        whole = b"".join(parts)
        self.buffer = whole[size:]
        return whole[:size]

    def read_all(self):
        """Everything until the peer closes (or resets)."""
        parts = [self.buffer]
        self.buffer = b""
        try:
            while data := self.socket.recv(1 << 18):
                parts.append(data)
        except ConnectionResetError:
            pass
        return b"".join(parts)

    def at_end(self):
        """Whether the peer has closed: waits for the end, or for a byte."""
        if self.buffer:
            return False
        try:
            return not self._fill()
        except ConnectionResetError:
            return True

    def read_head(self):
        """The next response's head, interim ones included in `interim`."""
        response = Response()
        while True:
            lines = self.read_until(b"\r\n\r\n").decode("latin-1").split("\r\n")
            version, status, *reason = lines[0].split(" ", 2)
            fields = [(n, v.strip()) for n, _, v in (line.partition(":") for line in lines[1:])]
            if 100 <= int(status) < 200 and int(status) != 101:
                response.interim.append((int(status), fields))
                continue
            response.version, response.status, response.reason = version, int(status), "".join(reason)
            response.fields = fields
            return response

    def read_response(self, method="GET"):
        """The next response, whole if it comes whole; a truncated one says so in `complete` and `error`."""
        try:
            response = self.read_head()
        except (Truncated, OSError) as error:
            response = Response()
            response.error = error
            return response
        try:
            self._read_body(response, method)
            response.complete = True
        except Truncated as error:
            response.body += error.got
            response.error = error
        except OSError as error:
            response.error = error
        return response

    def _read_body(self, response, method):
        if method == "HEAD" or response.status in (204, 304) or method == "CONNECT" and response.status == 200:
            return
        if "chunked" in response.field("transfer-encoding", "").lower():
            parts = []
            try:
                while size := int(self.read_until(b"\r\n").split(b";")[0], 16):
                    parts.append(self.read_exactly(size))
                    if self.read_exactly(2) != b"\r\n":
                        raise OSError("no CRLF behind a chunk")
            except Truncated as error:
                raise Truncated(b"".join(parts) + error.got) from None
            response.body = b"".join(parts)
            while line := self.read_until(b"\r\n"):
                name, _, value = line.decode("latin-1").partition(":")
                response.trailers.append((name, value.strip()))
        elif (length := response.field("content-length")) is not None:
            response.body = self.read_exactly(int(length))
        else:
            response.body = self.read_all()


def connect(proxy, target, fields=(), timeout=TIMEOUT, early=b""):
    """CONNECT to "host:port": (client, response). `early` goes out right behind the head."""
    client = Client((proxy.host, proxy.port), timeout)
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}", *(f"{n}: {v}" for n, v in fields)]
    client.send(("\r\n".join(lines) + "\r\n\r\n").encode() + early)
    return client, client.read_response("CONNECT")


def tunnel(proxy, target, **options):
    """An open CONNECT tunnel, or an AssertionError."""
    client, response = connect(proxy, target, **options)
    assert response.status == 200, response
    return client


def socks4(proxy, host, port, user=b"", early=b""):
    """SOCKS4 for an IPv4 address, SOCKS4a for a name: (client, reply code). 90 means granted."""
    client = Client((proxy.host, proxy.port))
    try:
        address, name = socket.inet_aton(host) if host.count(".") == 3 else None, b""
    except OSError:
        address = None
    if address is None:
        address, name = b"\0\0\0\1", host.encode() + b"\0"
    client.send(struct.pack(">BBH", 4, 1, port) + address + user + b"\0" + name + early)
    reply = client.read_exactly(8)
    return client, reply[1]


def socks5(proxy, host, port, early=b"", command=1, methods=b"\0"):
    """SOCKS5 without login: (client, reply code). 0 means granted, 255 that no method was acceptable."""
    client = Client((proxy.host, proxy.port))
    client.send(bytes([5, len(methods)]) + methods)
    if client.read_exactly(2) != b"\5\0":
        return client, 255
    try:
        if ":" in host:
            address = b"\4" + socket.inet_pton(socket.AF_INET6, host)
        else:
            address = b"\1" + socket.inet_pton(socket.AF_INET, host)
    except (OSError, ValueError):
        address = b"\3" + bytes([len(host)]) + host.encode()
    client.send(bytes([5, command, 0]) + address + struct.pack(">H", port) + early)
    version, code, _, kind = client.read_exactly(4)
    assert version == 5
    client.read_exactly({1: 4, 4: 16}[kind] + 2 if kind != 3 else client.read_exactly(1)[0] + 2)
    return client, code
