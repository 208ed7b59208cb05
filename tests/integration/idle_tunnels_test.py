"""Many idle tunnels beside active requests: memory, descriptors, loop lag, and nothing left afterwards (S0-H4; scaled down)."""
import resource
import socket
import threading
import unittest

from harness import ProxyTest, tunnel, wait_until
from harness.proxy import is_sanitized

COUNT = 1000


class Idle(ProxyTest):
    config = {"server": {"workers": 1}}

    @classmethod
    def setUpClass(cls):
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        super().setUpClass()
        cls.listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        cls.addClassCleanup(cls.listener.close)
        cls.held = []

        def hold():
            while True:
                try:
                    cls.held.append(cls.listener.accept()[0])
                except OSError:
                    return
        threading.Thread(target=hold, daemon=True).start()

    def open(self, count):
        clients = [tunnel(self.proxy, f"127.0.0.1:{self.listener.getsockname()[1]}") for _ in range(count)]
        for client in clients:
            self.addCleanup(client.close)
        return clients

    def test_idle_tunnels_cost_little_memory_and_leave_nothing(self):
        warm = self.open(200)
        before, descriptors = self.proxy.memory()[0], self.proxy.descriptors()
        clients = self.open(COUNT)
        self.assertEqual(self.proxy.metric("tributary_tunnels"), COUNT + 200)
        used = (self.proxy.memory()[0] - before) / COUNT
        if not is_sanitized():
            self.assertLess(used, 3000, "bytes of memory per idle tunnel")

        replies = self.at_once(30, lambda i: [self.get(self.path(1000, seed=f"{self.seed}{i}-{n}")).status for n in range(5)])
        self.assertEqual(replies, [[200] * 5] * 30)
        for client in clients[::50]:  # and they still work
            client.send(b"x")

        for client in warm + clients:
            client.close()
        for connection in self.held:
            connection.close()
        wait_until(lambda: self.proxy.metric("tributary_tunnels") == 0, 20, "no tunnel")
        wait_until(lambda: self.proxy.descriptors() <= descriptors, 20, "descriptors are back")

    def test_loops_do_not_lag(self):
        self.open(100)
        samples = self.proxy.metrics()
        count = sum(v for n, v in samples.items() if n.startswith("tributary_loop_lag_seconds_count"))
        late = count - max((v for n, v in samples.items() if n.startswith("tributary_loop_lag_seconds_bucket")
                            and float(n.split('le="')[1].split('"')[0].replace("+Inf", "inf")) <= 0.066), default=count)
        self.assertGreater(count, 0)
        if not is_sanitized():
            self.assertLessEqual(late, max(2, count * 0.01), "iterations over 50 ms")


if __name__ == "__main__":
    unittest.main()
