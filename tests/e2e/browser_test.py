"""Headless Chromium browses through the proxy: plain HTTP, HTTPS through CONNECT, and SOCKS5."""
import os
import shutil
import subprocess
import tempfile
import unittest

from harness import Nginx, ProxyTest, free_port

PAGE = """<!DOCTYPE html><html><head><title>page</title><link rel="stylesheet" href="style.css"></head><body>
<p id="out">waiting</p>
<script src="script.js"></script>
<script>fetch("data.json").then(r => r.json()).then(d => { document.getElementById("out").textContent = value + d.value; });</script>
</body></html>"""


class Browser(ProxyTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.folder = tempfile.mkdtemp(prefix="tributary-browser-")
        cls.addClassCleanup(shutil.rmtree, cls.folder, True)
        os.chmod(cls.folder, 0o755)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                        "-keyout", f"{cls.folder}/key.pem", "-out", f"{cls.folder}/cert.pem", "-subj", "/CN=localhost"],
                       check=True, capture_output=True, timeout=30)
        cls.tls_port = free_port()
        cls.nginx = Nginx(extra=f"listen 127.0.0.1:{cls.tls_port} ssl; ssl_certificate {cls.folder}/cert.pem; "
                                f"ssl_certificate_key {cls.folder}/key.pem; expires 1h;")
        cls.addClassCleanup(cls.nginx.stop)
        cls.nginx.start()
        for name, text in (("page.html", PAGE), ("style.css", "p { color: green }"), ("script.js", "const value = 'all is ';"),
                           ("data.json", '{"value": "well"}')):
            cls.nginx.put(name, text.encode())

    def browse(self, proxy, url):
        """The page's document after its scripts ran."""
        profile = tempfile.mkdtemp(dir=self.folder)
        done = subprocess.run(
            [os.environ["PROGRAM"], "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
             f"--user-data-dir={profile}", f"--proxy-server={proxy}", "--proxy-bypass-list=<-loopback>",
             "--ignore-certificate-errors", "--virtual-time-budget=15000", "--timeout=30000", "--dump-dom", url],
            capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL, env={"PATH": os.environ["PATH"], "HOME": profile})
        return done.stdout

    def test_plain_http_https_through_connect_and_both_through_socks5(self):
        http, socks = f"http://127.0.0.1:{self.proxy.port}", f"socks5://127.0.0.1:{self.proxy.port}"
        plain, tls = self.nginx.url("/page.html"), f"https://127.0.0.1:{self.tls_port}/page.html"
        for proxy, url in ((http, plain), (http, tls), (socks, plain), (socks, tls)):
            with self.subTest(f"{proxy} {url}"):
                self.assertIn("all is well", self.browse(proxy, url))
        self.assertGreater(self.proxy.metric("tributary_requests_total", protocol="connect"), 0)
        self.assertGreater(self.proxy.metric("tributary_client_connections_total", protocol="socks5"), 0)
        self.assertGreater(self.proxy.metric("tributary_client_connections_total", protocol="http"), 0)


if __name__ == "__main__":
    unittest.main()
