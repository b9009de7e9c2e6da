"""What an answer means: one class by precedence, with the rule that decided and never a copy of the text.

    bounce, complaint report → legal, opt-out → hostile → automatic → left, referral → meeting → interest
    → questions → objections → later → no → unknown

Rules alone decide what stops mail. An opt-out that is the whole answer suppresses; one in a longer text stops
the sequence at once, and a person confirms it. A reply is data: nothing in it is ever followed.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from orchestrator.absence import (
    AUTO_BODY,
    AUTO_SUBJECT,
    AUTO_TITLE,
    BACK,
    OUT_BODY,
    OUT_EXTRA,
    OUT_SUBJECT,
    is_automatic,
    is_bounce,
    is_feedback_report,
    return_date,
)
from orchestrator.asking_to_stop import asks, asks_plainly
from orchestrator.away_phrases import AWAY, FIRST_PERSON, LATER, RECEIPT, TALKS, TITLE
from orchestrator.newest import newest_part, read_mail
from orchestrator.opt_out_phrases import OTHERS, POLITE, WIDE
from orchestrator.reply_phrases import CONVERSATION, LEFT, NEEDS_YES, NEGATED
from orchestrator.rules import ReplyAction, ReplyClass, Rules
from orchestrator.set_aside import set_aside
from orchestrator.stop_phrases import (
    COURTESIES,
    DATA_QUESTIONS,
    EXACT_OPT_OUT,
    FUZZY_OPT_OUT,
    HOSTILE,
    KEEPS,
    LEGAL,
    ONLY_ALONE,
    Sign,
)
from orchestrator.titles import fold
from orchestrator.weariness_phrases import WEARY
from shared.feedback import read_feedback

_SHORT = 25  # words up to which a sentence that asks to stop is the whole answer
_NOTICE = 80  # words of a note that somebody is away
_SIGNATURE_LINES, _SIGNATURE_WORDS = 6, 5  # of a name with its title and company
_ANSWER = re.compile(r"^(?:(?:re|aw|antw|sv|rv|tr|fwd?|wg|vs)\s*(?:\[\d+\])?:\s*)+")
_SIGNALS = re.compile(r"[\s\ufe0f🛑⛔🚫]+")  # a text that is nothing but the sign
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
    subject: str,
    text: str,
    headers: Mapping[str, str] | None = None,
    *,
    received: date | None = None,
    told_automatic: bool = False,
) -> Classified:
    """The one class of a reply, or of a whole message with its headers.

    `received` is the day it came, needed to understand a date without a year. `told_automatic`: the vendor takes it
    for a machine's, which is believed where nobody shows interest.
    """
    mail = read_mail(text)
    known = {**mail.headers, **{name.lower(): value for name, value in (headers or {}).items()}}
    title = _folded(subject or mail.subject)
    report = read_feedback(text)
    if report.meaning == "complaint" if report else is_feedback_report(known):
        return Classified("complaint", 0.99, "complaint.feedback_report")
    if is_bounce(title, known):
        return Classified("bounce", 0.99, "bounce.delivery_status")
    newest = _folded(newest_part(mail.text))
    topic = _ANSWER.sub("", title)
    # Under "Re:" stands our own subject, which says nothing of theirs, except when it is the opt-out itself.
    own_topic = topic if topic == title or _bare(topic) in EXACT_OPT_OUT else ""
    whole = f"{own_topic}\n{newest}".strip()
    evidence = "header" if is_automatic(known) else "vendor" if told_automatic else ""
    machine = bool(evidence) or _by_title(title)
    return (
        _stopping(own_topic, newest, whole, machine=machine)
        or _automatic(title, newest, evidence, received)
        or _conversation(newest or own_topic)
    )


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
    plain = re.sub(
        r"\b(do|does|did|is|are|was|were|wo|ca|would|should|could|have|has|had|need|must)n't\b",
        r"\1nt",
        plain,
    )
    plain = re.sub(r"\b(i|we|you|let|id)'(m|d|ll|re|s|ve)\b", r"\1\2", plain)
    if plain.strip() and _SIGNALS.fullmatch(plain):
        return "stop"
    return re.sub(r"[ \t]+", " ", plain).strip()


def _bare(text: str) -> str:
    """A sentence without punctuation and courtesies."""
    words = re.sub(r"[^\w ]+", " ", text.replace("n't", "nt").replace("'", " "))
    return " ".join(COURTESIES.sub(" ", " ".join(words.split())).split())


# ── what stops mail ──────────────────────────────────────────────────────────────────────────────────────
def _stopping(topic: str, newest: str, whole: str, *, machine: bool) -> Classified | None:
    """What ends contact. A machine has had enough of nothing; what it says in so many words counts all the same."""
    newest, whole = (set_aside(text, machine=machine) for text in (newest, whole))
    asked = POLITE.sub(" please ", OTHERS.sub(" ", KEEPS.sub(" ", whole)))
    hostile = _first(HOSTILE, asked)
    also = tuple(sign.reply for sign in (hostile,) if sign)
    if legal := _first(LEGAL, asked):
        return Classified("legal_threat", legal.confidence, legal.id, also)
    question = _first(DATA_QUESTIONS, asked)
    also = (*also, *(sign.reply for sign in (question,) if sign))
    alone = _is_exact(topic) and (not newest or len(newest.split()) <= _SHORT)
    if _is_exact(newest) or alone:
        return Classified("unsubscribe", 0.99, "unsubscribe.exact", also)
    signs = (*FUZZY_OPT_OUT, *WIDE, *(() if machine else WEARY))
    fuzzy = _first(signs, asked)
    if (
        fuzzy
        or (not machine and asks(asked))
        or any(_bare(part) in EXACT_OPT_OUT for part in _SENTENCES.split(newest))
    ):
        rule = fuzzy.id if fuzzy else "unsubscribe.sentence"
        return Classified("unsubscribe", 0.85, rule, also, to_confirm=True)
    found = question or hostile
    return Classified(found.reply, found.confidence, found.id) if found else None


def _is_exact(text: str) -> bool:
    """The whole text, or a sentence of a short one, is an opt-out and nothing else."""
    if _bare(text) in EXACT_OPT_OUT:
        return True
    if len(text.split()) > _SHORT or KEEPS.search(text):
        return False
    parts = [_bare(part) for part in _SENTENCES.split(text)]
    if any(part in EXACT_OPT_OUT and part not in ONLY_ALONE for part in parts):
        return True
    alone = [part for part in map(_bare, _SENTENCES.split(_signed_off(text))) if part]
    return bool(alone) and "?" not in text and all(map(asks_plainly, alone))


def _signed_off(text: str) -> str:
    """A short text without what follows a line of nothing but courtesy: a name, a title, a company."""
    lines = text.split("\n")
    written = [number for number, line in enumerate(lines) if _bare(line)]
    ends = (
        at
        for at, line in enumerate(lines)
        if written and at > written[0] and line.strip() and not _bare(line)
    )
    end = next(ends, len(lines))
    rest = [line for line in lines[end:] if line.strip()]
    is_name = len(rest) <= _SIGNATURE_LINES and all(len(line.split()) <= _SIGNATURE_WORDS for line in rest)
    return "\n".join(lines[:end]) if is_name else text


def _first(signs: Iterable[Sign], text: str) -> Sign | None:
    return next((sign for sign in signs if sign.pattern.search(text)), None)


# ── machines ─────────────────────────────────────────────────────────────────────────────────────────────
def _automatic(subject: str, newest: str, evidence: str, received: date | None) -> Classified | None:
    """Sure by header or subject; by the vendor's word or the body alone where nobody shows interest."""
    away = OUT_SUBJECT.search(subject) is not None or OUT_BODY.search(newest) is not None
    absent = TITLE.search(subject) is not None or AWAY.search(newest) is not None
    if evidence != "header" and _by_title(subject):
        evidence = "subject"
    if evidence not in {"header", "subject"}:
        by_hand = any(s.reply in {"meeting_request", "positive_interest"} for s in _signs(newest))
        two_signs = (away and OUT_EXTRA.search(newest)) or (absent and _is_absence(newest, received))
        if by_hand or not (evidence or two_signs or AUTO_BODY.search(newest)):
            return None
    if LEFT.pattern.search(newest):
        return Classified("left_company", LEFT.confidence, LEFT.id)
    back = _back(subject, newest, received)
    # A machine that speaks for one person, and of no receipt, says that this person can't answer.
    by_itself = bool(evidence) and FIRST_PERSON.search(newest) is not None and RECEIPT.search(newest) is None
    away = away or absent or by_itself
    rule = evidence or "body"
    receipt = AUTO_TITLE.search(subject) or AUTO_BODY.search(newest)
    if away or (not receipt and (back or (evidence and BACK.search(newest)))):
        day = back.isoformat() if back else ""
        confidence = 0.99 if rule in {"header", "subject"} else 0.8
        return Classified("out_of_office", confidence, f"out_of_office.{rule}", return_on=day)
    return Classified("auto_reply", 0.95, f"auto_reply.{rule}")


def _back(subject: str, newest: str, received: date | None) -> date | None:
    """The day of return that the text names, or else the title of a machine's mail."""
    if received is None:
        return None
    return return_date(newest, received) or (return_date(subject, received) if _by_title(subject) else None)


def _by_title(subject: str) -> bool:
    return any(pattern.search(subject) for pattern in (AUTO_SUBJECT, OUT_SUBJECT, TITLE, AUTO_TITLE))


def _is_absence(newest: str, received: date | None) -> bool:
    """A short text that says somebody is away and until when, or what happens meanwhile, and talks to nobody."""
    if len(newest.split()) > _NOTICE or TALKS.search(newest):
        return False
    return LATER.search(newest) is not None or (
        received is not None and return_date(newest, received) is not None
    )


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
