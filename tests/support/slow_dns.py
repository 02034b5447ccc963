"""Run a command with a DNS server that never answers: ``python -m tests.support.slow_dns COMMAND…``.

Names below ``fast.test`` have the address 127.0.0.1; queries for all others get no answer. It must run
as root of its own mount and network namespaces (``NAMESPACES``), because it replaces ``/etc/resolv.conf``.
"""

from __future__ import annotations

import fcntl
import socket
import struct
import subprocess
import sys
import tempfile
import threading

NAMESPACES = ("unshare", "--map-root-user", "--mount", "--net")

_SET_FLAGS, _UP = 0x8914, 0x1  # SIOCSIFFLAGS, IFF_UP
_A = 1


def answer_to(query: bytes) -> bytes | None:
    """Return the answer to a query with one question (RFC 1035 4.1), or None for a slow name."""
    end, labels = 12, []
    while length := query[end]:
        labels.append(query[end + 1 : end + 1 + length])
        end += length + 1
    if labels[-2:] != [b"fast", b"test"]:
        return None
    (kind,) = struct.unpack("!H", query[end + 1 : end + 3])
    address = struct.pack("!HHHIH4s", 0xC00C, _A, 1, 1, 4, socket.inet_aton("127.0.0.1"))
    records = [address] if kind == _A else []
    header = query[:2] + struct.pack("!HHHHH", 0x8180, 1, len(records), 0, 0)
    return header + query[12 : end + 5] + b"".join(records)


def serve(server: socket.socket) -> None:
    """Answer queries until the process ends."""
    while True:
        query, client = server.recvfrom(4096)
        if (answer := answer_to(query)) is not None:
            server.sendto(answer, client)


def main() -> int:
    """Replace the DNS of this namespace and run the command. Return its exit code."""
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, _SET_FLAGS, struct.pack("16sh14x", b"lo", _UP))
    server = socket.socket(type=socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 53))
    threading.Thread(target=serve, args=(server,), daemon=True).start()
    with tempfile.NamedTemporaryFile("w", suffix=".resolv.conf") as settings:
        settings.write("nameserver 127.0.0.1\noptions timeout:10 attempts:3\n")
        settings.flush()
        subprocess.run(["mount", "--bind", settings.name, "/etc/resolv.conf"], check=True)
        return subprocess.run(sys.argv[1:], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
