"""The programs under examples/ do what they say (S4-3.8)."""
import os
import selectors
import signal
import socket
import struct
import subprocess
import threading
import unittest


class Echo(unittest.TestCase):
    def setUp(self):
        self.process = subprocess.Popen([os.environ["ECHO"], "127.0.0.1:0"], stdout=subprocess.PIPE, text=True)
        host, _, port = self.process.stdout.readline().strip().rpartition(":")
        self.address = (host, int(port))

    def tearDown(self):
        self.process.send_signal(signal.SIGTERM)
        self.assertEqual(self.process.wait(20), 0)
        self.process.stdout.close()

    def connect(self):
        return socket.create_connection(self.address, timeout=30)

    def converse(self, text):
        """All of it back, and then the end. Sends and reads at once: the server holds back who does not read."""
        with self.connect() as peer:
            def send():
                peer.sendall(text)
                peer.shutdown(socket.SHUT_WR)
            sender = threading.Thread(target=send)
            sender.start()
            back = bytearray()
            while data := peer.recv(1 << 16):
                back += data
            sender.join()
        return bytes(back)

    def test_many_connections_at_once_get_back_what_they_sent(self):
        texts = [os.urandom(1 + 40_009 * i) for i in range(30)]
        back = [None] * len(texts)

        def run(i):
            back[i] = self.converse(texts[i])
        threads = [threading.Thread(target=run, args=(i,)) for i in range(len(texts))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(back, texts)

    def test_who_does_not_read_is_held_back_and_holds_up_nobody(self):
        with self.connect() as silent:
            silent.setblocking(False)
            sent, block = 0, b"x" * (1 << 16)
            with selectors.DefaultSelector() as selector:
                selector.register(silent, selectors.EVENT_WRITE)
                while selector.select(1.0):
                    sent += silent.send(block)
                    self.assertLess(sent, 256 << 20, "it takes everything: where does it keep it?")
            self.assertEqual(self.converse(b"another one"), b"another one")

    def test_a_reset_ends_one_connection_only(self):
        other = self.connect()
        with self.connect() as peer:
            peer.sendall(b"x" * 100_000)
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        other.sendall(b"still here")
        self.assertEqual(other.recv(100), b"still here")
        other.close()


if __name__ == "__main__":
    unittest.main()
