"""The disk under the proxy: what a power cut leaves of it, and faults at will (../disk.c is preloaded into the proxy).

A power cut keeps what was synced. Of every change since, in any order, it keeps all, nothing, or some sectors.
"""
import os
import shutil
import struct
import subprocess
import uuid

from .proxy import is_sanitized

HEAD = struct.Struct("<BBHIQQQ")
WRITE, ZERO, SIZE, GROW, CREATE, UNLINK, SYNC, SYNC_NAMES = range(1, 9)
SECTOR = 512
NOT_STORED = ("lock", "lock.mdb")  # they mean nothing once the process is gone


class Disk:
    """Between one Tributary and its cache directory. `random` decides what a power cut keeps."""

    def __init__(self, proxy, random):
        self.proxy, self.random = proxy, random
        self.journal = os.path.join(proxy.dir, "journal")
        self.faults = os.path.join(proxy.dir, "faults")
        self.boot_id = os.path.join(proxy.dir, "boot_id")
        self.image = os.path.join(proxy.dir, "image")  # what is on the disk for certain
        self.clear()
        self._new_boot()
        os.makedirs(self.image, exist_ok=True)
        proxy.environment.update(LD_PRELOAD=os.environ["DISK"], DISK_DIR=proxy.cache_dir, DISK_FAULTS=self.faults,
                                 DISK_BOOT_ID=self.boot_id)
        if is_sanitized():
            proxy.environment["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"

    def record(self):
        """Journal from the next start on; the proxy is stopped, and what it left is on the disk."""
        self.proxy.environment["DISK_JOURNAL"] = self.journal
        shutil.rmtree(self.image)
        subprocess.run(["cp", "-r", "--sparse=always", self.proxy.cache_dir, self.image], check=True)

    # Faults.

    def fail(self, *faults):
        """Each (call, errno, name): from now on, until `clear`."""
        text = "".join(f"{call} {number} {name}\n" for call, number, name in faults).encode()
        with open(self.faults, "r+b") as f:
            f.write(text.ljust(4096, b"\0"))

    def clear(self):
        with open(self.faults, "ab"):
            pass
        with open(self.faults, "r+b") as f:
            f.write(bytes(4096))

    # Power.

    def cut_power(self):
        """The machine goes down now; what its disk then holds is in the cache directory. How many changes were lost, and torn."""
        self.proxy.kill()
        lost = torn = 0
        gone = set()  # names that never reached the disk
        for change, is_durable in self._changes():
            op, name = change[:2]
            if op in (CREATE, UNLINK):
                if is_durable:
                    gone.discard(name)
                    self._apply(change)
                elif op == CREATE:
                    gone.add(name)
            elif name in gone:
                lost += 1
            elif is_durable or self.random.random() < 0.4:
                self._apply(change)
            elif op == WRITE and self.random.random() < 0.5:
                torn += 1
                self._apply(change, tear=True)
            else:
                lost += 1
        shutil.rmtree(self.proxy.cache_dir, ignore_errors=True)
        subprocess.run(["cp", "-r", "--sparse=always", self.image, self.proxy.cache_dir], check=True)
        os.unlink(self.journal)
        self._new_boot()
        return lost, torn

    def _new_boot(self):
        with open(self.boot_id, "w") as f:
            f.write(str(uuid.UUID(int=self.random.getrandbits(128))) + "\n")

    def _changes(self):
        """[((op, name, offset, data), durable)] in order, without the files that do not matter."""
        changes, contents, names = [], {}, 0  # changes of a file's contents before contents[name], of names before names, are safe
        with open(self.journal, "rb") as f:
            data = f.read()
        at = 0
        while at + HEAD.size <= len(data):
            op, durable, name_size, _, offset, length, upto = HEAD.unpack_from(data, at)
            at += HEAD.size
            name = data[at:at + name_size].decode()
            at += name_size
            content = data[at:at + length]
            at += length
            if len(content) < length:
                break  # cut off by the kill
            if op == SYNC:
                contents[name] = max(upto, contents.get(name, 0))
            elif op == SYNC_NAMES:
                names = max(upto, names)
            else:
                changes.append(((op, name, offset, content), bool(durable)))
        return [(change, durable or i < (names if change[0] in (CREATE, UNLINK) else contents.get(change[1], 0)))
                for i, (change, durable) in enumerate(changes) if change[1] not in NOT_STORED]

    def _apply(self, change, tear=False):
        op, name, offset, data = change
        path = os.path.join(self.image, name)
        if op == UNLINK:
            if os.path.exists(path):
                os.unlink(path)
            return
        if op == CREATE:
            with open(path, "ab"):
                return
        with open(path, "r+b" if os.path.exists(path) else "w+b") as f:
            if op == SIZE:
                f.truncate(offset)
                return
            if op in (ZERO, GROW):
                size = struct.unpack("<q", data)[0]
                if op == GROW:
                    f.truncate(max(offset + size, f.seek(0, os.SEEK_END)))
                    return
                data = bytes(min(size, max(0, f.seek(0, os.SEEK_END) - offset)))
            if not tear:
                f.seek(offset)
                f.write(data)
                return
            for first in range(0, len(data), SECTOR):
                if self.random.random() < 0.5:
                    f.seek(offset + first)
                    f.write(data[first:first + SECTOR])
