"""npm installs from a registry through the proxy; the second machine's tarball comes from the cache."""
import base64
import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
import unittest

from harness import Nginx, ProxyTest

NAME = "tributary-example"


def tarball():
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as tar:
        for name, content in (("package.json", json.dumps({"name": NAME, "version": "1.0.0"}).encode()),
                              ("index.js", b"module.exports = 42;\n"), ("data", os.urandom(3 << 20))):
            info = tarfile.TarInfo(f"package/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return data.getvalue()


class Npm(ProxyTest):
    config = {"accelerate": {"min_size": "2MiB"}}

    def test_npm_installs_and_hits_the_second_time(self):
        nginx = Nginx(extra=f"expires 1h; location = /{NAME} {{ default_type application/json; try_files /packument.json =404; }}")
        self.addCleanup(nginx.stop)
        nginx.start()
        data = tarball()
        path = f"/{NAME}/-/{NAME}-1.0.0.tgz"
        nginx.put(path.lstrip("/"), data)
        integrity = "sha512-" + base64.b64encode(hashlib.sha512(data).digest()).decode()
        nginx.put("packument.json", json.dumps({
            "name": NAME, "dist-tags": {"latest": "1.0.0"},
            "versions": {"1.0.0": {"name": NAME, "version": "1.0.0", "dist": {"tarball": nginx.url(path), "integrity": integrity}}},
        }).encode())
        folder = tempfile.mkdtemp(prefix="tributary-npm-")
        self.addCleanup(shutil.rmtree, folder, True)
        for machine in ("first", "second"):
            root = f"{folder}/{machine}"
            os.makedirs(root)
            with open(f"{root}/package.json", "w") as f:
                json.dump({"name": "x", "version": "1.0.0"}, f)
            done = subprocess.run(
                [os.environ["PROGRAM"], "install", "--no-audit", "--no-fund", "--no-update-notifier", "--registry", nginx.url("/"),
                 "--proxy", self.proxy.url, "--noproxy", "none.invalid", "--cache", f"{root}/cache", NAME],
                capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL, cwd=root,
                env={"PATH": os.environ["PATH"], "HOME": root})
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertTrue(os.path.exists(f"{root}/node_modules/{NAME}/index.js"))
        self.assertEqual(len([r for r in nginx.log(path) if r[2] == 200]), 1)


if __name__ == "__main__":
    unittest.main()
