"""The HTTP forward proxy as RFC 9110 and 9112 want it: fields, bodies, connections, interim responses (P-2, S0-2.2, S4-6.*)."""
import hashlib
import json
import os
import unittest

from harness import ProxyTest, content

HOP_BY_HOP = {"Connection": "close, X-Private", "X-Private": "1", "Keep-Alive": "timeout=5", "Proxy-Connection": "keep-alive",
              "TE": "trailers", "Upgrade": "h2c", "Proxy-Authorization": "Basic eDp5"}


class Fields(ProxyTest):
    def echo(self, method="GET", fields=(), body=b"", **options):
        reply = self.fetch(method, "/echo", fields, body, **options)
        self.assertEqual(reply.status, 200, reply)
        return json.loads(reply.body)

    def test_hop_by_hop_fields_do_not_pass_to_the_origin(self):
        names = {n.lower() for n, _ in self.echo(fields=HOP_BY_HOP)["fields"]}
        for name in ("x-private", "keep-alive", "proxy-connection", "upgrade", "proxy-authorization"):
            self.assertNotIn(name, names)

    def test_hop_by_hop_fields_do_not_pass_to_the_client(self):
        self.origin.raw("/hop", b"HTTP/1.1 200 OK\r\nConnection: X-Private\r\nX-Private: 1\r\nKeep-Alive: timeout=5\r\n"
                        b"Proxy-Authenticate: Basic\r\nX-Public: 1\r\nContent-Length: 0\r\n\r\n")
        reply = self.get("/hop")
        self.assertIsNone(reply.field("x-private"))
        self.assertNotIn("timeout=5", reply.field("keep-alive", ""))
        self.assertEqual(reply.field("x-public"), "1")

    def test_end_to_end_fields_pass_in_order_with_duplicates(self):
        sent = [("X-A", "1"), ("X-B", "two words"), ("X-A", "3"), ("Accept", "*/*"), ("X-Empty", ""), ("Cookie", "a=b")]
        arrived = self.echo(fields=sent)["fields"]
        self.assertEqual([(n, v) for n, v in arrived if (n, v) in sent], sent)

    def test_via_is_added_in_both_directions(self):
        reply = self.fetch("GET", "/echo", {"Via": "1.0 before"})
        told = json.loads(reply.body)
        via = [v for n, v in told["fields"] if n.lower() == "via"]
        self.assertRegex(", ".join(via), r"^1\.0 before, 1\.1 .*tributary")
        self.assertRegex(reply.field("via"), r"^1\.1 .*tributary")

    def test_the_request_goes_out_in_origin_form_with_the_targets_host(self):
        client = self.client()
        told = json.loads(client.exchange("GET", self.origin.url("/echo"), host="other.example").body)
        self.assertEqual(told["target"], "/echo")
        self.assertEqual([v for n, v in told["fields"] if n.lower() == "host"], [f"127.0.0.1:{self.origin.port}"])

    def test_the_target_passes_as_the_client_wrote_it(self):
        async def tell(request, connection):
            await connection.reply(request, 200, [("Cache-Control", "no-store")], request.target.encode())
        for target in ("/a%2Fb/../c/./d", "/x?y=%20&z=|[]{}", "/~u/;p=1", "/?", "//double", "/%E4%B8%AD"):
            self.origin.on(target.partition("?")[0], tell)
            reply = self.get(target)
            self.assertEqual(reply.body, target.encode(), reply)

    def test_an_empty_path_becomes_a_slash(self):
        async def tell(request, connection):
            await connection.reply(request, 200, [("Cache-Control", "no-store")], request.target.encode())
        self.origin.on("/", tell)
        for target in ("", "?q=1"):
            self.assertEqual(self.get(self.origin.url(target)).body, b"/" + target.encode())

    def test_every_method_passes(self):
        for method in ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND", "REPORT", "FOO"):
            body = b"content" if method in ("POST", "PUT", "PATCH", "REPORT") else b""
            told = self.echo(method, body=body)
            self.assertEqual(told["method"], method)
            self.assertEqual(told["body_size"], len(body))

    def test_max_forwards_zero_ends_here(self):
        for method in ("TRACE", "OPTIONS"):
            reply = self.fetch(method, "/echo", {"Max-Forwards": "0"})
            self.assertLess(reply.status, 500, reply)
        self.assertEqual(self.origin.seen("/echo-never"), [])
        told = self.echo("OPTIONS", {"Max-Forwards": "5"})
        self.assertEqual([v for n, v in told["fields"] if n.lower() == "max-forwards"], ["4"])

    def test_a_request_to_the_proxy_itself_is_refused(self):
        for url in (f"http://127.0.0.1:{self.proxy.port}/", f"http://127.0.0.1:{self.proxy.port}/x"):
            self.assertIn(self.fetch("GET", url).status, (403, 508))

    def test_our_own_via_is_a_loop(self):
        own = self.get("/echo").field("via").split(",")[-1].strip()
        reply = self.get("/echo", {"Via": own})
        self.assertEqual(reply.status, 508, reply)

    def test_origin_form_gets_a_page_that_says_how_to_use_the_proxy(self):
        client = self.client()
        reply = client.exchange("GET", "/", {"Accept": "text/html"}, host=f"127.0.0.1:{self.proxy.port}")
        self.assertIn(reply.status, (200, 400), reply)
        self.assertIn(b"proxy", reply.body.lower())

    def test_unknown_schemes_are_refused_clearly(self):
        for url in ("ftp://127.0.0.1/x", "gopher://127.0.0.1/"):
            reply = self.fetch("GET", url)
            self.assertIn(reply.status, (400, 501), reply)


class Bodies(ProxyTest):
    def test_a_large_upload_arrives_exactly(self):
        body = os.urandom(1 << 20) * 8
        told = json.loads(self.fetch("POST", "/echo", (), body).body)
        self.assertEqual(told["body_sha256"], hashlib.sha256(body).hexdigest())

    def test_a_chunked_upload_arrives_exactly(self):
        client = self.client()
        body = os.urandom(300_000)
        client.send(f"PUT {self.origin.url('/echo')} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        for at in range(0, len(body), 7777):
            part = body[at:at + 7777]
            client.send(b"%x;ext=1\r\n%s\r\n" % (len(part), part))
        client.send(b"0\r\nX-Trailer: 1\r\n\r\n")
        told = json.loads(client.read_response().body)
        self.assertEqual(told["body_sha256"], hashlib.sha256(body).hexdigest())

    def test_expect_100_continue_is_honoured(self):
        client = self.client()
        body = b"x" * 10_000
        client.send(f"POST {self.origin.url('/echo')} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
                    "Expect: 100-continue\r\n\r\n".encode())
        self.assertIn(b" 100 ", client.read_until(b"\r\n\r\n"))
        client.send(body)
        self.assertEqual(json.loads(client.read_response().body)["body_size"], len(body))

    def test_a_chunked_response_arrives_whole_with_its_trailers(self):
        path = self.path(200_000, cc="no-store", trailer="X-Check:done")
        reply = self.get(path, {"TE": "trailers"})
        self.assert_content(reply, self.seed, 200_000)
        if reply.field("transfer-encoding"):
            self.assertIn(("X-Check", "done"), reply.trailers)

    def test_early_hints_are_relayed(self):
        reply = self.get(self.path(1000, early=103))
        self.assert_content(reply, self.seed, 1000)
        self.assertEqual([status for status, _ in reply.interim], [103])

    def test_a_100_that_nobody_asked_for_disturbs_nothing(self):
        self.assert_content(self.get(self.path(1000, early=100)), self.seed, 1000)

    def test_bodyless_statuses_have_no_body(self):
        for status in (204, 304):
            self.origin.raw(f"/{status}", f"HTTP/1.1 {status} X\r\nX: 1\r\n\r\n".encode())
            with self.client() as client:
                for _ in range(2):
                    self.assertEqual(client.exchange("GET", self.origin.url(f"/{status}")).status, status)

    def test_an_upgrade_becomes_a_tunnel(self):
        async def upgrade(request, connection):
            assert request.field("upgrade") == "websocket", request.fields
            await connection.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nfirst")
            while data := await connection.reader.read(1000):
                await connection.send(data.upper())
            connection.closing = True
        self.origin.on("/socket", upgrade)
        client = self.client()
        client.request("GET", self.origin.url("/socket"), {"Connection": "Upgrade", "Upgrade": "websocket"})
        head = client.read_until(b"\r\n\r\n")
        self.assertTrue(head.startswith(b"HTTP/1.1 101"), head)
        self.assertEqual(client.read_exactly(5), b"first")
        client.send(b"hello")
        self.assertEqual(client.read_exactly(5), b"HELLO")


class Connections(ProxyTest):
    def test_one_connection_serves_hits_misses_and_errors_in_turn(self):
        client = self.client()
        for i in range(30):
            path = self.path(100 + i, seed=f"{self.seed}-{i % 5}")
            reply = client.exchange("GET", self.origin.url(path))
            self.assert_content(reply, f"{self.seed}-{i % 5}", 100 + i)
            if i % 10 == 9:
                self.assertEqual(client.exchange("GET", self.origin.url("/nothing")).status, 404)

    def test_a_hundred_pipelined_requests_are_answered_in_order(self):
        client = self.client()
        sizes = [(i * 997) % 20_000 for i in range(100)]
        self.get(self.path(sizes[3], seed=f"{self.seed}-3"))  # a hit between misses
        client.send(b"".join(
            f"GET {self.origin.url(self.path(size, seed=f'{self.seed}-{i}'))} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
            for i, size in enumerate(sizes)))
        for i, size in enumerate(sizes):
            self.assert_content(client.read_response(), f"{self.seed}-{i}", size)

    def test_a_pipelined_request_behind_an_upload_is_served(self):
        self.get(self.path(10, cc="no-store"))  # if the origin closed a kept connection this very moment, a GET may meet it
        client = self.client()
        url = self.origin.url("/echo")
        client.send(f"POST {url} HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
                    f"GET {url} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        self.assertEqual(json.loads(client.read_response().body)["method"], "POST")
        self.assertEqual(json.loads(client.read_response().body)["method"], "GET")

    def test_close_is_obeyed(self):
        client = self.client()
        reply = client.exchange("GET", self.origin.url(self.path(100)), {"Connection": "close"})
        self.assertEqual(reply.field("connection", "").lower(), "close")
        self.assertTrue(client.at_end())

    def test_http_1_0_closes_by_default_and_gets_no_chunks(self):
        client = self.client()
        client.send(f"GET {self.origin.url(self.path(5000, chunked=1))} HTTP/1.0\r\n\r\n".encode())
        reply = client.read_response()
        self.assertIsNone(reply.field("transfer-encoding"))
        self.assert_content(reply, self.seed, 5000)
        self.assertTrue(client.at_end())

    def test_http_1_0_keep_alive_is_kept_when_asked(self):
        client = self.client()
        url = self.origin.url(self.path(50))
        for _ in range(2):
            client.send(f"GET {url} HTTP/1.0\r\nConnection: keep-alive\r\n\r\n".encode())
            reply = client.read_response()
            self.assert_content(reply, self.seed, 50)
            if reply.field("connection", "").lower() != "keep-alive":
                break

    def test_requests_in_single_bytes_are_read(self):
        client = self.client()
        for byte in f"GET {self.origin.url(self.path(100))} HTTP/1.1\r\nHost: x\r\n\r\n".encode():
            client.send(bytes([byte]))
        self.assert_content(client.read_response(), self.seed, 100)

    def test_what_is_no_protocol_of_ours_is_closed(self):
        for data in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 40, b"\0\0\0\0\r\n\r\n", b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
                     b"\xff" * 100 + b"\r\n\r\n"):
            with self.subTest(data[:8]):
                client = self.client()
                client.send(data)
                self.assertIn(client.read_response().status, (0, 400, 505))
                self.assertTrue(client.at_end())

    def test_empty_lines_before_a_request_are_skipped(self):
        client = self.client()
        client.send(f"\r\n\r\nGET {self.origin.url(self.path(100))} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        self.assert_content(client.read_response(), self.seed, 100)

    def test_a_client_that_half_closes_still_gets_its_answer(self):
        client = self.client()
        client.request("GET", self.origin.url(self.path(50_000, delay=0.2)))
        client.finish_sending()
        self.assert_content(client.read_response(), self.seed, 50_000)

    def test_upstream_connections_are_reused(self):
        before = self.origin.connections
        client = self.client()
        for i in range(20):
            client.exchange("GET", self.origin.url(self.path(10, cc="no-store", seed=f"{self.seed}{i}")))
        self.assertLessEqual(self.origin.connections - before, 2)
        self.assertGreater(self.proxy.metric("tributary_upstream_reuse_total"), 10)

    def test_a_kept_connection_that_the_origin_closed_costs_the_client_nothing(self):
        client = self.client()
        for i in range(10):
            path = self.path(10, cc="no-store", seed=f"{self.seed}{i}")
            self.assert_content(client.exchange("GET", self.origin.url(path)), f"{self.seed}{i}", 10)
            self.origin.close_idle()

    def test_a_connection_that_dies_as_the_request_arrives_is_retried_once_for_get_and_never_for_post(self):
        async def die_on_kept(request, connection):
            if len([r for r in self.origin.requests if r.connection == connection.number]) > 1:
                raise ConnectionError
            await connection.reply(request, 200, [("Cache-Control", "no-store")], b"ok")
        self.origin.on("/dies", die_on_kept)
        client = self.client()
        for _ in range(5):
            self.assertEqual(client.exchange("GET", self.origin.url("/dies")).status, 200)
        self.assertGreater(self.proxy.metric("tributary_upstream_retries_total"), 0)
        posts = []
        for _ in range(4):
            posts.append(client.exchange("POST", self.origin.url("/dies"), (), b"once").status)
        bodies = [r for r in self.origin.seen("/dies") if r.method == "POST"]
        self.assertLessEqual(len(bodies), len(posts), "a POST was sent twice")

    def test_a_body_streams_while_it_arrives(self):
        path = self.path(3000, cc="no-store", piece=1000, gap=0.5)
        client = self.client()
        client.request("GET", self.origin.url(path))
        client.read_head()
        self.assertEqual(client.read_exactly(1000), content(self.seed, 0, 1000))
        self.assertLess(self.origin.seen(path.partition("?")[0])[0].sent, 3000)


if __name__ == "__main__":
    unittest.main()
