"""pip installs from a package index through the proxy; the second machine's wheel comes from the cache."""
import hashlib
import io
import os
import shutil
import subprocess
import tempfile
import unittest
import zipfile

from harness import Nginx, ProxyTest

NAME = "tributary_example"


def wheel():
    """A wheel of one module with some weight."""
    data, info = io.BytesIO(), f"{NAME}-1.0.dist-info"
    with zipfile.ZipFile(data, "w") as z:
        z.writestr(f"{NAME}/__init__.py", "VALUE = 42\n")
        z.writestr(f"{NAME}/data", os.urandom(3 << 20))
        z.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {NAME}\nVersion: 1.0\n")
        z.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        z.writestr(f"{info}/RECORD", "")
    return data.getvalue()


class Pip(ProxyTest):
    config = {"accelerate": {"min_size": "2MiB"}}

    def test_pip_installs_and_hits_the_second_time(self):
        nginx = Nginx(extra="expires 1h; location /simple/ { default_type text/html; index index.html; }")
        self.addCleanup(nginx.stop)
        nginx.start()
        file, data = f"{NAME}-1.0-py3-none-any.whl", wheel()
        nginx.put(f"files/{file}", data)
        nginx.put(f"simple/{NAME.replace('_', '-')}/index.html",
                  f'<!DOCTYPE html><html><body><a href="/files/{file}#sha256={hashlib.sha256(data).hexdigest()}">{file}</a></body></html>'.encode())
        folder = tempfile.mkdtemp(prefix="tributary-pip-")
        self.addCleanup(shutil.rmtree, folder, True)
        for machine in ("first", "second"):
            done = subprocess.run(
                [os.environ["PROGRAM"], "-m", "pip", "install", "--isolated", "--no-cache-dir", "--no-deps", "--disable-pip-version-check",
                 "--proxy", self.proxy.url, "--index-url", nginx.url("/simple"), "--target", f"{folder}/{machine}", NAME],
                capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL,
                env={"PATH": os.environ["PATH"], "HOME": folder, "LC_ALL": "C.UTF-8"})
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertTrue(os.path.exists(f"{folder}/{machine}/{NAME}/__init__.py"))
        self.assertEqual(len([r for r in nginx.log(f"/files/{file}") if r[2] == 200]), 1)


if __name__ == "__main__":
    unittest.main()
