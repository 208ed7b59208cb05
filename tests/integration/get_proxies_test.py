"""`tributary get` through proxies: squid and tributary by HTTP and HTTPS, microsocks, dante and tributary by SOCKS5, with nginx as the
origin; the environment, credentials, failures (P-14, S3-4.8)."""
import os
import shutil
import tempfile

from harness import Nginx, Tributary, free_port
from harness.downloader import MIB, GetTest
from harness.peers import CREDENTIALS, PASSWORD, USER, Dante, Microsocks, Squid, certificate

SIZE = 24 * MIB


class Proxies(GetTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.folder = tempfile.mkdtemp(prefix="tributary-proxies-")
        cls.addClassCleanup(shutil.rmtree, cls.folder, True)
        os.chmod(cls.folder, 0o755)
        cls.cert, key = certificate(cls.folder)
        cls.tls_port = free_port()
        cls.nginx = Nginx(pace=6 * MIB, extra=f"listen 127.0.0.1:{cls.tls_port} ssl; ssl_certificate {cls.cert}; ssl_certificate_key {key};")
        cls.addClassCleanup(cls.nginx.stop)
        cls.nginx.start()
        cls.data = os.urandom(SIZE)
        cls.nginx.put("file", cls.data)
        cls.nginx.put("small", b"small")
        cls.squid = Squid(cls.cert, key)
        cls.addClassCleanup(cls.squid.stop)
        cls.tributary = Tributary({"access": {"connect_ports": ["*"], "allow_private": True}}).start()
        cls.addClassCleanup(cls.tributary.remove)
        cls.addClassCleanup(cls.tributary.stop)

    def plain(self, name="file"):
        return self.nginx.url(f"/{name}")

    def secure(self, name="file"):
        return f"https://127.0.0.1:{self.tls_port}/{name}"  # "localhost" may be ::1 alone to a peer that takes the first address

    def assert_there(self, name="file"):
        self.assertEqual(self.files(), [name])
        with open(self.path(name), "rb") as f:
            self.assertEqual(f.read(), self.data if name == "file" else b"small")
        os.remove(self.path(name))

    def through(self, proxy):
        """A split download by http and by https, whose connections all go through the proxy."""
        for url in (self.plain(), self.secure()):
            with self.subTest(proxy.split("@")[-1], url=url):
                before = len(self.nginx.log("/file"))
                self.get("--proxy", proxy, "--ca-file", self.cert, url)
                self.assert_there()
                requests = self.nginx.log("/file")[before:]
                self.assertGreater(len({row[4] for row in requests}), 2, "it was not split")

    def test_squid_by_http(self):
        before = len(self.squid.log())
        self.through(f"http://127.0.0.1:{self.squid.port}")
        methods = {method for method, _ in self.squid.log()[before:]}
        self.assertEqual(methods, {"GET", "CONNECT"})

    def test_squid_by_https(self):
        before = len(self.squid.log())
        self.through(f"https://localhost:{self.squid.tls_port}")
        self.assertEqual({method for method, _ in self.squid.log()[before:]}, {"GET", "CONNECT"})

    def test_squid_with_credentials(self):
        self.through(f"http://{CREDENTIALS}@127.0.0.1:{self.squid.locked_port}")

    def test_microsocks(self):
        peer = Microsocks()
        self.addCleanup(peer.stop)
        self.through(f"socks5://127.0.0.1:{peer.port}")

    def test_microsocks_with_credentials(self):
        peer = Microsocks(USER, PASSWORD)
        self.addCleanup(peer.stop)
        self.through(f"socks5h://{CREDENTIALS}@127.0.0.1:{peer.port}")

    def test_dante(self):
        peer = Dante()
        self.addCleanup(peer.stop)
        self.through(f"socks5h://127.0.0.1:{peer.port}")

    def test_tributary_by_http_and_socks(self):
        for scheme in ("http", "socks5"):
            for url in (self.plain(), self.secure()):
                with self.subTest(scheme, url=url):
                    self.get("--proxy", f"{scheme}://127.0.0.1:{self.tributary.port}", "--ca-file", self.cert, url)
                    self.assert_there()
        self.assertGreater(self.tributary.metric("tributary_client_connections_total", protocol="socks5"), 0)

    def test_a_certificate_of_the_proxy_that_is_not_trusted(self):
        self.get("--proxy", f"https://localhost:{self.squid.tls_port}", self.plain("small"), status=5)
        self.assertIn("the proxy https://localhost", self.err)

    def test_the_wrong_credentials_are_status_6_and_never_shown(self):
        peer = Microsocks(USER, PASSWORD)
        self.addCleanup(peer.stop)
        locked = f"127.0.0.1:{self.squid.locked_port}"
        for proxy in (f"http://{locked}", f"http://someone:wrongsecret@{locked}", f"socks5://127.0.0.1:{peer.port}",
                      f"socks5://someone:wrongsecret@127.0.0.1:{peer.port}"):
            for url in (self.plain("small"), self.secure("small")):
                with self.subTest(proxy, url=url):
                    self.get("-v", "--proxy", proxy, "--ca-file", self.cert, url, status=6)
                    self.assertIn("it wants credentials", self.err)
                    self.assertNotIn("wrongsecret", self.err)
                    self.assertEqual(self.files(), [])

    def test_failures_say_whose_they_are(self):
        nobody = free_port()
        self.get("--proxy", f"127.0.0.1:{nobody}", self.plain("small"), status=4)
        self.assertIn(f"the proxy http://127.0.0.1:{nobody}: the connection was refused", self.err)
        self.get("--proxy", f"http://127.0.0.1:{self.squid.port}", f"https://127.0.0.1:{nobody}/", status=4)
        self.assertRegex(self.err, r"the proxy http://127.0.0.1:\d+: it does not connect us \(503\)")
        peer = Microsocks()
        self.addCleanup(peer.stop)
        self.get("--proxy", f"socks5://127.0.0.1:{peer.port}", f"http://127.0.0.1:{nobody}/", status=4)
        self.assertIn(f"http://127.0.0.1:{nobody}: the connection was refused", self.err)
        self.get("--proxy", "gopher://127.0.0.1", self.plain("small"), status=2)
        self.assertIn("scheme", self.err)

    def test_the_environment_and_what_overrules_it(self):
        squid, nobody = f"127.0.0.1:{self.squid.port}", f"127.0.0.1:{free_port()}"
        log = lambda: len(self.squid.log())
        for arguments, environment, goes_through in (
                ([], {"http_proxy": squid}, True),
                ([], {"all_proxy": f"http://{squid}"}, True),
                ([], {"HTTP_PROXY": nobody}, False),
                ([], {"http_proxy": nobody, "no_proxy": "127.0.0.0/8"}, False),
                (["--no-proxy", ""], {"http_proxy": squid, "no_proxy": "*"}, True),
                (["--no-proxy", "127.0.0.1"], {"http_proxy": nobody}, False),
                (["--proxy", squid], {"http_proxy": nobody}, True),
                (["--proxy", squid], {"no_proxy": "127.0.0.1"}, False),
                (["--proxy", ""], {"http_proxy": nobody}, False)):
            with self.subTest(arguments=arguments, environment=environment):
                before = log()
                self.get(*arguments, self.plain("small"), environment=environment)
                self.assert_there("small")
                self.assertEqual(log() > before, goes_through)
        self.get(self.plain("small"), environment={"http_proxy": "ftp://u:secretive@h"}, status=2)
        self.assertNotIn("secretive", self.err)

    def test_an_interrupted_download_is_continued_through_another_proxy(self):
        self.interrupt_midway("-x", "2", "--proxy", f"127.0.0.1:{self.squid.port}", self.plain(), name="file", at_least=2 * MIB)
        before = sum(row[3] for row in self.nginx.log("/file"))
        self.get("-c", "--proxy", f"socks5://127.0.0.1:{self.tributary.port}", self.plain())
        self.assert_there()
        self.assertLess(sum(row[3] for row in self.nginx.log("/file")) - before, SIZE)
