"""What may be wrong with the words: in each message by itself, never in variants taken together."""

import re
from collections.abc import Iterable

from orchestrator.finding import Case, Finding, Rule, place
from orchestrator.normalise import within
from orchestrator.titles import phrase
from orchestrator.wording import (
    WORDINGS,
    banned,
    hosts,
    links,
    sentences,
    shouts,
    tells_opt_out,
    uncited_statistic,
)
from orchestrator.wording_abroad import WORDINGS_ABROAD
from shared.ports import Message

_FOOTER_LINES = 6
_MARKED_LINK = re.compile(r"\[([^\]\n]*)\]\((https?://[^)\s]+)\)", re.IGNORECASE)


def _each(case: Case) -> Iterable[tuple[int, Message]]:
    return enumerate(case.messages, 1)


def _parts(case: Case) -> Iterable[tuple[str, str, str]]:
    """Subject and body of each message, with how a finding names the place."""
    for number, message in _each(case):
        if message.subject:
            yield "subject", message.subject, place(number, "subject")
        yield "body", message.body, place(number, "body")


def _wording(case: Case) -> Iterable[Finding]:
    for part, text, where in _parts(case):
        for rule in (*WORDINGS, *WORDINGS_ABROAD):
            if rule.part in {part, "both"} and rule.found(text):
                yield Finding(rule.code, rule.severity, where, rule.why, rule.fix)


def _claims(case: Case) -> Iterable[Finding]:
    compliance = case.rules.outreach.compliance
    for _, text, where in _parts(case):
        if uncited_statistic(text, compliance):
            yield Finding(
                "uncited_statistic",
                "block",
                where,
                "a figure without its source",
                "name the source in the sentence, or add the claim with its source to outreach.yaml",
            )
        for words, severity, why in banned(text, compliance):
            yield Finding("banned_phrase", severity, where, f'"{words}": {why}', "say it in other words")


# What a sentence says of the company or the person, and the recorded signals or sources of which one must bear it out.
_FACTS: tuple[tuple[re.Pattern[str], frozenset[str]], ...] = (
    (
        re.compile(
            r"\b(?:funding|series [a-e]\b|raised (?:money|a round|\$)|investment round|finanzierungsrunde"
            r"|levée de fonds|ronda de (?:financiación|inversión))",
            re.IGNORECASE,
        ),
        frozenset({"funded_recently"}),
    ),
    (
        re.compile(r"\byou(?:'re|’re| are) hiring\b|\byour (?:open )?job (?:ad|posting)", re.IGNORECASE),
        frozenset({"hiring_revops", "hiring_sales"}),
    ),
    (
        re.compile(r"\byour (?:recent |new )?(?:product )?launch\b", re.IGNORECASE),
        frozenset({"product_launch"}),
    ),
    (
        re.compile(
            r"\b(?:congratulations|congrats) on (?:your|the) (?:new (?:role|job)|promotion)", re.IGNORECASE
        ),
        frozenset({"new_cro", "new_vp_sales"}),
    ),
    (re.compile(r"\byou(?:'ve|’ve| have)? downloaded\b", re.IGNORECASE), frozenset({"content_downloader"})),
)
# A sentence about companies at large says nothing of this one.
_AT_LARGE = re.compile(
    r"^\W*(?:many|most|some|other|viele|manche|beaucoup|muchas|algunas)\s(?:de\s|d['’])?"
    r"(?:companies|teams|firms|start-?ups|unternehmen|firmen|entreprises|sociétés|équipes|empresas)\b"
    r"(?![^\n]*\b(?:you|yours?|ihr\w*|votre|vos|su)\b)",
    re.IGNORECASE,
)


def _facts(case: Case) -> Iterable[Finding]:
    lead = case.lead
    on_record = {name for name, true in lead.signals.items() if true} | {one.type for one in lead.sources}
    for _, text, where in _parts(case):
        said = [part for part in sentences(text) if not _AT_LARGE.match(part)]
        for pattern, proofs in _FACTS:
            if any(pattern.search(part) for part in said) and not proofs & on_record:
                yield Finding(
                    "unfounded_claim",
                    "block",
                    where,
                    "it says something of the company or the person that isn't on record",
                    "leave it out, or record the fact with its source",
                )


def _subject(case: Case) -> Iterable[Finding]:
    for number, message in _each(case):
        where = place(number, "subject")
        if number == 1 and not message.subject.strip():
            yield Finding("empty_subject", "block", where, "the first message has no subject", "write one")
        if shouts(message.subject):
            why = "a subject in capitals reads as shouting and as spam"
            yield Finding("all_caps", "block", where, why, "write it in sentence case")
        known = phrase(message.subject)
        if any(name in known for name in case.rules.competitor_names):
            yield Finding(
                "competitor_in_subject", "block", where, "another vendor's name in the subject", "take it out"
            )
        if re.search(r"[\r\n\x00\x0b\x0c\x1c-\x1e\x85\u2028\u2029]", message.subject):
            yield Finding(
                "header_injection",
                "block",
                where,
                "a line break could add headers to the mail",
                "put it on one line",
            )


def _bodies(case: Case) -> Iterable[Finding]:
    if not case.messages:
        yield Finding(
            "no_messages", "block", "messages", "there is nothing to send", "render the messages first"
        )
    sender, compliance = case.rules.outreach.sender, case.rules.outreach.compliance
    for number, message in _each(case):
        where = place(number, "body")
        lines = [line for line in message.body.splitlines() if line.strip()]
        linked = compliance.opt_out_with_link.partition("{{")[0]
        footer = {sender.postal_address, compliance.opt_out}
        said = [line for line in lines if line not in footer and not (linked and line.startswith(linked))]
        if len(" ".join(said).split()) < 5:
            yield Finding("empty_body", "block", where, "the message says nothing", "write it")
        if _squeezed(sender.postal_address) not in _squeezed(message.body):
            yield Finding(
                "no_postal_address",
                "block",
                where,
                "the sender's postal address is missing",
                "end with the address",
            )
        if not any(tells_opt_out(line) for line in lines[-_FOOTER_LINES:]):
            yield Finding(
                "no_opt_out",
                "block",
                where,
                "it doesn't say how to stop further mail",
                'end with a sentence such as: reply "unsubscribe" and I will not write again',
            )


def _squeezed(text: str) -> str:
    return " ".join(text.split())


def _links(case: Case) -> Iterable[Finding]:
    compliance = case.rules.outreach.compliance
    own = case.rules.outreach.sender.privacy_url
    for number, message in _each(case):
        where = place(number, "body")
        text = f"{message.subject}\n{message.body}"
        found = links(text)
        if any(within(host, compliance.shorteners) for host in hosts(text)):
            yield Finding(
                "link_shortener",
                "block",
                where,
                "a shortened link hides its target",
                "write the target itself",
            )
        if any(not url.lower().startswith("https://") for url in found):
            yield Finding("insecure_link", "hold", where, "a link without https", "use the https address")
        if any(
            re.match(r"https?://(?:\d+\.){3}\d+|https?://[^/]*xn--|https?://[^/]*@", url) for url in found
        ):
            yield Finding(
                "deceptive_link",
                "block",
                where,
                "a link that hides who is behind it",
                "link to the plain name",
            )
        if any(set(hosts(shown)) - set(hosts(target)[:1]) for shown, target in _MARKED_LINK.findall(text)):
            yield Finding(
                "deceptive_link",
                "block",
                where,
                "it shows another address than it leads to",
                "write the target itself",
            )
        if len([url for url in found if url != own]) > compliance.max_links:
            yield Finding(
                "many_links", "hold", where, "more links than mail filters like", "keep the one that matters"
            )


MESSAGE_RULES: tuple[Rule, ...] = (_wording, _claims, _facts, _subject, _bodies, _links)
