"""The admin listener: health, metrics, statistics; and that they tell what happened."""
import json
import unittest

from harness import Client, ProxyTest, wait_until


class Admin(ProxyTest):
    def test_health_and_readiness(self):
        self.assertEqual(self.proxy.admin("/healthz")[0], 200)
        self.assertEqual(self.proxy.admin("/readyz")[0], 200)

    def test_metrics_are_prometheus_text_with_the_agreed_names(self):
        self.get(self.path(1000))
        self.get(self.path(1000))
        status, fields, body = self.proxy.admin("/metrics")
        self.assertEqual(status, 200)
        self.assertTrue(fields["content-type"].startswith("text/plain; version=0.0.4"), fields)
        text = body.decode()
        for name in ("tributary_build_info", "tributary_client_connections", "tributary_client_connections_total",
                     "tributary_client_bytes_total", "tributary_requests_total", "tributary_request_duration_seconds_bucket",
                     "tributary_tunnels", "tributary_upstream_connections", "tributary_upstream_connects_total",
                     "tributary_upstream_reuse_total", "tributary_upstream_bytes_total", "tributary_dns_queries_total",
                     "tributary_cache_objects", "tributary_cache_bytes", "tributary_cache_size_bytes",
                     "tributary_cache_evictions_total", "tributary_cache_stored_bytes_total", "tributary_cache_saved_bytes_total",
                     "tributary_cache_corrupt_total", "tributary_downloads", "tributary_download_connections",
                     "tributary_loop_lag_seconds_bucket", "tributary_offload_queue_depth", "process_resident_memory_bytes",
                     "process_open_fds", "process_max_fds", "process_start_time_seconds", "process_cpu_seconds_total"):
            self.assertRegex(text, rf"(?m)^{name}[ {{]", name)
        for line in text.splitlines():
            self.assertRegex(line, r'^(# (HELP|TYPE|UNIT|EOF).*|[a-zA-Z_:][\w:]*(\{.*\})? [-+\w.]+)$')

    def test_histograms_are_cumulative_and_end_in_inf(self):
        self.get(self.path(10))
        samples = self.proxy.metrics()
        buckets = [(n, v) for n, v in samples.items() if n.startswith("tributary_request_duration_seconds_bucket")]
        by_label = {}
        for name, value in buckets:
            by_label.setdefault(name.replace("le=", "").rsplit('"', 3)[0], []).append(value)
        self.assertTrue(any('le="+Inf"' in n for n, _ in buckets))
        for values in by_label.values():
            self.assertEqual(values, sorted(values))

    def test_requests_are_counted_by_what_the_cache_did(self):
        def counted(cache):
            return self.proxy.metric("tributary_requests_total", cache=cache, method="GET", status="200")
        path = self.path(2000)
        before = counted("miss"), counted("hit"), self.proxy.metric("tributary_cache_saved_bytes_total")
        self.get(path)
        self.get(path)
        wait_until(lambda: (counted("miss"), counted("hit")) == (before[0] + 1, before[1] + 1), 5, "one miss, one hit")
        self.assertGreaterEqual(self.proxy.metric("tributary_cache_saved_bytes_total"), before[2] + 2000)

    def test_gauges_return_to_zero(self):
        clients = [self.client() for _ in range(10)]
        for client in clients:
            client.exchange("GET", self.origin.url(self.path(10)))
        self.assertGreaterEqual(self.proxy.metric("tributary_client_connections"), 10)
        for client in clients:
            client.close()
        wait_until(lambda: self.proxy.metric("tributary_client_connections") == 0, 10, "no client connection")

    def test_stats_are_one_json_document(self):
        status, fields, body = self.proxy.admin("/api/v1/stats")
        self.assertEqual(status, 200)
        self.assertTrue(fields["content-type"].startswith("application/json"))
        self.assertIsInstance(json.loads(body), dict)

    def test_errors_are_problem_documents(self):
        status, fields, body = self.proxy.admin("/api/v1/nothing")
        self.assertEqual(status, 404)
        self.assertEqual(fields["content-type"], "application/problem+json")
        self.assertEqual(json.loads(body)["status"], 404)
        status, fields, _ = self.proxy.admin("/metrics", method="POST", body=b"x")
        self.assertEqual(status, 405)
        self.assertIn("GET", fields["allow"])

    def test_head_has_no_content(self):
        status, _, body = self.proxy.admin("/metrics", method="HEAD")
        self.assertEqual((status, body), (200, b""))

    def test_a_foreign_host_field_is_refused(self):
        # A page of another site whose name was rebound to 127.0.0.1 must not read the admin API (V-13).
        with Client(("127.0.0.1", self.proxy.admin_port)) as client:
            self.assertIn(client.exchange("GET", "/api/v1/stats", host="evil.example").status, (400, 403, 421))
        with Client(("127.0.0.1", self.proxy.admin_port)) as client:
            self.assertEqual(client.exchange("GET", "/healthz", host="localhost").status, 200)

    def test_malformed_requests_are_closed(self):
        for data in (b"\0\1\2\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/1.1\r\nX" + b"y" * 100_000):
            with Client(("127.0.0.1", self.proxy.admin_port)) as client:
                try:
                    client.send(data)
                except OSError:
                    pass
                reply = client.read_response()
                self.assertIn(reply.status, (0, 400, 414, 431), reply)

    def test_keep_alive_and_pipelining_work_here_too(self):
        with Client(("127.0.0.1", self.proxy.admin_port)) as client:
            client.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n" * 3)
            for _ in range(3):
                self.assertEqual(client.read_response().status, 200)

    def test_no_state_machine_took_an_edge_that_is_not_in_its_table(self):
        self.assertEqual(self.proxy.metric("tributary_illegal_transitions_total"), 0)


class AccessLog(ProxyTest):
    config = {"log": {"access_format": "json"}}

    def test_every_request_is_one_line_that_parses(self):
        path = self.path(1234)
        self.get(path, {"User-Agent": 'quote" and \n newline'.replace("\n", "tab\t")})
        self.get(path)

        def lines():
            with open(self.proxy.access_log_path, encoding="utf-8") as f:
                return [json.loads(line) for line in f if path in line]
        wait_until(lambda: len(lines()) == 2, 5, "two lines")

    def test_what_peers_wrote_cannot_forge_a_line(self):
        self.get("/x%0a127.0.0.1%20forged", {"Referer": "a\tb", "User-Agent": "\xff\"\\"})
        wait_until(lambda: "forged" in self.proxy.access_log(), 5, "the line")
        for line in self.proxy.access_log().splitlines():
            json.loads(line)


if __name__ == "__main__":
    unittest.main()
