"""Messages out of templates: logic-less, and never with a hole in them.

A sentence is left out when a variable it names is unknown, or `instead` stands in. A value from outside that
could pass for markup, a link or a template counts as unknown: nothing from a profile reaches a message raw.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

from orchestrator.campaigns import Campaign, Variant
from orchestrator.countries import candidates
from orchestrator.normalise import first_name, plain
from orchestrator.outreach_rules import CampaignType, Competitor, Compliance, Depth, Sender
from orchestrator.rules import VARIABLE, MessageTemplate, Rules, Sentence
from orchestrator.scoring import has_phrase
from orchestrator.titles import phrase
from shared.errors import Invalid
from shared.lead import Lead, Source
from shared.ports import Message

SKIP = "skip"
DEPTHS: tuple[Depth, ...] = get_args(Depth)
_UNSAFE = re.compile(r"[<>{}\[\]|\\^`~*=%$#@;\"\n]|https?:|www\.|://", re.IGNORECASE)
# Inside a sentence it would read as if something had been left out.
_GAP = re.compile(r"\bNone\b|\bnull\b|\bnan\b|undefined|\.\.|,\s*,|\s,|\(\s*\)|\(\s|\s\)|^\)|\($")
_NOTHING = frozenset(
    {"", "none", "null", "nan", "n/a", "na", "undefined", "unknown", "-", "--", ".", "tbd", "test"}
)
_LONGEST = {"source.name": 80, "lead.title": 60, "lead.company": 60}
_DAY = re.compile(r"[12][0-9]{3}-[01][0-9]-[0-3][0-9](?![0-9])")
_EDGES = " ,.;:-–—/!?"  # a value stands inside a sentence that has its own
_TITLE_END = re.compile(r"\s*[|·•]\s*|\s+[@–—]\s+|\s+at\s+", re.IGNORECASE)


def render(
    lead: Lead, campaign: Campaign, variant: Variant, rules: Rules, *, unsubscribe_url: str = ""
) -> tuple[Message, ...]:
    """Every message of the sequence as one lead would get it; an empty subject continues the thread.

    The first one tells people in notice countries, and of unknown country, where their data came from.
    """
    template = rules.templates[campaign.template or campaign.type].variants[variant]
    kind = campaign.template or campaign.type
    values = variables(lead, rules, unsubscribe_url=unsubscribe_url, hook=campaign.hook, kind=kind)
    steps = template.messages[: len(campaign.day_offsets)]
    if len(steps) < len(campaign.day_offsets):
        raise Invalid("the sequence has more steps than the template has messages", field="day_offsets")
    page = _Page(campaign.depth, values, rules)
    return tuple(
        _message(step, page, notice=not number and needs_notice(lead, rules))
        for number, step in enumerate(steps)
    )


def render_answer(
    lead: Lead, paragraphs: Sequence[Sequence[Sentence]], kind: CampaignType, rules: Rules
) -> str:
    """The body of an answer, with signature, opt-out and postal address as in every message."""
    page = _Page("minimal", variables(lead, rules, kind=kind), rules)
    made = [_paragraph(lines, page) for lines in paragraphs]
    made += ending(rules.outreach.compliance, page.values, notice=False)
    return "\n\n".join(part for part in made if part)


@dataclass(frozen=True, slots=True)
class _Page:
    """What a sentence is written with."""

    depth: Depth
    values: Mapping[str, str]
    rules: Rules


def needs_notice(lead: Lead, rules: Rules) -> bool:
    """Whether the first message must say where the data is from: a sign of such a country, or none."""
    found = candidates(lead)
    return not found or not rules.outreach.compliance.notice_countries.isdisjoint(found)


def variables(
    lead: Lead, rules: Rules, *, kind: CampaignType, unsubscribe_url: str = "", hook: str = ""
) -> Mapping[str, str]:
    """Every variable that has a value fit to be printed; the others are not in the mapping.

    Of where they were seen, only what makes this `kind` of campaign fit is told: "you signed up for" is said of an
    event, never of a group. `hook` names the row of `industries` to speak from, instead of their own industry's.
    """
    sender = rules.outreach.sender
    found = {
        "lead.first_name": greeting_name(lead.first_name),
        "lead.last_name": lead.last_name,
        "lead.title": _TITLE_END.split(lead.title)[0],
        "lead.company": lead.company,
        "lead.industry": lead.industry,
        "company.industry": lead.industry,
        "company.size": str(lead.company_size) if lead.company_size > 0 else "",
        **_source_values(lead, rules, kind),
        **_context(lead, rules, hook),
    }
    safe = {name: _printable(name, value) for name, value in found.items()}
    return {name: value for name, value in (safe | _ours(sender, unsubscribe_url)).items() if value}


def greeting_name(name: str) -> str:
    """A first name to greet with, or nothing: initials, roles and e-mail addresses greet nobody."""
    known = first_name(name.partition(",")[0])
    letters = [char for char in known if char.isalpha()]
    if len(letters) == 1 and unicodedata.category(letters[0]) in {"Lu", "Ll"}:
        return ""
    return known


def _ours(sender: Sender, unsubscribe_url: str) -> dict[str, str]:
    return {
        "sender.first_name": sender.first_name,
        "sender.name": sender.name,
        "sender.title": sender.title,
        "sender.company": sender.company,
        "sender.offer": sender.offer,
        "sender.postal_address": sender.postal_address,
        "sender.privacy_url": sender.privacy_url,
        "sender.unsubscribe_url": unsubscribe_url,
    }


def _source_values(lead: Lead, rules: Rules, kind: CampaignType) -> dict[str, str]:
    outreach = rules.outreach
    fitting = outreach.campaign_sources.get(kind, ())
    source = next((seen for seen in lead.sources if seen.type in fitting), Source("unknown"))
    told = outreach.data_sources
    return {
        "source.name": source.name,
        "source.kind": "" if source.type == "unknown" else source.type.replace("_", " "),
        "source.data_source": told.get(lead.data_source, lead.data_source.replace("_", " ")),
        "source.collected_on": found[0] if (found := _DAY.match(lead.data_collected_at)) else "",
        "engagement.action": outreach.actions.get(source.type, ""),
    }


def context_key(lead: Lead, rules: Rules) -> str:
    """Which row of `industries` in outreach.yaml the lead's industry falls into."""
    industry = phrase(lead.industry)
    rows = rules.outreach.industries.items()
    return next(
        (name for name, row in rows if has_phrase(industry, row.phrases)), rules.outreach.default_industry
    )


def rival_of(lead: Lead, rules: Rules) -> Competitor | None:
    """The other vendor whom the lead follows, if we know one."""
    followed = [phrase(source.name) for source in lead.sources if source.type == "competitor_follower"]
    known = rules.outreach.competitors if followed else ()
    return next((c for c in known if any(phrase(name) in followed for name in c.names)), None)


def _context(lead: Lead, rules: Rules, hook: str) -> dict[str, str]:
    """What we may say by industry and by the vendor they follow; all of it our own configured words."""
    about = rules.outreach.industries[hook or context_key(lead, rules)]
    rival = rival_of(lead, rules)
    return {
        "context.hook": about.hook,
        "context.pain_point": about.pain_points[0],
        "context.second_pain_point": about.pain_points[1] if len(about.pain_points) > 1 else "",
        "context.value": about.value,
        "context.competitor": rival.names[0] if rival else "",
        "context.angle": rival.angle if rival else "",
        "context.news": _news(lead),
    }


def _news(lead: Lead) -> str:
    """Only what a recorded signal says of the company; nothing is made up."""
    if lead.signals.get("hiring_revops"):
        return "I also saw that you are hiring for revenue operations."
    if lead.signals.get("product_launch"):
        return "I also saw your recent product launch."
    return ""


def _printable(name: str, value: str) -> str:
    """The value on one line, or nothing where it is no value, or more than one."""
    text = plain(value).strip(_EDGES)
    nothing = text.casefold() in _NOTHING and name != "lead.last_name"
    if nothing or _UNSAFE.search(text) or _GAP.search(text) or len(text) > _LONGEST.get(name, 300):
        return ""
    return text if any(char.isalnum() for char in text) else ""


def _message(template: MessageTemplate, page: _Page, *, notice: bool) -> Message:
    paragraphs = [_paragraph(lines, page) for lines in template.body]
    paragraphs += ending(page.rules.outreach.compliance, page.values, notice=notice)
    fits = (line for line in template.subject if _reached(line, page.depth))
    subject = next((made for line in fits if (made := fill(line.text, page.values))), "")
    return Message(subject=subject, body="\n\n".join(part for part in paragraphs if part))


def _paragraph(lines: Sequence[Sentence], page: _Page) -> str:
    return " ".join(made for line in lines if (made := _sentence(line, page)))


def _reached(line: Sentence, depth: Depth) -> bool:
    return DEPTHS.index(line.depth) <= DEPTHS.index(depth)


def _sentence(line: Sentence, page: _Page) -> str:
    """The sentence; else what stands instead; else the sentence with the configured fallbacks; else nothing."""
    if not _reached(line, page.depth):
        return fill(line.instead, page.values)
    return (
        fill(line.text, page.values)
        or fill(line.instead, page.values)
        or fill(line.text, with_fallbacks(page.values, page.rules))
    )


def with_fallbacks(values: Mapping[str, str], rules: Rules) -> Mapping[str, str]:
    """Values, and what stands in for those that are missing; a variable that is to be skipped stays missing."""
    known = {name: text for name, text in rules.outreach.fallbacks.items() if text != SKIP}
    return {**known, **values}


def fill(text: str, values: Mapping[str, str]) -> str:
    """`text` with its variables filled in, or nothing when one is unknown."""
    if any(name not in values for name in VARIABLE.findall(text)):
        return ""
    return re.sub(r"\s+", " ", VARIABLE.sub(lambda found: values[found[1]], text)).strip()


def ending(compliance: Compliance, values: Mapping[str, str], *, notice: bool) -> list[str]:
    """Signature, notice, opt-out and postal address: the last lines of every message."""
    signature = "\n".join(made for line in compliance.signature if (made := fill(line, values)))
    told = fill(compliance.source_notice, values) or fill(compliance.source_notice_undated, values)
    opt_out = fill(compliance.opt_out_with_link, values) or fill(compliance.opt_out, values)
    return [signature, told if notice else "", f"{opt_out}\n{values['sender.postal_address']}"]
