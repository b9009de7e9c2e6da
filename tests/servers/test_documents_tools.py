"""Documents of every supported kind give their text; bombs, tricks and other files are refused."""

import io
import os
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from servers.documents import SERVER, tools
from servers.documents.account import Documents
from shared.errors import Invalid
from shared.kernel import Kernel
from shared.ports import Extracted

WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
MEBIBYTE = 1024 * 1024


@pytest.fixture
async def documents(kernel: Kernel) -> AsyncIterator[Documents]:
    async with SERVER.open(kernel) as opened:
        yield opened


@pytest.fixture
def home(kernel: Kernel) -> Path:
    return kernel.settings.home


def written(home: Path, name: str, content: str | bytes) -> str:
    path = home / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


async def parse(documents: Documents, path: str) -> Extracted:
    extracted: Extracted = await tools.parse.function(documents, path)
    return extracted


async def refused(documents: Documents, path: str) -> Invalid:
    with pytest.raises(Invalid) as raised:
        await tools.parse.function(documents, path)
    assert raised.value.field == "path"
    return raised.value


def docx(*paragraphs: str, head: str = "", **parts: bytes) -> bytes:
    body = "".join(f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>" for text in paragraphs)
    xml = f'<?xml version="1.0"?>{head}<w:document xmlns:w="{WORD}"><w:body>{body}</w:body></w:document>'
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", parts.pop("body", xml.encode()))
        for name, content in parts.items():
            archive.writestr(name, content)
    return whole.getvalue()


@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.csv", "A.TXT"])
async def test_plain_text_is_read_as_it_stands(documents: Documents, home: Path, name: str) -> None:
    extracted = await parse(documents, written(home, name, "Jürgen  Müller\r\n\r\n\r\n\r\nCRO\0"))
    assert (extracted.document, extracted.text, extracted.omitted) == (name, "Jürgen Müller\n\nCRO", 0)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
async def test_text_is_read_in_every_usual_encoding(documents: Documents, home: Path, encoding: str) -> None:
    assert (await parse(documents, written(home, "a.txt", "Zoë".encode(encoding)))).text == "Zoë"


async def test_a_page_gives_what_a_reader_sees(documents: Documents, home: Path) -> None:
    page = (
        "<h1>Ava&nbsp;Webb</h1><script>steal()</script><style>p{}</style><p>CRO<br>Corp</p><svg><text>x</svg>"
    )
    assert (await parse(documents, written(home, "a.html", page))).text == "Ava Webb\n\nCRO\nCorp"


async def test_a_mail_gives_its_headers_and_words_and_names_its_attachments(
    documents: Documents, home: Path
) -> None:
    mail = (
        "From: Ava Webb <ava@corp.example>\nSubject: =?utf-8?q?Caf=C3=A9?=\nMIME-Version: 1.0\n"
        'Content-Type: multipart/mixed; boundary="b"\n\n--b\nContent-Type: text/html\n\n<p>Hello</p>\n'
        "--b\nContent-Type: application/pdf\n"
        'Content-Disposition: attachment; filename="deck.pdf"\n\nx\n--b--\n'
    )
    text = (await parse(documents, written(home, "a.eml", mail))).text
    assert text == "From: Ava Webb <ava@corp.example>\nSubject: Café\n\nHello\n\nAttachment: deck.pdf"


async def test_a_broken_mail_still_gives_what_can_be_read(documents: Documents, home: Path) -> None:
    mail = "From: =?x?=\nTo: <<<\nContent-Type: text/plain; charset=nowhere\nDate: never\n\nHello \xff"
    text = (await parse(documents, written(home, "a.eml", mail.encode("latin-1")))).text
    assert text.startswith("From: ")
    assert text.endswith("Hello ÿ")


async def test_a_word_document_gives_a_line_per_paragraph(documents: Documents, home: Path) -> None:
    extracted = await parse(documents, written(home, "a.docx", docx("Ava Webb", "CRO &amp; VP")))
    assert extracted.text == "Ava Webb\nCRO & VP"


@pytest.mark.parametrize(
    "head",
    [
        '<!DOCTYPE d [<!ENTITY x "boom">]>',
        '<!DOCTYPE d SYSTEM "file:///etc/passwd">',
        '<!DOCTYPE d [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]>',
    ],
)
@pytest.mark.requirement("X7", "F19")
async def test_a_word_document_that_declares_entities_is_refused(
    documents: Documents, home: Path, head: str
) -> None:
    assert (await refused(documents, written(home, "a.docx", docx("x", head=head)))).code == "bomb"


@pytest.mark.requirement("X7", "F19")
async def test_a_word_document_that_unpacks_to_too_much_is_refused(documents: Documents, home: Path) -> None:
    content = docx(body=b" " * (30 * MEBIBYTE))
    assert len(content) < MEBIBYTE
    assert (await refused(documents, written(home, "a.docx", content))).code == "bomb"


@pytest.mark.requirement("F19")
async def test_a_word_document_that_lies_about_its_size_is_refused(documents: Documents, home: Path) -> None:
    content = bytearray(docx(body=b"<a>" + os.urandom(100_000).hex().encode() + b" " * MEBIBYTE + b"</a>"))
    at = content.rfind(b"PK\x01\x02")
    content[at + 24 : at + 28] = (1000).to_bytes(4, "little")
    assert (await refused(documents, written(home, "a.docx", bytes(content)))).code in {"bomb", "unreadable"}


async def test_a_word_document_of_too_many_parts_is_refused(documents: Documents, home: Path) -> None:
    content = docx("x", **{f"p{number}": b"" for number in range(1_001)})
    assert (await refused(documents, written(home, "a.docx", content))).code == "bomb"


async def test_a_word_document_nested_too_deep_is_refused(documents: Documents, home: Path) -> None:
    body = b"<a>" * 300 + os.urandom(2_000).hex().encode() + b"</a>" * 300
    assert (await refused(documents, written(home, "a.docx", docx(body=body)))).code == "bomb"


@pytest.mark.requirement("F19")
async def test_a_word_document_with_parts_outside_itself_is_refused(documents: Documents, home: Path) -> None:
    content = docx("x", **{"../../evil": b"x"})
    assert (await refused(documents, written(home, "a.docx", content))).code == "bomb"


@pytest.mark.parametrize("content", [b"", b"PK", b"not a zip", b"PK\x05\x06" + b"\0" * 18, docx("x")[:-30]])
async def test_what_is_no_word_document_is_refused(documents: Documents, home: Path, content: bytes) -> None:
    assert (await refused(documents, written(home, "a.docx", content))).code == "unreadable"


async def test_text_beyond_the_cap_is_counted(documents: Documents, home: Path) -> None:
    extracted = await parse(documents, written(home, "a.txt", "x" * 25_000))
    assert (len(extracted.text), extracted.omitted) == (20_000, 5_000)


async def test_a_file_beyond_the_cap_is_refused(documents: Documents, home: Path) -> None:
    assert (await refused(documents, written(home, "a.txt", b"x" * 10_000_001))).code == "too_large"


@pytest.mark.parametrize("name", ["a.pdf", "a.doc", "a.exe", "a", ".txt"])
async def test_another_kind_of_file_is_refused_with_what_is_supported(
    documents: Documents, home: Path, name: str
) -> None:
    error = await refused(documents, written(home, name, "x"))
    assert ".docx" in error.message


@pytest.mark.parametrize("way", ["straight", "dots", "link", "missing", "folder", "pipe"])
@pytest.mark.requirement("X7", "F20")
async def test_only_a_regular_file_inside_the_folders_is_read(
    documents: Documents, home: Path, tmp_path: Path, way: str
) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    (home / "link.txt").symlink_to(tmp_path / "secret.txt")
    (home / "folder.txt").mkdir()
    os.mkfifo(home / "pipe.txt")
    paths = {"straight": tmp_path / "secret.txt", "dots": home / ".." / "secret.txt"}
    error = await refused(documents, str(paths.get(way, home / f"{way}.txt")))
    assert error.code in {"outside", "not_found", "not_a_file", "unreadable"}


async def test_labelled_facts_and_addresses_become_fields(documents: Documents, home: Path) -> None:
    text = (
        "# Notes from the fair\n- **Name**: Ava Webb\nTitle: VP Sales\n* Company = Corp\n"
        "Call her on +1 512 555 0100 or write to ava.webb@corp.example, see linkedin.com/in/ava-webb\n"
        "Title: ignored, the first one counts\nhttps://corp.example: nothing\n"
    )
    extracted: Extracted = await tools.extract_fields.function(documents, written(home, "a.md", text))
    assert extracted.fields == {
        "full_name": "Ava Webb",
        "title": "VP Sales",
        "company": "Corp",
        "email": "ava.webb@corp.example",
        "phone": "+1 512 555 0100",
        "linkedin_url": "linkedin.com/in/ava-webb",
    }


async def test_a_text_without_facts_gives_no_fields(documents: Documents, home: Path) -> None:
    extracted: Extracted = await tools.extract_fields.function(
        documents, written(home, "a.txt", "Hello there.")
    )
    assert extracted.fields == {}
