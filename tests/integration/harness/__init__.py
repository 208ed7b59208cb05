"""What the integration tests share: the proxy under test, clients that see every byte, origins real and scripted.

    class Something(ProxyTest):
        config = {"cache": {"size": "64MiB"}}

        def test_a_sentence_about_behaviour(self):
            reply = self.get("/bytes/1000/a?cc=max-age=60")
            self.assertEqual(reply.status, 200)

Every process is started here and stopped by its own pid; every wait has an end.
"""
from .disk import Disk
from .load import Load
from .client import Client, Response, connect, socks4, socks5, tunnel
from .nginx import Nginx
from .proxy import Tributary, free_port, wait_until
from .dns import DnsServer
from .testcase import Close, Origin, ProxyTest, Reset, content, sha256

__all__ = ["Client", "Close", "Disk", "DnsServer", "Load", "Nginx", "Origin", "ProxyTest", "Reset", "Response", "Tributary", "connect", "content", "free_port",
           "sha256", "socks4", "socks5", "tunnel", "wait_until"]
