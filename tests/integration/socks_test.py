"""SOCKS4, 4a and 5 on the port that speaks HTTP too (P-1, P-4 without BIND and UDP)."""
import os
import struct
import unittest

from harness import DnsServer, ProxyTest, content, free_port, socks4, socks5
from tunnels_test import Peer, echo, echo_after_end

REQUEST = b"GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


class Socks(ProxyTest):
    @classmethod
    def setUpClass(cls):
        cls.dns = DnsServer({"origin.test": ["127.0.0.1"], "missing.test": "nxdomain"})
        cls.addClassCleanup(cls.dns.stop)
        cls.config = {"dns": {"servers": [cls.dns.address]}}
        super().setUpClass()

    def assert_works(self, opened):
        client, code = opened
        self.addCleanup(client.close)
        self.assertIn(code, (0, 90))
        client.send(REQUEST % self.path(1000).encode())
        self.assert_content(client.read_response(), self.seed, 1000)

    def test_socks4_connects_to_an_address(self):
        self.assert_works(socks4(self.proxy, "127.0.0.1", self.origin.port))

    def test_socks4_takes_a_user_name(self):
        self.assert_works(socks4(self.proxy, "127.0.0.1", self.origin.port, user=b"somebody"))

    def test_socks4a_resolves_the_name_here(self):
        self.assert_works(socks4(self.proxy, "origin.test", self.origin.port))

    def test_socks5_connects_to_an_ipv4_address(self):
        self.assert_works(socks5(self.proxy, "127.0.0.1", self.origin.port))

    def test_socks5_resolves_the_name_here(self):
        self.assert_works(socks5(self.proxy, "origin.test", self.origin.port))

    def test_socks5_connects_to_an_ipv6_address(self):
        peer = Peer(echo, host="::1")
        self.addCleanup(peer.stop)
        client, code = socks5(self.proxy, "::1", peer.port)
        self.addCleanup(client.close)
        self.assertEqual(code, 0)
        client.send(b"six")
        self.assertEqual(client.read_exactly(3), b"six")

    def test_bytes_right_behind_the_request_are_not_lost(self):
        peer = Peer(echo)
        self.addCleanup(peer.stop)
        early = os.urandom(50_000)
        for opened in (socks5(self.proxy, "127.0.0.1", peer.port, early=early),
                       socks4(self.proxy, "127.0.0.1", peer.port, early=early)):
            self.addCleanup(opened[0].close)
            self.assertEqual(opened[0].read_exactly(len(early)), early)

    def test_half_close_is_kept(self):
        peer = Peer(echo_after_end)
        self.addCleanup(peer.stop)
        client, _ = socks5(self.proxy, "127.0.0.1", peer.port)
        client.send(b"abc")
        client.finish_sending()
        self.assertEqual(client.read_all(), b"cba")

    def test_a_handshake_in_single_bytes_works(self):
        name = b"origin.test"
        client = self.client()
        for byte in b"\5\1\0":
            client.send(bytes([byte]))
        self.assertEqual(client.read_exactly(2), b"\5\0")
        for byte in b"\5\1\0\3" + bytes([len(name)]) + name + struct.pack(">H", self.origin.port):
            client.send(bytes([byte]))
        self.assertEqual(client.read_exactly(10)[:2], b"\5\0")

    def test_a_closed_port_is_told(self):
        client, code = socks5(self.proxy, "127.0.0.1", free_port())
        client.close()
        self.assertEqual(code, 5)
        client, code = socks4(self.proxy, "127.0.0.1", free_port())
        client.close()
        self.assertEqual(code, 91)

    def test_a_name_that_does_not_exist_is_told(self):
        client, code = socks5(self.proxy, "missing.test", 80)
        client.close()
        self.assertEqual(code, 4)

    def test_other_commands_are_refused(self):
        for command in (2, 3, 9):
            client, code = socks5(self.proxy, "127.0.0.1", 80, command=command)
            client.close()
            self.assertEqual(code, 7)

    def test_only_methods_that_are_not_offered_is_ff(self):
        client, code = socks5(self.proxy, "127.0.0.1", 80, methods=b"\1\2")
        self.assertEqual(code, 255)
        self.assertTrue(client.at_end())

    def test_malformed_handshakes_are_closed(self):
        for data in (b"\5\0", b"\5\1\0\6\1\0\1\0\0\0\0\0\0", b"\5\1\0\5\1\0\7\0\0\0\0\0\0", b"\5\1\0\5\1\0\3\0\0\0",
                     b"\4\1\0\120\0\0\0\1" + b"u" * 4000, b"\4\7\0\120\177\0\0\1\0"):
            with self.subTest(data[:16]):
                client = self.client()
                client.send(data)
                client.read_all()

    def test_a_name_with_control_characters_is_refused(self):
        for name in ("a\0b", "a\r\nb", "a b"):
            client, code = socks5(self.proxy, name, 80)
            client.close()
            self.assertNotEqual(code, 0)

    def test_a_name_may_be_an_address_in_letters(self):
        self.assert_works(socks5(self.proxy, "127.0.0.1", self.origin.port))
        client = self.client()
        client.send(b"\5\1\0")
        client.read_exactly(2)
        client.send(b"\5\1\0\3\x09127.0.0.1" + struct.pack(">H", self.origin.port) + REQUEST % self.path(10).encode())
        self.assertEqual(client.read_exactly(10)[1], 0)
        self.assertEqual(client.read_response().body, content(self.seed, 0, 10))


class SocksAccess(ProxyTest):
    config = {"access": {"allow_private": False}}

    def test_private_destinations_are_refused_by_rule(self):
        for host in ("127.0.0.1", "::1", "localhost"):
            client, code = socks5(self.proxy, host, self.origin.port)
            client.close()
            self.assertEqual(code, 2, host)
        client, code = socks4(self.proxy, "127.0.0.1", self.origin.port)
        client.close()
        self.assertEqual(code, 91)


class OneProtocol(ProxyTest):
    def test_a_listener_can_be_limited_to_http(self):
        from harness import Tributary
        proxy = Tributary()
        proxy.config["listen"][0]["protocols"] = ["http"]
        self.addCleanup(proxy.remove)
        proxy.start()
        self.addCleanup(proxy.kill)
        client = self.client(proxy)
        client.send(b"\5\1\0")
        self.assertNotIn(b"\5\0", client.read_all())
        self.assert_content(self.get(self.path(10), proxy=proxy), self.seed, 10)


if __name__ == "__main__":
    unittest.main()
