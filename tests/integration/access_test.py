"""Safe by default: no open proxy, no route to private addresses, limited ports and hosts (V-5, V-6)."""
import unittest

from harness import DnsServer, ProxyTest, Tributary, connect, socks5


class PrivateDestinations(ProxyTest):
    @classmethod
    def setUpClass(cls):
        cls.dns = DnsServer({"inside.test": ["127.0.0.1"], "inside6.test": ["::1"], "mixed.test": ["127.0.0.1", "10.0.0.1"],
                             "mapped.test": ["::ffff:127.0.0.1"], "cloud.test": ["169.254.169.254"]})
        cls.addClassCleanup(cls.dns.stop)
        cls.config = {"access": {"allow_private": False}, "dns": {"servers": [cls.dns.address]}}
        super().setUpClass()

    def assert_prohibited(self, reply):
        self.assertEqual(reply.status, 403, reply)
        self.assertIn("destination_ip_prohibited", reply.field("proxy-status", ""))

    def test_addresses_that_are_not_public_are_refused(self):
        for host in ("127.0.0.1", "127.1.2.3", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
                     "224.0.0.1", "255.255.255.255", "192.0.2.1", "[::1]", "[::]", "[fe80::1]", "[fc00::1]", "[::ffff:127.0.0.1]",
                     "[::ffff:10.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[ff02::1]"):
            with self.subTest(host):
                self.assert_prohibited(self.get(f"http://{host}:{self.origin.port}/"))

    def test_other_spellings_of_an_address_are_refused_as_such_or_as_malformed(self):
        for host in ("127.1", "0x7f000001", "2130706433", "0177.0.0.1", "127.0.0.1.", "localhost", "LOCALHOST", "[::127.0.0.1]"):
            with self.subTest(host):
                reply = self.get(f"http://{host}:{self.origin.port}/")
                self.assertIn(reply.status, (400, 403, 502), reply)

    def test_names_that_resolve_to_private_addresses_are_refused(self):
        for host in ("inside.test", "inside6.test", "mixed.test", "mapped.test", "cloud.test"):
            with self.subTest(host):
                self.assert_prohibited(self.get(f"http://{host}:{self.origin.port}/"))

    def test_tunnels_are_refused_too(self):
        client, reply = connect(self.proxy, "inside.test:443")
        client.close()
        self.assert_prohibited(reply)
        client, code = socks5(self.proxy, "inside.test", 443)
        client.close()
        self.assertEqual(code, 2)

    def test_nothing_reached_the_origin_and_refusals_are_counted(self):
        self.get(f"http://inside.test:{self.origin.port}/")
        self.assertEqual(self.origin.connections, 0)
        self.assertGreater(self.proxy.metric("tributary_rejected_total"), 0)


class OwnListeners(ProxyTest):
    def test_the_proxy_and_its_admin_are_never_a_destination(self):
        for port in (self.proxy.port, self.proxy.admin_port):
            for host in ("127.0.0.1", "localhost"):
                with self.subTest(f"{host}:{port}"):
                    # localhost is [::1] too, where nobody listens: then that is refused by the kernel.
                    refusals = (403, 508) if host != "localhost" else (403, 502, 508)
                    reply = self.get(f"http://{host}:{port}/metrics")
                    self.assertIn(reply.status, refusals, reply)
                    client, reply = connect(self.proxy, f"{host}:{port}")
                    client.close()
                    self.assertIn(reply.status, refusals, reply)


class Hosts(ProxyTest):
    @classmethod
    def setUpClass(cls):
        names = ("good.test", "sub.good.test", "bad.good.test", "other.test", "x-cdn.test")
        cls.dns = DnsServer({name: ["127.0.0.1"] for name in names})
        cls.addClassCleanup(cls.dns.stop)
        cls.config = {"access": {"allow_hosts": [".good.test", "*-cdn.test"], "deny_hosts": ["bad.good.test"]},
                      "dns": {"servers": [cls.dns.address]}}
        super().setUpClass()

    def test_lists_decide_by_name(self):
        for host, status in (("good.test", 404), ("sub.good.test", 404), ("x-cdn.test", 404), ("bad.good.test", 403),
                             ("BAD.good.test", 403), ("bad.good.test.", 403), ("other.test", 403), ("127.0.0.1", 403)):
            with self.subTest(host):
                reply = self.get(f"http://{host}:{self.origin.port}/nothing")
                self.assertEqual(reply.status, status, reply)


class Ports(ProxyTest):
    config = {"access": {"allow_ports": [80, "9000-9100"]}}

    def test_other_ports_are_403(self):
        self.assertEqual(self.get("/nothing").status, 403)
        self.assertEqual(self.get("http://127.0.0.1:9050/").status, 502)


class Clients(ProxyTest):
    config = {"access": {"allow_clients": ["192.0.2.0/24"]}}

    def test_a_client_that_is_not_allowed_is_turned_away(self):
        client = self.client()
        try:
            reply = client.exchange("GET", self.origin.url("/nothing"))
            self.assertIn(reply.status, (0, 403), reply)
        except OSError:
            pass
        self.assertEqual(self.origin.requests, [])


class DeniedClients(ProxyTest):
    config = {"access": {"allow_clients": ["127.0.0.0/8"], "deny_clients": ["127.0.0.1/32"]}}

    def test_deny_goes_before_allow(self):
        client = self.client()
        try:
            self.assertIn(client.exchange("GET", self.origin.url("/nothing")).status, (0, 403))
        except OSError:
            pass


class Defaults(ProxyTest):
    def test_without_configuration_private_destinations_are_refused(self):
        proxy = Tributary()
        del proxy.config["access"]
        self.addCleanup(proxy.remove)
        proxy.start()
        self.addCleanup(proxy.kill)
        self.assertEqual(self.get("/nothing", proxy=proxy).status, 403)
        client, reply = connect(proxy, f"127.0.0.1:{self.origin.port}")
        client.close()
        self.assertEqual(reply.status, 403)


if __name__ == "__main__":
    unittest.main()
