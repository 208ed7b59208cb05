"""What the proxy answers itself: status, Proxy-Status, and a body that a person understands, in the form asked for."""
import json
import socket
import unittest

from harness import DnsServer, ProxyTest, connect, free_port


class Errors(ProxyTest):
    @classmethod
    def setUpClass(cls):
        cls.dns = DnsServer({"missing.test": "nxdomain", "broken.test": "servfail", "silent.test": "silent",
                             "origin.test": ["127.0.0.1"]})
        cls.addClassCleanup(cls.dns.stop)
        cls.config = {
            "dns": {"servers": [cls.dns.address]},
            "timeout": {"dns": "1s", "connect": "1s", "first_byte": "1s", "read": "1s", "header": "1s", "idle": "1s"},
            "limit": {"header_size": "8KiB", "header_count": 50, "body_size": "100KiB"},
            "upstream": {"retries": 0},
        }
        super().setUpClass()

    def assert_error(self, reply, status, kind=None):
        self.assertTrue(reply.complete, reply)
        self.assertEqual(reply.status, status, reply)
        self.assertIn("via", [n.lower() for n, _ in reply.fields])
        if kind:
            self.assertRegex(reply.field("proxy-status", ""), rf"tributary.*;\s*error={kind}\b", reply)
        self.assertNotIn("stored", self.cache_status(reply))
        self.assertGreater(len(reply.body), 10)

    def test_connection_refused(self):
        reply = self.get(f"http://127.0.0.1:{free_port()}/")
        self.assert_error(reply, 502, "connection_refused")
        self.assertIn(b"127.0.0.1", reply.body)

    def test_connection_timeout(self):
        # A listener whose queue is full answers nobody.
        with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
            waiting = []
            for _ in range(4):
                s = socket.socket()
                s.setblocking(False)
                s.connect_ex(full.getsockname())
                waiting.append(s)
            reply = self.get(f"http://127.0.0.1:{full.getsockname()[1]}/")
            for s in waiting:
                s.close()
        self.assert_error(reply, 504, "connection_timeout")

    def test_a_name_that_does_not_exist(self):
        reply = self.get("http://missing.test/")
        self.assert_error(reply, 502, "dns_error")
        self.assertIn(b"missing.test", reply.body)

    def test_a_name_server_that_fails(self):
        self.assert_error(self.get("http://broken.test/"), 502, "dns_error")

    def test_a_name_server_that_is_silent(self):
        self.assert_error(self.get("http://silent.test/"), 504, "dns_timeout")

    def test_no_first_byte(self):
        self.origin.raw("/slow", 5.0)
        self.assert_error(self.get("/slow"), 504, "http_response_timeout|connection_read_timeout")

    def test_a_response_that_stops_half_way_is_aborted(self):
        self.origin.raw("/stops", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc", 5.0)
        self.assertFalse(self.get("/stops").complete)

    def test_a_malformed_response(self):
        self.origin.raw("/junk", b"junk\r\n\r\n")
        self.assert_error(self.get("/junk"), 502, "http_protocol_error")

    def test_a_response_head_that_is_too_large(self):
        self.origin.raw("/head", b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 40_000 + b"\r\nContent-Length: 0\r\n\r\n")
        self.assert_error(self.get("/head"), 502, r"http_response_header(_section)?_size|http_protocol_error")

    def test_the_body_is_html_json_or_text_as_accept_prefers(self):
        url = f"http://127.0.0.1:{free_port()}/"
        html = self.get(url, {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
        self.assertTrue(html.field("content-type").startswith("text/html"), html)
        self.assertIn(b"<html", html.body.lower())
        problem = self.get(url, {"Accept": "application/json"})
        self.assertEqual(problem.field("content-type"), "application/problem+json")
        told = json.loads(problem.body)
        self.assertEqual(told["status"], 502)
        self.assertTrue(told["title"] and told["detail"], told)
        for accept in ({}, {"Accept": "*/*"}, {"Accept": "text/plain, text/html;q=0.1"}):
            self.assertTrue(self.get(url, accept).field("content-type").startswith("text/plain"), accept)

    def test_an_error_page_does_not_carry_the_clients_markup(self):
        for url in ("http://missing.test/<script>alert(1)</script>", "http://missing.test/?q=<img/onerror=x>"):
            reply = self.fetch("GET", url, {"Accept": "text/html"})
            self.assertNotIn(b"<script>alert", reply.body)
            self.assertNotIn(b"<img/onerror", reply.body)

    def test_an_error_to_head_has_no_body(self):
        client = self.client()
        reply = client.exchange("HEAD", f"http://127.0.0.1:{free_port()}/")
        self.assertEqual((reply.status, reply.body), (502, b""))
        self.assertEqual(client.exchange("GET", self.origin.url("/nothing")).status, 404)

    def test_the_connection_goes_on_after_an_upstream_error(self):
        client = self.client()
        self.assertEqual(client.exchange("GET", f"http://127.0.0.1:{free_port()}/").status, 502)
        self.assert_content(client.exchange("GET", self.origin.url(self.path(100))), self.seed, 100)

    def test_too_large_a_head_is_431_and_too_many_fields_too(self):
        self.assertEqual(self.get("/echo", {"X": "y" * 9000}).status, 431)
        self.assertEqual(self.get("/echo", [(f"X-{i}", "1") for i in range(60)]).status, 431)

    def test_too_long_a_target_is_414_or_431(self):
        self.assertIn(self.get("/" + "x" * 10_000).status, (414, 431))

    def test_too_large_a_body_is_413(self):
        reply = self.fetch("POST", "/echo", (), b"x" * 110_000)
        self.assertEqual(reply.status, 413, reply)
        client = self.client()
        client.send(f"POST {self.origin.url('/echo')} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        try:
            for _ in range(12):
                client.send(b"2710\r\n" + b"x" * 10_000 + b"\r\n")
            client.send(b"0\r\n\r\n")
        except OSError:
            pass
        reply = client.read_response()
        self.assertIn(reply.status, (413, 0), reply)

    def test_a_head_that_does_not_come_is_408_or_a_close(self):
        client = self.client()
        client.send(b"GET http://x/ HTTP/1.1\r\nHos")
        reply = client.read_response()
        self.assertIn(reply.status, (0, 408), reply)
        self.assertTrue(client.at_end())

    def test_an_idle_connection_is_closed(self):
        client = self.client()
        client.exchange("GET", self.origin.url(self.path(10)))
        self.assertTrue(client.at_end())

    def test_a_client_that_says_nothing_is_closed(self):
        self.assertTrue(self.client().at_end())

    def test_a_connect_that_fails_has_a_body_too(self):
        client, reply = connect(self.proxy, "missing.test:443")
        client.close()
        self.assert_error(reply, 502, "dns_error")


if __name__ == "__main__":
    unittest.main()
