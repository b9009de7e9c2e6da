"""The words of a .docx file. It is a zip of XML, so every way in which either can be a bomb is capped.

Only `word/document.xml` is opened; no relation is followed; a document type declaration, and with it every
entity, is refused before anything is expanded.
"""

import io
import struct
import zipfile
from pathlib import PurePosixPath
from typing import IO
from xml.parsers import expat

from shared.errors import Invalid

BODY = "word/document.xml"
MAX_MEMBERS = 1_000
MAX_DIRECTORY = 512 * 1024  # bytes of the zip's directory
MAX_UNPACKED = 20_000_000  # bytes of the document's XML, declared and actual
MAX_RATIO = 200  # unpacked bytes per packed one
MAX_DEPTH = 200
CHUNK = 64 * 1024
END = b"PK\x05\x06"
END_LENGTH = 22
WORDS = "http://schemas.openxmlformats.org/wordprocessingml/2006/main|"
BREAKS = {f"{WORDS}p": "\n", f"{WORDS}br": "\n", f"{WORDS}tab": "\t", f"{WORDS}tr": "\n", f"{WORDS}tc": " "}


def docx_text(data: bytes) -> str:
    """The document's text, a line per paragraph; `Invalid` for anything that isn't an ordinary document."""
    _check_directory(data)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive, archive.open(_body(archive)) as body:
            return _text(body)
    except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError, EOFError, ValueError) as error:
        raise _unreadable() from error


def _check_directory(data: bytes) -> None:
    """Before the zip module reads the directory: it isn't larger than a document's."""
    at = data.rfind(END)
    if at < 0 or at + END_LENGTH > len(data):
        raise _unreadable()
    members, size = struct.unpack_from("<HI", data, at + 10)
    if members > MAX_MEMBERS or size > MAX_DIRECTORY:
        raise Invalid("the archive lists too many parts", field="path", code="bomb")


def _body(archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    """The one part that is read, as far as its declared sizes are believable."""
    if any(
        PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts for name in archive.namelist()
    ):
        raise Invalid("the archive names parts outside itself", field="path", code="bomb")
    found = [info for info in archive.infolist() if info.filename == BODY]
    if len(found) != 1:
        raise Invalid("no Word document inside", field="path", code="unreadable")
    info = found[0]
    if info.file_size > MAX_UNPACKED or info.file_size > MAX_RATIO * max(info.compress_size, 1):
        raise Invalid("the document unpacks to too much", field="path", code="bomb")
    return info


class _Paragraphs:
    """Listens to the XML parser and keeps the words."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self._depth = 0
        self._inside = 0

    def start(self, name: str, _attributes: dict[str, str]) -> None:
        """An element begins."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise Invalid("the document nests too deep", field="path", code="bomb")
        self._inside += name == f"{WORDS}t"
        if name in BREAKS:
            self.parts.append(BREAKS[name])

    def end(self, name: str) -> None:
        """An element ends."""
        self._depth -= 1
        self._inside -= name == f"{WORDS}t"

    def words(self, text: str) -> None:
        """Text; only that of `w:t` is the document's."""
        if self._inside:
            self.parts.append(text)


def _text(body: IO[bytes]) -> str:
    paragraphs = _Paragraphs()
    parser = expat.ParserCreate(namespace_separator="|")
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _refuse
    parser.StartElementHandler = paragraphs.start
    parser.EndElementHandler = paragraphs.end
    parser.CharacterDataHandler = paragraphs.words
    unpacked = 0
    try:
        while chunk := body.read(CHUNK):
            unpacked += len(chunk)
            if unpacked > MAX_UNPACKED:
                raise Invalid("the document unpacks to too much", field="path", code="bomb")
            parser.Parse(chunk, False)
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise _unreadable() from error
    return "".join(paragraphs.parts)


def _refuse(*_: object) -> None:
    raise Invalid("the document declares a document type", field="path", code="bomb")


def _unreadable() -> Invalid:
    return Invalid("not readable as a Word document", field="path", code="unreadable")
