"""CONNECT: both directions, early data, half-close, limits (P-3)."""
import hashlib
import os
import socket
import threading
import time
import unittest

from harness import ProxyTest, connect, free_port, tunnel, wait_until


class Peer:
    """A TCP server of one purpose: `serve(socket)` runs in a thread for each connection."""

    def __init__(self, serve, host="127.0.0.1"):
        self.listener = socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        self.port = self.listener.getsockname()[1]
        self._serve = serve
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            connection.settimeout(30)
            threading.Thread(target=self._guard, args=(connection,), daemon=True).start()

    def _guard(self, connection):
        with connection:
            try:
                self._serve(connection)
            except OSError:
                pass

    def stop(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def echo(connection):
    while data := connection.recv(65536):
        connection.sendall(data)


def echo_after_end(connection):
    parts = []
    while data := connection.recv(65536):
        parts.append(data)
    connection.sendall(b"".join(parts)[::-1])


def send_then_read(connection):
    connection.sendall(b"all from me")
    connection.shutdown(socket.SHUT_WR)
    received = b""
    while data := connection.recv(65536):
        received += data
    send_then_read.received = received


class Connect(ProxyTest):
    config = {"timeout": {"tunnel_idle": "1s"}, "access": {"connect_ports": ["*"]}}

    def peer(self, serve, **options):
        peer = Peer(serve, **options)
        self.addCleanup(peer.stop)
        return peer

    def open(self, peer, **options):
        client = tunnel(self.proxy, f"127.0.0.1:{peer.port}", **options)
        self.addCleanup(client.close)
        return client

    def test_bytes_go_both_ways_and_the_answer_has_no_framing(self):
        client, reply = connect(self.proxy, f"127.0.0.1:{self.peer(echo).port}")
        self.addCleanup(client.close)
        self.assertEqual(reply.status, 200)
        self.assertIsNone(reply.field("content-length"))
        self.assertIsNone(reply.field("transfer-encoding"))
        client.send(b"hello")
        self.assertEqual(client.read_exactly(5), b"hello")

    def test_bytes_right_behind_the_head_are_not_lost(self):
        early = os.urandom(100_000)
        client = self.open(self.peer(echo), early=early)
        self.assertEqual(client.read_exactly(len(early)), early)

    def test_a_head_in_single_bytes_opens_a_tunnel(self):
        peer = self.peer(echo)
        client = self.client()
        for byte in f"CONNECT 127.0.0.1:{peer.port} HTTP/1.1\r\nHost: x\r\n\r\n".encode():
            client.send(bytes([byte]))
        self.assertEqual(client.read_response("CONNECT").status, 200)
        client.send(b"x")
        self.assertEqual(client.read_exactly(1), b"x")

    def test_the_clients_half_close_reaches_the_peer_and_the_answer_comes_back(self):
        client = self.open(self.peer(echo_after_end))
        client.send(b"abc")
        client.finish_sending()
        self.assertEqual(client.read_all(), b"cba")

    def test_the_peers_half_close_reaches_the_client_who_may_go_on_sending(self):
        peer = self.peer(send_then_read)
        send_then_read.received = None
        client = self.open(peer)
        self.assertEqual(client.read_all(), b"all from me")
        client.send(b"still ")
        client.send(b"here")
        client.finish_sending()
        wait_until(lambda: send_then_read.received is not None, 5, "the peer saw the end")
        self.assertEqual(send_then_read.received, b"still here")

    def test_a_reset_by_the_peer_ends_the_tunnel(self):
        def reset(connection):
            connection.recv(1)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client = self.open(self.peer(reset))
        client.send(b"x")
        self.assertTrue(client.at_end())

    def test_bulk_in_both_directions_at_once_arrives_exactly(self):
        size = 32 << 20
        data = os.urandom(1 << 20) * (size >> 20)
        client = self.open(self.peer(echo))
        sender = threading.Thread(target=lambda: (client.send(data), client.finish_sending()), daemon=True)
        sender.start()
        digest, count = hashlib.sha256(), 0
        while part := client.socket.recv(1 << 20):
            digest.update(part)
            count += len(part)
        sender.join(30)
        self.assertEqual(count, size)
        self.assertEqual(digest.digest(), hashlib.sha256(data).digest())

    def test_a_reader_that_stops_does_not_fill_memory(self):
        def flood(connection):
            block = b"x" * (1 << 20)
            flood.sent = 0
            for _ in range(200):
                connection.sendall(block)
                flood.sent += len(block)
        client = self.open(self.peer(flood))
        client.read_exactly(1)
        time.sleep(0.5)
        self.assertLess(flood.sent, 60 << 20)

    def test_an_idle_tunnel_ends_after_tunnel_idle(self):
        client = self.open(self.peer(echo))
        client.send(b"x")
        client.read_exactly(1)
        self.assertTrue(client.at_end())

    def test_a_closed_port_is_502_with_the_reason(self):
        client, reply = connect(self.proxy, f"127.0.0.1:{free_port()}")
        client.close()
        self.assertEqual(reply.status, 502, reply)
        self.assertIn("connection_refused", reply.field("proxy-status"))

    def test_ipv6_addresses_work(self):
        peer = self.peer(echo, host="::1")
        client = tunnel(self.proxy, f"[::1]:{peer.port}")
        self.addCleanup(client.close)
        client.send(b"six")
        self.assertEqual(client.read_exactly(3), b"six")

    def test_malformed_authorities_are_400(self):
        for target in ("127.0.0.1", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", ":80", "http://x:80/", "a b:80", "x:80/path",
                       "user@127.0.0.1:80", "127.0.0.1:80:80", "[::1:80", "/"):
            with self.subTest(target):
                client, reply = connect(self.proxy, target)
                client.close()
                self.assertEqual(reply.status, 400, reply)

    def test_tunnels_are_counted_while_they_are_open(self):
        def drained():
            return self.proxy.metric("tributary_tunnels") == 0
        wait_until(drained, 10, "no tunnel")
        client = self.open(self.peer(echo))
        client.send(b"x")
        client.read_exactly(1)
        self.assertEqual(self.proxy.metric("tributary_tunnels"), 1)
        client.close()
        wait_until(drained, 10, "no tunnel")


class ConnectPorts(ProxyTest):
    config = {"access": {"connect_ports": [443, 563], "allow_private": True}}

    def test_other_ports_are_403(self):
        for port in (80, 22, 25, self.origin.port):
            client, reply = connect(self.proxy, f"127.0.0.1:{port}")
            client.close()
            self.assertEqual(reply.status, 403, reply)

    def test_listed_ports_are_tried(self):
        client, reply = connect(self.proxy, "127.0.0.1:443")
        client.close()
        self.assertNotEqual(reply.status, 403, reply)


if __name__ == "__main__":
    unittest.main()
