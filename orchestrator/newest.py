"""What somebody wrote now: the newest part of a mail, without quotes, signature, markup and what nobody would see.

    MIME message ─▶ its headers and its text       HTML ─▶ what a reader sees of it       text ─▶ above or below quotes

Reads a bounded number of characters; each step goes over them once. Nothing in a mail is followed, fetched or run.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from email import message_from_string, policy
from email.errors import MessageError
from email.message import EmailMessage

from selectolax.lexbor import LexborHTMLParser, LexborNode

from orchestrator.titles import fold, vocabulary
from shared.foreign import clean

MOST = 20_000  # characters that are read; what follows is never the newest part
_QUOTE_HEAD = re.compile(
    r"^\s*(?:>\s*)?(?:on .{5,200}wrote ?:|am .{5,200}schrieb.{0,80}:|le .{5,200}a ecrit ?:"
    r"|el .{5,200}escribio ?:|il .{5,200}ha scritto ?:"
    r"|op .{5,200}schreef.{0,80}:|em .{5,200}escreveu ?:|den .{5,200}skrev.{0,80}:)\s*$"
)
_QUOTED_BY = re.compile(r"^.{3,120}<[^>]+@[^>]+> (?:wrote|schrieb|a ecrit|escribio|schreef|escreveu) ?:?\s*$")
_QUOTE_LINE = re.compile(
    r"^\s*(?:-{2,} ?(?:original message|urspr.{1,3}ngliche nachricht|message d'origine|mensaje original"
    r"|messaggio originale|forwarded message|oorspronkelijk bericht|mensagem original"
    r"|weitergeleitete nachricht|message transfere) ?-{2,}"
    r"|_{10,}|begin forwarded message:|(?:from|von|de|da|van): .*@.*|\*from:\*.*)\s*$"
)
_OUTLOOK = re.compile(r"^\s*\*?(?:from|von|de|da|van) ?:\*? ?\S")
_OUTLOOK_NEXT = re.compile(
    r"^\s*\*?(?:sent|date|gesendet|datum|envoye|enviado|inviato|data|verzonden) ?:\*? ?\S"
)
_SIGNATURE = re.compile(
    r"^(?:-- ?|__+|sent from my .*|get outlook for .*|von meinem .* gesendet|envoye de mon .*"
    r"|enviado desde mi .*|inviato da .*|verzonden vanaf .*|enviado do meu .*)$"
)
_HTML = re.compile(r"<(?:html|body|div|p|br|table|span|blockquote|a|b|i|font)(?=[\s/>])[^>]*>", re.IGNORECASE)
# No element but an address, which a text that holds some HTML may have in angle brackets.
_ADDRESS = re.compile(r"<((?:mailto:)?[\w.+%'-]{1,64}@[\w.-]{3,253})>")
_UNSEEN = vocabulary("style script head title noscript template select textarea svg blockquote")
_QUOTED = re.compile(r"^gmail_quote|yahoo_quoted|moz-cite-prefix|^divrplyfwdmsg$")
_HIDDEN_STYLE = re.compile(
    r"display:none|visibility:hidden|font-size:0|opacity:0(?![.\d]*[1-9])|mso-hide:all|text-indent:-\d{3}"
)
_BLOCKS = vocabulary("br p div tr li ul ol table h1 h2 h3 h4 hr blockquote section article")
_HEADER = re.compile(r"^[A-Za-z][A-Za-z0-9-]{1,60}: ?\S")
_MAILS_OWN = re.compile(
    r"^(?:mime-version|content-type|received|return-path|message-id|auto-submitted)[ \t]*:",
    re.IGNORECASE | re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail as far as a class depends on it; header names in lower case."""

    text: str
    subject: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


def read_mail(text: str) -> Mail:
    """A text as a mail: with its headers, if it is a whole message; else the text alone. Never raises."""
    given = clean(text[: 4 * MOST]).lstrip()
    head = given.partition("\n\n")[0]
    if not _HEADER.match(given) or len(_MAILS_OWN.findall(head)) < 2:
        return Mail(text[:MOST])
    try:
        message = message_from_string(given, policy=policy.default)
        headers = {name.lower(): str(value)[:2_000] for name, value in message.items()}
        said = _said(message) if isinstance(message, EmailMessage) else ""
    except (MessageError, ValueError, LookupError, RecursionError, AttributeError, TypeError):
        return Mail(text[:MOST])
    return Mail(said[:MOST], headers.get("subject", ""), headers)


def _said(message: EmailMessage) -> str:
    part = message.get_body(("plain", "html"))
    if part is None:
        return ""
    said = part.get_content()
    return said if isinstance(said, str) else ""


def newest_part(text: str) -> str:
    """What the person wrote now: without quotes, signature and markup, above or below the quoted mail."""
    plain = seen(clean(text[:MOST]))
    lines = plain.split("\n")
    kept: list[str] = []
    for number, line in enumerate(lines):
        folded = fold(line).strip()
        if _SIGNATURE.match(folded) and any(part.strip() for part in kept):
            break
        if _starts_quote(lines, number):
            kept += _below(lines[number:])
            break
        if not line.lstrip().startswith(">"):
            kept.append(line)
    return "\n".join(kept).strip()


def seen(text: str) -> str:
    """What a reader sees of a text that may be HTML: nothing hidden, and nothing quoted by markup."""
    if not _HTML.search(text):
        return text
    tree = LexborHTMLParser(_ADDRESS.sub(r"&lt;\1&gt;", text))
    pieces: list[str] = []
    # None stands for a line's end. No recursion: a mail may nest as deep as it likes.
    waiting: list[LexborNode | None] = [tree.root]
    while waiting:
        node = waiting.pop()
        if node is None:
            pieces.append("\n")
        elif node.is_text_node:
            pieces.append(re.sub(r"\s+", " ", node.text_content or ""))
        elif _shown(node):
            inside: list[LexborNode | None] = [*node.iter(include_text=True)]
            ends = [None] if node.tag in _BLOCKS else []
            waiting += reversed([*ends, *inside, *ends])
    return re.sub(r"\s*\n\s*", "\n", "".join(pieces)).strip()


def _shown(node: LexborNode) -> bool:
    """Whether a reader sees it, and it is no quotation."""
    if node.tag in _UNSEEN:
        return False
    known = node.attributes
    style = (known.get("style") or "").lower().replace(" ", "")
    named = f"{known.get('class') or ''}\n{known.get('id') or ''}".lower()
    return (
        "hidden" not in known
        and not _HIDDEN_STYLE.search(style)
        and not any(_QUOTED.search(name) for name in named.split())
    )


def _starts_quote(lines: list[str], number: int) -> bool:
    """A line that introduces the quoted mail; "On … wrote:" may be wrapped over three lines."""
    line = fold(lines[number])
    if _QUOTE_LINE.match(line) or _QUOTED_BY.match(line):
        return True
    after = fold(lines[number + 1]) if number + 1 < len(lines) else ""
    if _OUTLOOK.match(line) and _OUTLOOK_NEXT.match(after):
        return True
    joined = [fold(" ".join(lines[number : number + span])) for span in (1, 2, 3)]
    return any(_QUOTE_HEAD.match(text) for text in joined)


def _below(lines: list[str]) -> list[str]:
    """What stands under a quote that marks its lines with ">"; nothing where the quote isn't marked."""
    marked = [number for number, line in enumerate(lines) if line.lstrip().startswith(">")]
    return [line for line in lines[marked[-1] + 1 :] if line.strip()] if marked else []
