"""A TCP relay that counts what it delivers, holds it to a rate, or cuts the line: the wire, as a test can see it."""

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

PIECE = 32 * 1024


class Relay:
    """Connections to `host` are carried on to `upstream`. All deliver together at most `rate` bytes a second.

    Once clients have sent `cut_after` bytes, the connection that sent the last of them is cut; this happens once.
    """

    def __init__(self, upstream: str, rate: float | None, cut_after: int | None) -> None:
        self._upstream = (upstream.partition(":")[0], int(upstream.partition(":")[2]))
        self._rate = rate
        self._cut_after = cut_after
        self._sent = 0
        self._lock = threading.Lock()
        self._delivered = 0
        self._free_at = 0.0
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        # Small buffers, so that what counts as delivered has all but reached the client.
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, PIECE)

    @property
    def host(self) -> str:
        """`127.0.0.1:PORT`, to be used in place of the registry's."""
        return f"127.0.0.1:{self._listener.getsockname()[1]}"

    @property
    def delivered(self) -> int:
        """Bytes handed to clients so far, headers included."""
        with self._lock:
            return self._delivered

    @property
    def sent(self) -> int:
        """Bytes that clients have sent so far, headers included."""
        with self._lock:
            return self._sent

    def accept(self) -> None:
        """Carry connections until the listener is closed."""
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._upstream)
                with self._lock:
                    self._sockets += [client, server]
                self._begin(client, server, counted=False)
                self._begin(server, client, counted=True)

    def close(self) -> None:
        """Cut every connection and wait for its threads."""
        # A plain close does not wake a thread that waits in accept.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for end in self._sockets:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for end in self._sockets:
            end.close()

    def _begin(self, source: socket.socket, target: socket.socket, *, counted: bool) -> None:
        thread = threading.Thread(target=self._carry, args=(source, target, counted))
        self._threads.append(thread)
        thread.start()

    def _carry(self, source: socket.socket, target: socket.socket, counted: bool) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(PIECE):
                if counted:
                    self._wait_turn(len(piece))
                target.sendall(piece)
                if not counted and self._is_cut(len(piece)):
                    # Reset: who only hears that no more will come may wait with what is still to be sent.
                    source.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    source.close()
                    break
                if counted:
                    with self._lock:
                        self._delivered += len(piece)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _is_cut(self, size: int) -> bool:
        with self._lock:
            self._sent += size
            if self._cut_after is None or self._sent < self._cut_after:
                return False
            self._cut_after = None
            return True

    @property
    def has_cut(self) -> bool:
        """Whether the line was cut."""
        with self._lock:
            return self._cut_after is None

    def _wait_turn(self, size: int) -> None:
        if self._rate is None:
            return
        with self._lock:
            now = time.monotonic()
            self._free_at = max(self._free_at, now) + size / self._rate
            wait = self._free_at - now
        time.sleep(wait)


@contextmanager
def relay(upstream: str, *, rate: float | None = None, cut_after: int | None = None) -> Iterator[Relay]:
    """Run a relay in threads of this process for the length of the block."""
    running = Relay(upstream, rate, cut_after)
    thread = threading.Thread(target=running.accept)
    thread.start()
    try:
        yield running
    finally:
        running.close()
        thread.join()
