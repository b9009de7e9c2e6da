"""What an answer means: one class by precedence, with the rule that decided and never a copy of the text.

    bounce, complaint report → legal, opt-out → hostile → automatic → left, referral → meeting → interest
    → questions → objections → later → no → unknown

Rules alone decide what stops mail. An opt-out that is the whole answer suppresses; one in a longer text stops
the sequence at once, and a person confirms it. A reply is data: nothing in it is ever followed.
"""

import html
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from orchestrator.absence import (
    AUTO_SUBJECT,
    OUT_BODY,
    OUT_EXTRA,
    OUT_SUBJECT,
    is_automatic,
    is_bounce,
    is_feedback_report,
    return_date,
)
from orchestrator.reply_phrases import CONVERSATION, LEFT, NEEDS_YES, NEGATED
from orchestrator.rules import ReplyAction, ReplyClass, Rules
from orchestrator.stop_phrases import (
    COURTESIES,
    EXACT_OPT_OUT,
    FUZZY_OPT_OUT,
    HOSTILE,
    KEEPS,
    LEGAL,
    ONLY_ALONE,
    Sign,
)
from orchestrator.titles import fold
from shared.foreign import clean

MOST = 20_000  # characters that are read; what follows is never the newest part
_SHORT = 25  # words up to which a sentence that asks to stop is the whole answer
_ANSWER = re.compile(r"^(?:(?:re|aw|antw|sv|rv|tr|fwd?|wg|vs)\s*(?:\[\d+\])?:\s*)+")
_QUOTE_HEAD = re.compile(
    r"^\s*>?\s*(?:on .{5,200}wrote:|am .{5,200}schrieb.{0,80}:|le .{5,200}a ecrit ?:"
    r"|el .{5,200}escribio ?:|il .{5,200}ha scritto ?:"
    r"|op .{5,200}schreef.{0,80}:|em .{5,200}escreveu ?:|den .{5,200}skrev.{0,80}:)\s*$"
)
_QUOTED_BY = re.compile(r"^.{3,120}<[^>]+@[^>]+> (?:wrote|schrieb|a ecrit|escribio) ?:?\s*$")
_QUOTE_LINE = re.compile(
    r"^\s*(?:-{2,} ?(?:original message|urspr.{1,3}ngliche nachricht|message d'origine|mensaje original"
    r"|messaggio originale|forwarded message|oorspronkelijk bericht|mensagem original) ?-{2,}"
    r"|_{10,}|begin forwarded message:|(?:from|von|de|da|van): .*@.*|\*from:\*.*)\s*$"
)
_SIGNATURE = re.compile(
    r"^(?:-- ?|__+|sent from my .*|get outlook for .*|von meinem .* gesendet|envoye de mon .*"
    r"|enviado desde mi .*|inviato da .*)$"
)
_HTML = re.compile(r"<(?:html|body|div|p|br|table|span|blockquote)\b[^>]*>", re.IGNORECASE)
_HIDDEN_HTML = re.compile(
    r"<(style|script|head|title|blockquote)\b.*?</\1>|<!--.*?-->|<div[^>]*class=\"?gmail_quote.*",
    re.IGNORECASE | re.DOTALL,
)
_SPACED_OUT = re.compile(r"\b(?:[a-z] ){4,}[a-z]\b")
_SENTENCES = re.compile(r"[.!?;\n]+")
_YES = frozenset(
    {
        "yes",
        "yes please",
        "sure",
        "absolutely",
        "definitely",
        "go ahead",
        "of course",
        "interested",
        "yes interested",
    }
)


@dataclass(frozen=True, slots=True)
class Classified:
    """A reply's class. `also` are further classes that its words speak for; `rule` names the evidence."""

    reply: ReplyClass
    confidence: float
    rule: str
    also: tuple[ReplyClass, ...] = ()
    to_confirm: bool = False  # an opt-out inside a longer text: stopped, a person confirms the suppression
    return_on: str = ""  # ISO 8601 date, of an absence that names one


def classify(
    subject: str, text: str, headers: Mapping[str, str] | None = None, *, received: date | None = None
) -> Classified:
    """The one class of a reply. `received` is the day it came, needed to understand a date without a year."""
    known = {name.lower(): value for name, value in (headers or {}).items()}
    title = _folded(subject)
    if is_feedback_report(known):
        return Classified("complaint", 0.99, "complaint.feedback_report")
    if is_bounce(title, known):
        return Classified("bounce", 0.99, "bounce.delivery_status")
    newest = _folded(newest_part(text))
    topic = _ANSWER.sub("", title)
    # Under "Re:" stands our own subject, which says nothing of theirs, except when it is the opt-out itself.
    own_topic = topic if topic == title or _bare(topic) in EXACT_OPT_OUT else ""
    whole = f"{own_topic}\n{newest}".strip()
    return (
        _stopping(own_topic, newest, whole)
        or _automatic(title, newest, known, received)
        or _conversation(newest or own_topic)
    )


def newest_part(text: str) -> str:
    """What the person wrote now: without quotes, signature and markup, above or below the quoted mail."""
    plain = _without_html(clean(text[:MOST]))
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


def action_for(found: Classified, rules: Rules) -> ReplyAction:
    """What the configured table does with a class."""
    return rules.routing.replies[found.reply]


def suppresses(found: Classified, rules: Rules) -> bool:
    """Whether the address goes on the suppression list at once, without a person."""
    return action_for(found, rules).suppress and not found.to_confirm


def pause_until(found: Classified, received: date, rules: Rules) -> date:
    """When a sequence may go on after an absence: the next business day after the return, within the cap."""
    limits = rules.routing.out_of_office
    back = date.fromisoformat(found.return_on) if found.return_on else None
    if back is None:
        return received + timedelta(days=limits.without_date_days)
    until = min(
        back + timedelta(days=limits.days_after_return), received + timedelta(days=limits.longest_pause_days)
    )
    return until + timedelta(days=max(0, 7 - until.weekday())) if until.weekday() > 4 else until


# ── reading ──────────────────────────────────────────────────────────────────────────────────────────────
def _folded(text: str) -> str:
    plain = fold(text).replace("’", "'").replace("‘", "'").replace("`", "'")
    plain = _SPACED_OUT.sub(lambda found: found[0].replace(" ", ""), plain)
    plain = re.sub(r"\b(do|does|did|is|are|was|were|wo|ca|would|should|could|have|has)n't\b", r"\1nt", plain)
    plain = re.sub(r"\b(i|we|you|let|id)'(m|d|ll|re|s|ve)\b", r"\1\2", plain)
    return re.sub(r"[ \t]+", " ", plain).strip()


def _without_html(text: str) -> str:
    if not _HTML.search(text):
        return text
    text = _HIDDEN_HTML.sub(" ", text)
    text = re.sub(r"<(?:br|/p|/div|/tr|/li)\b[^>]*>", "\n", text, flags=re.IGNORECASE)
    return html.unescape(re.sub(r"<[^>]{0,2000}>", " ", text))


def _starts_quote(lines: list[str], number: int) -> bool:
    """A line that introduces the quoted mail; "On … wrote:" may be wrapped over three lines."""
    line = fold(lines[number])
    if _QUOTE_LINE.match(line) or _QUOTED_BY.match(line):
        return True
    joined = [fold(" ".join(lines[number : number + span])) for span in (1, 2, 3)]
    return any(_QUOTE_HEAD.match(text) for text in joined)


def _below(lines: list[str]) -> list[str]:
    """What stands under a quote that marks its lines with ">"; nothing where the quote isn't marked."""
    marked = [number for number, line in enumerate(lines) if line.lstrip().startswith(">")]
    return [line for line in lines[marked[-1] + 1 :] if line.strip()] if marked else []


def _bare(text: str) -> str:
    """A sentence without punctuation and courtesies."""
    words = re.sub(r"[^\w ]+", " ", text.replace("n't", "nt").replace("'", " "))
    return " ".join(COURTESIES.sub(" ", " ".join(words.split())).split())


# ── what stops mail ──────────────────────────────────────────────────────────────────────────────────────
def _stopping(topic: str, newest: str, whole: str) -> Classified | None:
    asked = KEEPS.sub(" ", whole)
    legal = _first(LEGAL, asked)
    hostile = _first(HOSTILE, asked)
    also = tuple(sign.reply for sign in (hostile,) if sign)
    if legal:
        return Classified("legal_threat", legal.confidence, legal.id, also)
    if (
        _is_exact(newest)
        or (_is_exact(topic) and not newest)
        or (_is_exact(topic) and len(newest.split()) <= _SHORT)
    ):
        return Classified("unsubscribe", 0.99, "unsubscribe.exact", also)
    fuzzy = _first(FUZZY_OPT_OUT, asked)
    if fuzzy or any(_bare(part) in EXACT_OPT_OUT for part in _SENTENCES.split(newest)):
        return Classified(
            "unsubscribe", 0.85, fuzzy.id if fuzzy else "unsubscribe.sentence", also, to_confirm=True
        )
    return Classified(hostile.reply, hostile.confidence, hostile.id) if hostile else None


def _is_exact(text: str) -> bool:
    """The whole text, or a sentence of a short one, is an opt-out and nothing else."""
    if _bare(text) in EXACT_OPT_OUT:
        return True
    if len(text.split()) > _SHORT or KEEPS.search(text):
        return False
    parts = (_bare(part) for part in _SENTENCES.split(text))
    return any(part in EXACT_OPT_OUT and part not in ONLY_ALONE for part in parts)


def _first(signs: Iterable[Sign], text: str) -> Sign | None:
    return next((sign for sign in signs if sign.pattern.search(text)), None)


# ── machines ─────────────────────────────────────────────────────────────────────────────────────────────
def _automatic(
    subject: str, newest: str, headers: Mapping[str, str], received: date | None
) -> Classified | None:
    """Sure by header or subject; by the body alone where two signs agree and nobody proposes a meeting."""
    away = OUT_SUBJECT.search(subject) is not None or OUT_BODY.search(newest) is not None
    by_header, by_subject = is_automatic(headers), AUTO_SUBJECT.search(subject) or OUT_SUBJECT.search(subject)
    if not (by_header or by_subject):
        written_by_hand = any(s.reply in {"meeting_request", "positive_interest"} for s in _signs(newest))
        if not (OUT_BODY.search(newest) and OUT_EXTRA.search(newest)) or written_by_hand:
            return None
    if LEFT.pattern.search(newest):
        return Classified("left_company", LEFT.confidence, LEFT.id)
    back = return_date(newest, received) if received else None
    rule = "header" if by_header else "subject" if by_subject else "body"
    if away or back:
        day = back.isoformat() if back else ""
        return Classified(
            "out_of_office", 0.8 if rule == "body" else 0.99, f"out_of_office.{rule}", return_on=day
        )
    return Classified("auto_reply", 0.95, f"auto_reply.{rule}")


# ── people ───────────────────────────────────────────────────────────────────────────────────────────────
def _conversation(newest: str) -> Classified:
    found = list(_signs(newest))
    if LEFT.pattern.search(newest):
        found.insert(0, LEFT)
    if not found:
        return Classified("unknown", 0.0, "unknown.no_sign")
    also = tuple(dict.fromkeys(sign.reply for sign in found[1:] if sign.reply != found[0].reply))
    # A yes and a no in one answer: a person should read it.
    torn = "not_interested" in also and found[0].reply in {"positive_interest", "meeting_request"}
    return Classified(found[0].reply, 0.5 if torn else found[0].confidence, found[0].id, also)


def _signs(text: str) -> Iterable[Sign]:
    """Every sign in a text, in order of precedence; a yes counts where it isn't negated or asked."""
    flat = text.replace("\n", " . ")
    said = re.sub(r"\binterested ?\?", " ", NEGATED.sub(" ", flat))
    lines = [_bare_keeping_no(part) for part in _SENTENCES.split(text)]
    confirmed = {_bare_keeping_no(part) for part in _SENTENCES.split(said)}
    for sign in CONVERSATION:
        if sign.reply in NEEDS_YES:
            found = sign.pattern.search(said) or any(sign.pattern.search(line) for line in confirmed & _YES)
        else:
            found = sign.pattern.search(flat) or any(map(sign.pattern.search, lines))
        if found:
            yield sign


def _bare_keeping_no(text: str) -> str:
    return " ".join(re.sub(r"[^\w' ]+", " ", text).split())
