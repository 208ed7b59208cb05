"""A name server on loopback with a fixed set of answers: addresses, no such name, a failure, or silence."""
import socket
import struct
import threading

from .proxy import free_port


class DnsServer:
    """`names`: name -> list of addresses, or "nxdomain", "servfail", "silent". Unknown names do not exist."""

    def __init__(self, names):
        self.names, self.queries = names, []
        self.port = free_port()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", self.port))
        self._socket.settimeout(0.2)
        self._running = True
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def stop(self):
        self._running = False
        self._thread.join(5)
        self._socket.close()

    def asked(self, name):
        return sum(1 for asked, _ in self.queries if asked == name)

    def _serve(self):
        while self._running:
            try:
                query, peer = self._socket.recvfrom(4096)
            except TimeoutError:
                continue
            reply = self._answer(query)
            if reply:
                self._socket.sendto(reply, peer)

    def _answer(self, query):
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode())
            at += query[at] + 1
        name, (kind,) = ".".join(labels).lower(), struct.unpack(">H", query[at + 1:at + 3])
        self.queries.append((name, kind))
        known = self.names.get(name, "nxdomain")
        if known == "silent":
            return None
        code = {"nxdomain": 3, "servfail": 2}.get(known, 0) if isinstance(known, str) else 0
        question, answers = query[12:at + 5], []
        for address in known if not isinstance(known, str) else []:
            v6 = ":" in address
            if kind == (28 if v6 else 1):
                data = socket.inet_pton(socket.AF_INET6 if v6 else socket.AF_INET, address)
                answers.append(b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 60, len(data)) + data)
        head = query[:2] + struct.pack(">HHHHH", 0x8180 | code, 1, len(answers), 0, 0)
        return head + question + b"".join(answers)
