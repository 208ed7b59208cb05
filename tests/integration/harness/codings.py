"""Content codings made for tests: gzip by Python, br and zstd by the libraries that the program itself stands on."""
import ctypes
import gzip as python_gzip


def gzip(data):
    return python_gzip.compress(data, 6, mtime=0)


def br(data):
    library = ctypes.CDLL("libbrotlienc.so.1")
    size = ctypes.c_size_t(len(data) + len(data) // 100 + 1024)
    out = ctypes.create_string_buffer(size.value)
    done = library.BrotliEncoderCompress(4, 22, 0, ctypes.c_size_t(len(data)), data, ctypes.byref(size), out)
    assert done, "brotli failed"
    return out.raw[:size.value]


def zstd(data):
    library = ctypes.CDLL("libzstd.so.1")
    library.ZSTD_compress.restype = ctypes.c_size_t
    room = len(data) + len(data) // 100 + 1024
    out = ctypes.create_string_buffer(room)
    size = library.ZSTD_compress(out, ctypes.c_size_t(room), data, ctypes.c_size_t(len(data)), 3)
    assert size <= room, "zstd failed"
    return out.raw[:size]


CODINGS = {"gzip": gzip, "br": br, "zstd": zstd}
