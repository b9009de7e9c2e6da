"""A network between a process and its PostgreSQL server, which loses what it is told to lose."""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Literal

from tests.postgres import Server, name_in

COMMIT = b"COMMIT\0"
KEY_DATA = b"K\0\0\0\x0c"  # the server's message that tells a client the number of its session


class Relay:
    """Relays until it is closed. `lose`: what becomes of the next commit, and of the network after it."""

    def __init__(self, target: str) -> None:
        self._target = target
        self.lose: Literal["", "answer", "request", "everything"] = ""
        self.heard = threading.Event()  # set: what is said gets through
        self.heard.set()
        self.pools = False  # sessions aren't who they say they are
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]
        self._clients: list[socket.socket] = []
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            self.heard.wait()
            server = socket.socket(socket.AF_UNIX)
            server.connect(self._target)
            self._clients.append(client)
            for way in (self._to_server, self._to_client):
                thread = threading.Thread(target=way, args=(client, server))
                self._threads.append(thread)
                thread.start()

    def _to_server(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):  # one side is gone
            while data := _received(client):
                self.heard.wait()
                if not self._passes(data, client):
                    break
                server.sendall(data)
            server.shutdown(socket.SHUT_WR)

    def _passes(self, data: bytes, client: socket.socket) -> bool:
        """Whether the server gets this; the client may be cut off all the same."""
        if COMMIT not in data or not self.lose:
            return True
        how, self.lose = self.lose, ""
        if how == "everything":
            self.heard.clear()
        client.shutdown(socket.SHUT_RDWR)
        return how != "request"

    def _to_client(self, client: socket.socket, server: socket.socket) -> None:
        with client, server, suppress(OSError):
            while data := _received(server):
                at = data.find(KEY_DATA)
                if self.pools and at >= 0:
                    (session,) = struct.unpack_from("!I", data, at + 5)
                    data = data[: at + 5] + struct.pack("!I", session + 1) + data[at + 9 :]
                client.sendall(data)

    def close(self) -> None:
        """Accept nobody any more, and cut off those that are connected."""
        self.heard.set()
        for one in (self._listening, *self._clients):
            with suppress(OSError):  # it left by itself
                one.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for thread in self._threads:
            thread.join()


def _received(sender: socket.socket) -> bytes:
    try:
        return sender.recv(65_536)
    except OSError:
        return b""


@contextmanager
def relayed(server: Server, url: str) -> Iterator[tuple[Relay, str]]:
    """A relay, and the address through it of the database at `url`."""
    relay = Relay(f"{server.folder}/.s.PGSQL.5432")
    try:
        yield relay, f"postgresql://postgres@127.0.0.1:{relay.port}/{name_in(url)}?sslmode=disable"
    finally:
        relay.close()
