"""A listening socket that answers at once."""

import os
import socket


def listen(host: str, port: int) -> socket.socket:
    """Bind and listen on TCP; port 0 takes a free one. Raises `OSError` where that can't be done.

    The protocol is named because asyncio switches off Nagle's algorithm only where it reads TCP there; sockets
    of protocol 0, as `socket.create_server` makes them, answer 40 ms late on a kept-alive connection.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
        made.listen(128)
    except OSError:
        made.close()
        raise
    return made
