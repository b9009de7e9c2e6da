"""The words of a campaign before they are filled in for anybody: from a template, or written by an agent. Pure.

    texts (per variant and step, with variables) ─ fill for one person ─▶ messages, footer added by us
                                                 ─ compare ─▶ how much changed, and where

Whoever wrote them, variables are the only thing that differs from person to person, and the footer is never theirs.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal, cast, get_args

from pydantic import TypeAdapter

from orchestrator.campaigns import VARIANTS, Campaign, Variant
from orchestrator.normalise import within
from orchestrator.outreach_rules import Depth
from orchestrator.rendering import DEPTHS, ending, fill, needs_notice, variables, with_fallbacks
from orchestrator.rules import VARIABLE, VARIABLES, MessageTemplate, Rules, Sentence
from orchestrator.wording import hosts, sentences
from shared.effect import fingerprint
from shared.errors import Invalid
from shared.foreign import clean
from shared.lead import Lead
from shared.ports import Message

GREETING = re.compile(r"^\S+( \S+)?,$")  # what is left of a greeting once its name is: "Hi {{ … }},"
MOST_BODY, MOST_SUBJECT = 4_000, 150


@dataclass(frozen=True, slots=True)
class Text:
    """One message before it is filled in; an empty subject continues the thread."""

    subject: str
    body: str


Texts = Mapping[Variant, tuple[Text, ...]]
TEXTS: TypeAdapter[dict[Variant, tuple[Text, ...]]] = TypeAdapter(dict[Variant, tuple[Text, ...]])


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of a comparison."""

    kind: Literal["same", "gone", "new"]
    text: str


@dataclass(frozen=True, slots=True)
class Change:
    """One message beside the one it departs from. `percent` of its words differ."""

    variant: Variant
    step: int
    percent: float
    subject: tuple[Segment, ...]
    body: tuple[Segment, ...]


def print_of(texts: Texts) -> str:
    """The texts by their content."""
    return fingerprint(TEXTS.dump_python(dict(texts), mode="json"))


# ── where texts come from ────────────────────────────────────────────────────────────────────────────────
def of_template(campaign: Campaign, rules: Rules) -> Texts:
    """What the campaign's template says at its depth, with variables as they stand there."""
    template = rules.templates[campaign.template or campaign.type]
    steps = len(campaign.day_offsets)
    return {
        variant: tuple(
            _text(message, campaign.depth) for message in template.variants[variant].messages[:steps]
        )
        for variant in VARIANTS
    }


def _text(message: MessageTemplate, depth: Depth) -> Text:
    reached = [line for line in message.subject if DEPTHS.index(line.depth) <= DEPTHS.index(depth)]
    paragraphs = (" ".join(said for line in lines if (said := _said(line, depth))) for lines in message.body)
    return Text(reached[0].text if reached else "", "\n\n".join(part for part in paragraphs if part))


def _said(line: Sentence, depth: Depth) -> str:
    return line.text if DEPTHS.index(line.depth) <= DEPTHS.index(depth) else line.instead


def merged(before: Texts, given: Iterable[tuple[Variant, int, Text]], steps: int) -> Texts:
    """The texts with some messages written anew. `Invalid` for a step that the sequence hasn't, or one given twice."""
    made = {variant: list(before[variant]) for variant in VARIANTS}
    seen: set[tuple[Variant, int]] = set()
    for number, (variant, step, text) in enumerate(given):
        where = f"messages.{number}.step"
        if not 1 <= step <= steps:
            raise Invalid(f"this sequence has the steps 1 to {steps}", field=where, code="no_such_step")
        if (variant, step) in seen:
            raise Invalid("this step is given twice for its variant", field=where, code="twice")
        seen.add((variant, step))
        made[variant][step - 1] = text
    return {variant: tuple(texts) for variant, texts in made.items()}


def tidy(subject: str, body: str) -> Text:
    """Text as it is stored: no hidden characters, plain line ends, no room around it."""
    paragraphs = [" ".join(part.split()) for part in clean(body).replace("\r\n", "\n").split("\n\n")]
    return Text(" ".join(clean(subject).split()), "\n\n".join(part for part in paragraphs if part))


# ── what may stand in one ────────────────────────────────────────────────────────────────────────────────
def refuse_unfit(texts: Texts, campaign: Campaign, rules: Rules) -> None:
    """`Invalid`, with its place, for what no message may hold whoever gets it."""
    for variant in VARIANTS:
        for step, text in enumerate(texts[variant], 1):
            where = f"variant {variant}, step {step}"
            _refuse_shape(text, step, where)
            for part in (text.subject, text.body):
                _refuse_variables(part, campaign, rules, where)
            _refuse_links(text, rules, where)


def _refuse_shape(text: Text, step: int, where: str) -> None:
    if step == 1 and not text.subject:
        raise Invalid(f"{where}: the first message needs a subject", field="messages", code="empty_subject")
    if not text.body:
        raise Invalid(f"{where}: the body is empty", field="messages", code="empty_body")
    if len(text.subject) > MOST_SUBJECT or len(text.body) > MOST_BODY:
        message = f"{where}: at most {MOST_SUBJECT} characters of subject and {MOST_BODY} of body"
        raise Invalid(message, field="messages", code="too_long")


def _refuse_variables(part: str, campaign: Campaign, rules: Rules, where: str) -> None:
    named = set(VARIABLE.findall(part))
    if unknown := sorted(named - VARIABLES):
        message = f"{where}: there is no variable {unknown[0]}"
        raise Invalid(message, field="messages", code="unknown_variable")
    if "{" in VARIABLE.sub("", part) or "}" in VARIABLE.sub("", part):
        message = f"{where}: a brace that belongs to no variable"
        raise Invalid(message, field="messages", code="brace")
    levels = DEPTHS[: DEPTHS.index(campaign.depth) + 1]
    allowed = {name for depth in levels for name in rules.outreach.personalisation[depth]}
    deep = sorted(name for name in named - allowed if not name.startswith("sender."))
    if deep:
        message = f"{where}: depth {campaign.depth} may not name {deep[0]}"
        raise Invalid(message, field="messages", code="too_deep")


def _refuse_links(text: Text, rules: Rules, where: str) -> None:
    """Words written by an agent may point to our own places only: a link is a way for data to leave."""
    ours = rules.outreach.agent_link_hosts
    told = VARIABLE.sub("x", f"{text.subject}\n{text.body}")  # "source.name" is no host
    if any(not within(host, ours) for host in hosts(told)):
        message = f"{where}: links may point to {', '.join(sorted(ours))} only"
        raise Invalid(message, field="messages", code="strange_link")


# ── filling one in ───────────────────────────────────────────────────────────────────────────────────────
def write(
    lead: Lead, campaign: Campaign, texts: Sequence[Text], rules: Rules, *, unsubscribe_url: str = ""
) -> tuple[Message, ...]:
    """Every message as one lead would get it: values or fallbacks for variables, the footer below."""
    kind = campaign.template or campaign.type
    values = variables(lead, rules, unsubscribe_url=unsubscribe_url, hook=campaign.hook, kind=kind)
    known = with_fallbacks(values, rules)
    made = []
    for number, text in enumerate(texts):
        paragraphs = [_paragraph(part, known, rules) for part in text.body.split("\n\n")]
        notice = not number and needs_notice(lead, rules)
        paragraphs += ending(rules.outreach.compliance, values, notice=notice)
        body = "\n\n".join(part for part in paragraphs if part)
        made.append(Message(subject=_subject(text, known, rules), body=body))
    return tuple(made)


def _paragraph(text: str, known: Mapping[str, str], rules: Rules) -> str:
    """The paragraph without the sentences whose variable nobody knows; a greeting without a name greets without one."""
    if not VARIABLE.search(text):
        return text
    if GREETING.match(VARIABLE.sub("x", text)) and not fill(text, known):
        return rules.outreach.greeting_without_name
    return " ".join(made for part in sentences(text) if (made := fill(part.strip(), known)))


def _subject(text: Text, known: Mapping[str, str], rules: Rules) -> str:
    """The subject; where a variable of it is unknown, what the configuration has instead."""
    if not text.subject:
        return ""
    return fill(text.subject, known) or rules.outreach.subject_without_value


# ── comparing two ────────────────────────────────────────────────────────────────────────────────────────
def changes(before: Texts, after: Texts) -> tuple[Change, ...]:
    """Every message beside the one that stands in its place."""
    return tuple(
        _change(variant, step, old, new)
        for variant in cast("tuple[Variant, ...]", get_args(Variant))
        for step, (old, new) in enumerate(zip(before.get(variant, ()), after[variant], strict=False), 1)
    )


def most_changed(compared: Iterable[Change]) -> float:
    """The change of the message that changed most: one that is rewritten isn't hidden by seven that are not."""
    return max((change.percent for change in compared), default=100.0)


def _change(variant: Variant, step: int, old: Text, new: Text) -> Change:
    before, after = _words(f"{old.subject}\n\n{old.body}"), _words(f"{new.subject}\n\n{new.body}")
    ratio = SequenceMatcher(None, before, after, autojunk=False).ratio()
    return Change(
        variant,
        step,
        round(100 * (1 - ratio), 1),
        segments(old.subject, new.subject),
        segments(old.body, new.body),
    )


def _words(text: str) -> list[str]:
    return re.findall(r"\{\{[^}]*\}\}|\w+|[^\w\s]", text)


def segments(before: str, after: str) -> tuple[Segment, ...]:
    """What of one text is gone, new or the same in the other, word by word, with the spaces between them."""
    old, new = (
        re.findall(r"\s+|\{\{[^}]*\}\}|[^\s{]+|\{", before),
        re.findall(r"\s+|\{\{[^}]*\}\}|[^\s{]+|\{", after),
    )
    found: list[Segment] = []
    for kind, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            found.append(Segment("same", "".join(old[a:b])))
            continue
        found += [Segment("gone", "".join(old[a:b]))] if b > a else []
        found += [Segment("new", "".join(new[c:d]))] if d > c else []
    return tuple(found)
