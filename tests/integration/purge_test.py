"""PURGE on the proxy port: from whom it is allowed, what it takes, and that it never goes any further (P-19)."""
import unittest

from harness import Client, ProxyTest


class Purge(ProxyTest):
    def purge(self, path, **options):
        return self.fetch("PURGE", path, **options)

    def test_what_is_purged_is_fetched_anew(self):
        path = self.path(5000)
        self.get(path)
        self.assert_hit(self.get(path))
        reply = self.purge(path)
        self.assertEqual((reply.status, reply.body), (200, b'{"objects": 1}\n'))
        again = self.get(path)
        self.assert_not_hit(again)
        self.assert_content(again, self.seed, 5000)
        self.assertNotIn("PURGE", [request.method for request in self.seen(path)])

    def test_what_is_not_stored_is_404(self):
        path = self.path(10, cc="no-store")
        self.get(path)
        self.assertEqual(self.purge(path).status, 404)
        self.assertEqual(len(self.seen(path)), 1, "PURGE was forwarded")

    def test_large_objects_and_every_variant_go(self):
        path = self.path(3_000_000, vary="X-Kind")
        for kind in ("a", "b"):
            self.get(path, [("X-Kind", kind)])
            self.assert_hit(self.get(path, [("X-Kind", kind)]))
        self.assertEqual(self.purge(path).body, b'{"objects": 2}\n')
        for kind in ("a", "b"):
            self.assert_not_hit(self.get(path, [("X-Kind", kind)]))

    def test_the_url_is_normalised_as_keys_are(self):
        path = self.path(100)
        self.get(path)
        url = self.origin.url(path).replace("http://", "HTTP://")
        self.assertEqual(self.purge(url).status, 200)
        self.assert_not_hit(self.get(path))

    def test_it_is_gone_for_every_worker_and_after_a_restart(self):
        path = self.path(200_000)
        self.get(path)
        self.at_once(8, lambda _: self.assert_hit(self.get(path)))
        self.assertEqual(self.purge(path).status, 200)
        self.proxy.restart()
        before = len(self.seen(path))
        self.assert_not_hit(self.get(path))
        self.assertEqual(len(self.seen(path)), before + 1)

    def test_purges_may_be_pipelined(self):
        paths = [self.path(100, seed=f"{self.seed}{i}") for i in range(20)]
        for path in paths:
            self.get(path)
        client = self.client()
        host = self.origin.url("/").split("/")[2]
        client.send("".join(f"PURGE {self.origin.url(p)} HTTP/1.1\r\nHost: {host}\r\n\r\n" for p in paths).encode())
        self.assertEqual([client.read_response().status for _ in paths], [200] * len(paths))

    def test_origin_form_and_nonsense_are_refused(self):
        client = self.client()
        client.send(b"PURGE /x HTTP/1.1\r\nHost: a.example\r\n\r\n")
        self.assertEqual(client.read_response().status, 400)
        self.assertIn(self.fetch("PURGE", "ftp://a.example/x").status, (400, 501))

    def test_content_with_it_is_read_past(self):
        path = self.path(100)
        self.get(path)
        self.assertEqual(self.purge(path, body=b"x" * 1000).status, 200)


class NotAllowed(ProxyTest):
    config = {"admin": {"allow_clients": ["127.0.0.1"]}}

    def test_others_get_403_and_it_is_not_forwarded(self):
        path = self.path(100)
        self.get(path)
        reply = self.fetch("PURGE", path, source="127.0.0.2")
        self.assertEqual(reply.status, 403)
        self.assertIn(b"admin.allow_clients", reply.body)
        self.assert_hit(self.get(path))
        self.assertEqual(len(self.seen(path)), 1)
        self.assertEqual(self.fetch("PURGE", path).status, 200)

    def test_others_do_not_reach_the_admin_listener_either(self):
        with Client(("127.0.0.1", self.proxy.admin_port), source="127.0.0.2") as client:
            self.assertEqual(client.exchange("GET", "/healthz", host="localhost").status, 0)


class NoCache(ProxyTest):
    config = {"cache": {"enabled": False}}

    def test_without_a_cache_it_is_404_and_not_forwarded(self):
        path = self.path(100)
        self.assertEqual(self.fetch("PURGE", path).status, 404)
        self.assertEqual(self.seen(path), [])


if __name__ == "__main__":
    unittest.main()
