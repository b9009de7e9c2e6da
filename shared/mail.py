"""Mail to our own people: one message over SMTP, never without TLS to another machine. The only user of smtplib.

smtp://user:password@host:587   STARTTLS, which the server must offer
smtps://user:password@host:465  TLS from the first byte
smtp://127.0.0.1:25             plain, on loopback only
"""

import smtplib
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from urllib.parse import unquote, urlsplit

import anyio.to_thread

from shared.errors import Fatal

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
PORTS = {"smtp": 587, "smtps": 465}
SECONDS = 10.0  # for each step of the conversation


@dataclass(frozen=True, slots=True)
class Relay:
    """The server that takes our mail."""

    host: str
    port: int
    tls: bool  # from the first byte
    user: str = ""
    password: str = field(default="", repr=False)


async def send(url: str, sender: str, to: Sequence[str], subject: str, text: str) -> None:
    """Hand one message to the server of `url`.

    Raises `Fatal` where address, sender or recipients can't be right; else what smtplib or the network raises.
    """
    server = relay(url)
    if not sender or not to:
        raise Fatal("alerts.mail_from and mail_to in safety.yaml must name somebody", code="nobody_to_mail")
    letter = EmailMessage()
    letter["Subject"], letter["From"], letter["To"] = subject, sender, ", ".join(to)
    letter.set_content(text)
    # smtplib blocks; a thread that hangs is left behind, and ends with its own time-out.
    await anyio.to_thread.run_sync(_hand_over, server, letter, abandon_on_cancel=True)


def relay(url: str) -> Relay:
    """The server that `url` names. Raises `Fatal`, which doesn't repeat it."""
    try:
        parts = urlsplit(url)
        port = parts.port or PORTS[parts.scheme]
    except (ValueError, KeyError) as error:
        raise Fatal("SMTP_URL is not smtp://… or smtps://…", code="bad_address") from error
    if not parts.hostname:
        raise Fatal("SMTP_URL names no host", code="bad_address")
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    return Relay(parts.hostname, port, parts.scheme == "smtps", user, password)


def _hand_over(server: Relay, letter: EmailMessage) -> None:
    with _connected(server) as smtp:
        if not server.tls and server.host not in LOOPBACK:
            smtp.starttls(context=ssl.create_default_context())
        if server.user:
            smtp.login(server.user, server.password)
        smtp.send_message(letter)


def _connected(server: Relay) -> smtplib.SMTP:
    # A name of its own: looking up this machine's would ask the network.
    if server.tls:
        context = ssl.create_default_context()
        return smtplib.SMTP_SSL(server.host, server.port, "localhost", timeout=SECONDS, context=context)
    return smtplib.SMTP(server.host, server.port, "localhost", timeout=SECONDS)
