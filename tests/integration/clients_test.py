"""Programs that people use, pointed at the proxy: curl, wget, apt, git, pip (issue: what it must show, 1 and 6)."""
import gzip
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

from harness import Nginx, ProxyTest, content


def run(*command, environment=None, timeout=60, check=True, **options):
    clean = {k: v for k, v in os.environ.items() if "proxy" not in k.lower()}
    done = subprocess.run(command, capture_output=True, timeout=timeout, stdin=subprocess.DEVNULL,
                          env={**clean, "LC_ALL": "C", "HOME": "/nonexistent", **(environment or {})}, **options)
    if check and done.returncode:
        raise AssertionError(f"{command}: {done.returncode}\n{done.stdout.decode(errors='replace')}\n{done.stderr.decode(errors='replace')}")
    return done


class WithFolder(ProxyTest):
    def setUp(self):
        super().setUp()
        self.dir = tempfile.mkdtemp(prefix="tributary-client-")
        os.chmod(self.dir, 0o755)
        self.addCleanup(shutil.rmtree, self.dir, True)

    def temp(self, name):
        return os.path.join(self.dir, name)

    def read(self, name):
        with open(self.temp(name), "rb") as f:
            return f.read()


class Downloads(WithFolder):
    config = {"accelerate": {"min_size": "2MiB"}}

    def test_curl_through_http_and_socks(self):
        size = 3_000_000
        url = self.origin.url(self.path(size))
        host = f"127.0.0.1:{self.proxy.port}"
        for option in (["-x", f"http://{host}"], ["--socks4", host], ["--socks4a", host], ["--socks5", host],
                       ["--socks5-hostname", host], ["-p", "-x", f"http://{host}"]):
            with self.subTest(option):
                run("curl", "-sSf", "--noproxy", "", *option, url, "-o", self.temp("out"))
                self.assertEqual(self.read("out"), content(self.seed, 0, size))

    def test_curl_resumes(self):
        size = 500_000
        with open(self.temp("out"), "wb") as f:
            f.write(content(self.seed, 0, 200_000))
        run("curl", "-sSf", "--noproxy", "", "-x", self.proxy.url, "-C", "-", self.origin.url(self.path(size)), "-o", self.temp("out"))
        self.assertEqual(self.read("out"), content(self.seed, 0, size))

    def test_curl_uploads_and_reuses_its_connection(self):
        with open(self.temp("in"), "wb") as f:
            f.write(os.urandom(2_000_000))
        for expect in ([], ["-H", "Expect: 100-continue"], ["-H", "Transfer-Encoding: chunked"]):
            done = run("curl", "-sSf", "--noproxy", "", "-x", self.proxy.url, *expect, "-T", self.temp("in"), self.origin.url("/echo"))
            self.assertIn(hashlib.sha256(self.read("in")).hexdigest(), done.stdout.decode())
        urls = [self.origin.url(self.path(1000, seed=f"{self.seed}{i}")) for i in range(10)]
        done = run("curl", "-sSf", "--noproxy", "", "-x", self.proxy.url, *urls, "-w", "%{num_connects}\\n", "-o", "/dev/null",
                   *["-o", "/dev/null"] * 9)
        self.assertEqual(sum(int(n) for n in done.stdout.split()), 1)

    def test_wget_downloads_and_mirrors_time_stamps(self):
        size = 2_500_000
        environment = {"http_proxy": self.proxy.url}
        for _ in range(2):
            run("wget", "-q", "-O", self.temp("out"), self.origin.url(self.path(size)), environment=environment)
            self.assertEqual(self.read("out"), content(self.seed, 0, size))
        self.assertEqual(self.get(self.path(size)).field("cache-status", "").count("hit"), 1)

    def test_python_urllib(self):
        script = "import sys, urllib.request as u; sys.stdout.buffer.write(u.urlopen(sys.argv[1]).read())"
        done = run(sys.executable, "-c", script, self.origin.url(self.path(100_000)),
                   environment={"http_proxy": self.proxy.url, "no_proxy": ""})
        self.assertEqual(done.stdout, content(self.seed, 0, 100_000))


class Https(WithFolder):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="tributary-tls-")
        cls.addClassCleanup(shutil.rmtree, cls.folder, True)
        os.chmod(cls.folder, 0o755)
        cls.cert, key = f"{cls.folder}/cert.pem", f"{cls.folder}/key.pem"
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-keyout", key,
            "-out", cls.cert, "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1")
        from harness import free_port
        cls.tls_port = free_port()
        cls.nginx = Nginx(extra=f"expires 1d; listen 127.0.0.1:{cls.tls_port} ssl; ssl_certificate {cls.cert}; ssl_certificate_key {key};")
        cls.addClassCleanup(cls.nginx.stop)
        cls.nginx.start()
        cls.data = os.urandom(3 << 20)
        cls.nginx.put("file", cls.data)
        cls.config = {"upstream": {"tls": {"ca_file": cls.cert}}}
        super().setUpClass()

    def test_curl_tunnels_https_through_connect_and_socks(self):
        url = f"https://localhost:{self.tls_port}/file"
        host = f"127.0.0.1:{self.proxy.port}"
        for option in (["-x", f"http://{host}"], ["--socks5-hostname", host], ["--socks5", host], ["--socks4a", host]):
            with self.subTest(option):
                run("curl", "-sSf", "--noproxy", "", *option, "--cacert", self.cert, url, "-o", self.temp("out"))
                self.assertEqual(self.read("out"), self.data)

    def test_an_https_url_in_absolute_form_is_fetched_over_tls_and_cached(self):
        url = f"https://localhost:{self.tls_port}/file"
        before = len(self.nginx.log("/file"))
        for _ in range(2):
            reply = self.get(url)
            self.assertEqual(reply.status, 200, reply)
            self.assertEqual(reply.body, self.data)
        self.assert_hit(reply)
        self.assertEqual(len(self.nginx.log("/file")), before + 1)
        self.assertGreater(self.proxy.metric("tributary_tls_handshakes_total", side="origin"), 0)

    def test_a_certificate_that_does_not_verify_is_502(self):
        proxy = self.start_proxy({})
        reply = self.get(f"https://localhost:{self.tls_port}/file", proxy=proxy)
        self.assertEqual(reply.status, 502, reply)
        self.assertIn("tls_certificate_error", reply.field("proxy-status"))
        reply = self.get(f"https://localhost:{self.nginx.port}/file", proxy=proxy)  # speaks no TLS
        self.assertEqual(reply.status, 502, reply)
        self.assertIn("tls_protocol_error", reply.field("proxy-status"))


class Apt(WithFolder):
    """A flat repository made here; apt runs with its own folders and touches nothing of the machine."""

    def make_repository(self, nginx, count=3):
        entries = []
        for i in range(count):
            name = f"tributary-test-{i}"
            root = self.temp(name)
            os.makedirs(f"{root}/DEBIAN")
            os.makedirs(f"{root}/usr/share/{name}")
            with open(f"{root}/usr/share/{name}/data", "wb") as f:
                f.write(os.urandom(200_000 * (i + 1)))
            control = f"Package: {name}\nVersion: 1.{i}\nArchitecture: all\nMaintainer: nobody <nobody@localhost>\nDescription: test {i}\n"
            with open(f"{root}/DEBIAN/control", "w") as f:
                f.write(control)
            run("dpkg-deb", "-Znone", "--root-owner-group", "-b", root, self.temp(f"{name}.deb"))
            data = self.read(f"{name}.deb")
            nginx.put(f"repo/pool/{name}.deb", data)
            entries.append(control + f"Filename: pool/{name}.deb\nSize: {len(data)}\nSHA256: {hashlib.sha256(data).hexdigest()}\n")
        packages = "\n".join(entries).encode()
        nginx.put("repo/Packages", packages)
        nginx.put("repo/Packages.gz", gzip.compress(packages))
        release = "Origin: test\nDate: Thu, 01 Jan 2026 00:00:00 UTC\nSHA256:\n"
        for name in ("Packages", "Packages.gz"):
            with open(os.path.join(nginx.files, "repo", name), "rb") as f:
                data = f.read()
            release += f" {hashlib.sha256(data).hexdigest()} {len(data)} {name}\n"
        nginx.put("repo/Release", release.encode())

    def apt(self, where, nginx, *arguments):
        """apt-get with everything of its own under `where`."""
        root = self.temp(where)
        for name in ("lists/partial", "archives/partial", "etc/preferences.d", "etc/apt.conf.d", "etc/sources.list.d", "dpkg"):
            os.makedirs(f"{root}/{name}", exist_ok=True)
        open(f"{root}/dpkg/status", "a").close()
        with open(f"{root}/etc/sources.list", "w") as f:
            f.write(f"deb [trusted=yes] {nginx.url('/repo')} ./\n")
        with open(f"{root}/apt.conf", "w") as f:
            f.write(f'Dir "/";\nDir::Etc "{root}/etc";\nDir::Etc::sourcelist "{root}/etc/sources.list";\n'
                    f'Dir::Etc::sourceparts "{root}/etc/sources.list.d";\nDir::State::lists "{root}/lists";\n'
                    f'Dir::State::status "{root}/dpkg/status";\nDir::Cache "{root}";\nDir::Cache::archives "{root}/archives";\n'
                    f'Dir::Log "{root}";\nDir::State "{root}";\nAPT::Sandbox::User "root";\nAcquire::Languages "none";\n'
                    f'Acquire::http::Proxy "{self.proxy.url}";\nAPT::Architecture "amd64";\nDebug::NoLocking "true";\n')
        return run("apt-get", "-q", *arguments, environment={"APT_CONFIG": f"{root}/apt.conf"}, cwd=root)

    def test_update_and_download_work_and_hit_the_second_time(self):
        nginx = Nginx(extra="expires 1h;")
        self.addCleanup(nginx.stop)
        nginx.start()
        self.make_repository(nginx)
        names = [f"tributary-test-{i}" for i in range(3)]
        for machine in ("first", "second"):
            self.apt(machine, nginx, "update")
            self.apt(machine, nginx, "-y", "--download-only", "--no-install-recommends", "install", *names)
            for i, name in enumerate(names):
                found = [n for n in os.listdir(self.temp(f"{machine}/archives")) if n.startswith(name)]
                self.assertEqual(len(found), 1)
        for name in names:
            rows = [row for row in nginx.log(f"/repo/pool/{name}.deb") if row[2] == 200]
            self.assertEqual(len(rows), 1, "the second machine's package came from the origin")


class Git(WithFolder):
    def test_git_clones_over_http(self):
        environment = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a",
                       "GIT_COMMITTER_EMAIL": "a@b", "HOME": self.dir}
        nginx = Nginx(extra="")
        self.addCleanup(nginx.stop)
        nginx.start()
        work, bare = self.temp("work"), os.path.join(nginx.files, "project.git")
        run("git", "init", "-q", "-b", "main", work, environment=environment)
        for i in range(20):
            with open(f"{work}/file{i}", "wb") as f:
                f.write(os.urandom(50_000))
        run("git", "-C", work, "add", ".", environment=environment)
        run("git", "-C", work, "commit", "-q", "-m", "first", environment=environment)
        run("git", "clone", "-q", "--bare", work, bare, environment=environment)
        run("git", "-C", bare, "update-server-info", environment=environment)
        run("chmod", "-R", "a+rX", bare)
        for i in range(2):
            run("git", "-c", f"http.proxy={self.proxy.url}", "clone", "-q", nginx.url("/project.git"), self.temp(f"clone{i}"),
                environment=environment)
            with open(f"{work}/file7", "rb") as f, open(self.temp(f"clone{i}/file7"), "rb") as g:
                self.assertEqual(f.read(), g.read())


if __name__ == "__main__":
    unittest.main()
