"""A file's text, by its kind. Nothing in a document is run, fetched or followed; everything is capped."""

import codecs
import os
import re
import stat
from collections.abc import Callable, Mapping
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from html.parser import HTMLParser
from pathlib import Path

from servers.documents.docx import docx_text
from shared.errors import Invalid

MAX_BYTES = 10_000_000
MAX_MARKUP = 2_000_000  # bytes of HTML: parsing it costs more than reading it
SKIPPED = frozenset({"script", "style", "template", "noscript", "svg"})
BLOCKS = frozenset(
    {"p", "div", "br", "li", "tr", "h1", "h2", "h3", "h4", "h5", "h6", "section", "table", "td"}
)
HEADERS = ("From", "To", "Date", "Subject")
BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


def text_of(path: Path) -> str:
    """The whole text of a supported file; `Invalid` names what is supported. Blocks on the disk."""
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise Invalid(f"expected one of {', '.join(sorted(READERS))}", field="path", code="unsupported")
    return _tidy(reader(read_bytes(path)))


def read_bytes(path: Path) -> bytes:
    """A regular file's bytes, up to the cap; a link, pipe, device or larger file is `Invalid`."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        raise Invalid("the file can't be opened", field="path", code="unreadable") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise Invalid("not a regular file", field="path", code="not_a_file")
    with os.fdopen(descriptor, "rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise Invalid(f"a document may have {MAX_BYTES:,} bytes", field="path", code="too_large")
    return data


def decoded(data: bytes) -> str:
    """Bytes as text: by byte-order mark, else UTF-8, else Windows-1252."""
    named = next((name for mark, name in BOMS if data.startswith(mark)), "utf-8")
    try:
        return data.decode(named)
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


class _Visible(HTMLParser):
    """Collects what a reader of the page would see."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Hide what isn't text, break lines where blocks begin."""
        del attrs
        self._hidden += tag in SKIPPED
        if tag in BLOCKS:
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        """Show again what follows."""
        if tag in SKIPPED and self._hidden:
            self._hidden -= 1
        if tag in BLOCKS:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        """Keep visible text."""
        if not self._hidden:
            self.parts.append(data)


def html_text(data: bytes) -> str:
    """The visible text of a page."""
    if len(data) > MAX_MARKUP:
        raise Invalid(f"an HTML file may have {MAX_MARKUP:,} bytes", field="path", code="too_large")
    return _visible(decoded(data))


def _visible(markup: str) -> str:
    parser = _Visible()
    parser.feed(markup)
    parser.close()
    return "".join(parser.parts)


def mail_text(data: bytes) -> str:
    """A mail's headers and its words; attachments are named, not opened."""
    try:
        message = BytesParser(policy=policy.default).parsebytes(data)
        heads = [f"{name}: {message[name]}" for name in HEADERS if message[name]]
        return "\n".join([*heads, "", _words(message), *_attachments(message)])
    except Exception as error:  # the standard parser raises a dozen kinds on broken mail
        raise Invalid("not readable as a mail", field="path", code="unreadable") from error


def _words(message: EmailMessage) -> str:
    part = message.get_body(("plain", "html"))
    if part is None:
        return ""
    payload = part.get_payload(decode=True)
    content = _in_charset(payload if isinstance(payload, bytes) else b"", part.get_content_charset("utf-8"))
    return _visible(content[:MAX_MARKUP]) if part.get_content_type() == "text/html" else content


def _in_charset(payload: bytes, charset: str) -> str:
    """The declared character set, or what it looks like where that is unknown or wrong."""
    try:
        return payload.decode(charset)
    except (LookupError, UnicodeDecodeError):
        return decoded(payload)


def _attachments(message: EmailMessage) -> list[str]:
    return [f"Attachment: {part.get_filename() or 'unnamed'}" for part in message.iter_attachments()]


def _tidy(text: str) -> str:
    """Line ends and blanks in order, no more than one empty line together."""
    lines = (re.sub(r"[ \t\u00a0]+", " ", line).strip() for line in text.replace("\0", "").splitlines())
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


READERS: Mapping[str, Callable[[bytes], str]] = {
    ".txt": decoded,
    ".md": decoded,
    ".csv": decoded,
    ".html": html_text,
    ".htm": html_text,
    ".eml": mail_text,
    ".docx": docx_text,
}
