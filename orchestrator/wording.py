"""What a message may not say: placeholders, failed merges, claims, urgency, links and hidden text.

Each rule takes a text and answers whether it is broken; `compliance` names where, why and how to fix it.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from orchestrator.outreach_rules import Compliance
from orchestrator.titles import phrase

Severity = Literal["block", "hold", "warn"]
Part = Literal["subject", "body", "both"]

# A sentence ends at a full stop, question or exclamation mark before space, or at a line's end.
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
_URL = re.compile(r"\bhttps?://[^\s<>\"')]+", re.IGNORECASE)
_HOST_LIKE = re.compile(r"(?<![@\w.-])(?:[a-z0-9-]+\.)+[a-z]{2,}(?=/[^\s]|\b)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Wording:
    """One forbidden wording: found in a whole text or, where `by_sentence`, in each sentence alone.

    What `excuse` matches is taken out before the pattern counts: "no guarantee" is no guarantee.
    """

    code: str
    severity: Severity
    part: Part
    pattern: re.Pattern[str]
    why: str
    fix: str
    by_sentence: bool = False
    excuse: re.Pattern[str] | None = None

    def found(self, text: str) -> bool:
        """Whether `text` has the wording."""
        if not self.pattern.search(text):
            return False
        parts = sentences(text) if self.by_sentence else (text,)
        return any(self.pattern.search(self.excuse.sub(" ", part) if self.excuse else part) for part in parts)


def _pattern(*patterns: str, flags: re.RegexFlag = re.IGNORECASE) -> re.Pattern[str]:
    return re.compile("|".join(patterns), flags)


def shouts(text: str) -> bool:
    """A text of nothing but capitals; an acronym such as CRM is no shouting."""
    letters = [char for char in text if char.isalpha()]
    return len(letters) >= 4 and text.upper() == text and text.lower() != text


def sentences(text: str) -> tuple[str, ...]:
    """The sentences of a text, one line never joined with the next."""
    return tuple(part for part in _SENTENCE.split(text) if part and part.strip())


_AMOUNT = (
    r"(?:[$€£]\s?)?\d[\d.,]*\s?(?:[mk]\b|million|hours?\b|days?\b|minutes?\b|dollars?\b|euros?\b|stunden\b|tage\b"
    r"|minuten\b|heures?\b|jours?\b|horas?\b|días?\b|minutos?\b)"
)
_STATISTIC = (
    r"\b\d[\d.,]*\s?(?:%|percent\b|per cent\b|percentage points?\b|prozent\b|pour cent\b|por ciento\b)"
    r"|\b(?:ten|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety)(?:-\w+)? (?:percent|per cent)\b"
    r"|\b(?:sav|los|wast|gain|recover|earn)(?:e|es|ed|ing|s)?\b[^.!?\n]{0,16}?" + _AMOUNT + r"|"
    r"\b(?:sparen|spart|gewinnen|verlieren|gagn\w+|économis\w+|perdent|ahorr\w+|ganan|pierden)\b"
    r"[^.!?\n]{0,16}?" + _AMOUNT + r"|" + _AMOUNT + r"[^.!?\n]{0,30}\b(?:sparen|spart|gespart)\b"
    r"|\b\d+(?:\.\d+)?x\b|\b\d+(?:\.\d+)? times (?:more|faster|higher|better|as|the)\b"
    r"|\b\d+ (?:out of|in) (?:every )?\d+\b"
    r"|\b(?:doubl|tripl|quadrupl)(?:e[sd]?|ing) (?:your|their|our|the|its)\b"
)
_CITED = re.compile(r"\bsources?:|\baccording to\b|\(\s*[A-Z][^)]*\b(?:19|20)\d\d\)|https://")
_STATISTIC_RULE = re.compile(_STATISTIC, re.IGNORECASE)

WORDINGS: tuple[Wording, ...] = (
    Wording(
        "placeholder",
        "block",
        "both",
        _pattern(
            r"\{\{|\}\}|\{%|%\}|<%|%>|\$\{|\*\||\|\*|#\{|%[A-Z_]{3,}%|%%\w+|\{[^{}\n]{0,60}\}",
            r"\[(?:[a-z]+[ _-])?(?:name|company|title|firstname|lastname|date|link|url|insert[^\]]*"
            r"|your [^\]]*)\]",
            r"<(?:first|last|company|your)[ _-]?\w*>|\bx{3,}\b|\[\[|\]\]|__\w+__|(?-i:\b(?:TODO|TBD|FIXME)\b)",
        ),
        "a placeholder was not filled in",
        "fill it in, or let the template skip the sentence",
    ),
    Wording(
        "merge_failure",
        "block",
        "both",
        _pattern(
            r"^\s*(?:hi|hey|dear)\s*[,.!:;–-]",
            r"^\s*(?:hello|good morning)\s+[,.!:;]",
            r"[ \t][,;](?=\s|$)",
            r"^\s*(?:hi|hey|dear|hello)[ ,]+(?:none|null|nan|undefined|n/a|unknown|first ?name|customer)\b",
            r"^\s*(?:hi|hey|dear|hello)\s+\S*@",
            r"\b(?:undefined|(?-i:NaN)|\[object Object\]|n/a)\b",
            flags=re.IGNORECASE | re.MULTILINE,
        ),
        "a value was missing when the text was made",
        "use a fallback that works without the value",
    ),
    Wording(
        "nothing_printed",
        "block",
        "both",
        _pattern(r"\bnull\b|(?<=[a-z,] )None\b", r"\bNone[,.](?=\s|$)", flags=re.NOFLAG),
        "a missing value was printed as a word",
        "use a fallback that works without the value",
        excuse=_pattern(r"\bnull and void\b|\b(?:gegen|bei|über|unter|auf) null\b"),
    ),
    Wording(
        "odd_greeting",
        "hold",
        "body",
        _pattern(
            r"^(?i:hi|hey|dear|hello)\s+[A-Z]{4,}\b",
            r"^(?i:hi|hey|dear|hello)\s+[A-Za-z]\.?,",
            r"^(?i:hi|hey|dear|hello)\s+(?i:info|sales|support|admin|team|office|contact|marketing|hr"
            r"|there)\b",
            flags=re.MULTILINE,
        ),
        "the greeting doesn't look like a person's name",
        "check the name, or greet without one",
    ),
    Wording(
        "mojibake",
        "block",
        "both",
        _pattern(r"Ã[\x80-\xbf©¨¼¶¤±]|â€|\ufffd|&(?:#\d+|[a-z]{2,6});"),
        "characters were damaged on the way",
        "read the source in its right encoding",
    ),
    Wording(
        "invisible_text",
        "block",
        "both",
        _pattern(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]"),
        "characters that nobody sees hide or reorder text",
        "remove them",
    ),
    Wording(
        "html",
        "block",
        "both",
        _pattern(r"</?[a-z][a-z0-9]*(?:\s[^<>]*)?/?>", r"<!--", r"<!doctype"),
        "markup may hide text, and messages are plain text",
        "write plain text",
    ),
    Wording(
        "lorem_ipsum",
        "block",
        "both",
        _pattern(r"\blorem\b|\bipsum\b|\bdolor sit amet\b"),
        "filler text was left in",
        "write the text",
    ),
    Wording(
        "fake_thread",
        "block",
        "subject",
        _pattern(r"^\W*(?:re|fwd?|aw|wg|sv|rv|tr|antw|vs|rif|doorst)\s*(?:[\[(]\d+[\])])?\s*[:：]"),
        "the subject pretends to answer or forward a message",
        "take Re: or Fwd: out",
    ),
    Wording(
        "many_exclamations",
        "warn",
        "both",
        _pattern(r"!{2,}|！{2,}"),
        "repeated exclamation marks look like spam",
        "use one, or none",
    ),
    Wording(
        "guarantee",
        "block",
        "both",
        _pattern(r"\bguarant(?:ee[sd]?|eeing|y)\b"),
        "an unqualified guarantee",
        "say what you do, not what will happen",
        by_sentence=True,
        excuse=_pattern(r"(?:\b(?:no|not|never|cannot|without(?: a)?)|n['’]t)\s+(?:\w+\s+)?guarantee[sd]?\b"),
    ),
    Wording(
        "superlative",
        "block",
        "both",
        _pattern(
            r"\b(?:the|our|world(?:'|’)?s|market(?:'|’)?s|industry(?:'|’)?s|europe(?:'|’)?s|america(?:'"
            r"|’)?s) (?:very )?best\b"
            r"(?! (?:way|time|day|person|people|contact|address|number|email|practices?|moment|place|step"
            r"|next|route|of luck|regards|wishes|part|if\b))",
            r"^the best (?:way|practices?|approach) (?:to|of|for)\b(?![^\n]*\?)",
            r"\bbest[- ](?:in[- ]class|of[- ]breed|ever|rated)\b",
            r"\b(?:is|are) simply (?:the )?best\b",
            r"\bwe(?: are|'re|’re) (?:the )?best\b",
            r"\bunbeatable\b|\bunrivall?ed\b|\bunmatched\b",
        ),
        'an unqualified "best"',
        "say what is different, in words that can be checked",
        by_sentence=True,
    ),
    Wording(
        "only_one",
        "block",
        "both",
        _pattern(
            r"\bthe only (?:\w+[ -]){0,2}(?:platform|solution|tool|company|vendor|product|service|software"
            r"|provider|team|partner|system|way)\b",
            r"\bonly we\b",
            r"\b(?:is|are|be) the only ones? (?:that|who|to)\b",
        ),
        'an unqualified "only"',
        "drop the claim to be alone",
        by_sentence=True,
    ),
    Wording(
        "number_one",
        "block",
        "both",
        _pattern(r"(?<![\w#])#\s?1\b(?![\d.,]\d)|\bnumber[- ]one\b|\bno\. ?1\b"),
        'an unqualified "#1"',
        "drop the rank, or cite who measured it",
        by_sentence=True,
        excuse=_pattern(
            r"\b(?:your|my|their|item|step|question|issue|point|option) (?:#\s?1|number[- ]one|no\. ?1)\b"
        ),
    ),
    Wording(
        "hundred_percent",
        "block",
        "both",
        _pattern(r"(?<![\d.,])100\s?(?:%|percent\b|per cent\b)"),
        'an unqualified "100 %"',
        "say what holds, and when it doesn't",
        by_sentence=True,
    ),
    Wording(
        "false_urgency",
        "block",
        "both",
        _pattern(
            r"\bonly today\b|\bor lose your (?:place|spot|seat)\b|\b(?:ends|expires) in \d+ (?:hours?|days?)\b"
            r"|\b(?:respond|reply|answer|decide) (?:immediately|right away|at once)\b",
            r"\bact (?:now|fast|today)\b|\blast chance\b|\bfinal (?:notice|call|chance)\b|\blimited[- ]time\b"
            r"|\b(?:today|tonight) only\b|\b(?:offer|price|deal|discount|access|it) (?:ends"
            r"|expires) (?:today|tonight|soon|at midnight|tomorrow|this week)\b"
            r"|\bends (?:today|tonight|soon|at midnight)\b|\bonly \d+ (?:spots?|seats?|places?|slots?|left"
            r"|days? left|hours? left)\b"
            r"|\b\d+ (?:spots?|seats?|slots?) (?:left|remaining)\b|\bdon(?:'|’)t miss (?:out|this)\b"
            r"|\bhurry\b"
            r"|\bbefore it(?:'|’)s too late\b|\bwhile (?:supplies|stocks?) last\b|\burgent(?:ly)?\b"
            r"|\btime is running out\b",
        ),
        "urgency that isn't there",
        "leave the timing to the reader",
        by_sentence=True,
        excuse=_pattern(
            r"\b(?:not|nothing|isn(?:'|’)t|less|no) (?:\w+ )?urgent(?:ly)?\b|\bno hurry\b|\bin a hurry\b"
            r"|\burgent care\b|\bnone of (?:this|it|that) is urgent\b"
            r"|\b(?:treat|handle|answer|sort|clear)s? (?:\w+ )?urgent\b"
        ),
    ),
    Wording(
        "unfounded_contact",
        "block",
        "both",
        _pattern(
            r"\bas (?:we )?(?:discussed|agreed|promised)\b",
            r"\b(?:per|following(?: up on)?|after) our (?:\w+ )?(?:call|conversation|meeting|chat|talk)\b",
            r"\bgreat (?:to (?:meet|see|talk to)|meeting|talking to) you\b",
            r"\bour mutual (?:friend|contact|connection)\b",
            r"\byour (?:ceo|cfo|cro|boss|manager|colleagues?) (?:suggested|asked|told|recommended|said|referred)\b",
            r"\bthanks? (?:you )?for (?:asking|requesting|booking|signing up)\b",
            r"\byou (?:asked|requested|told) (?:me|us)\b",
            r"\bthanks? (?:you )?for (?:your (?:call|interest|order|time yesterday)|getting in touch)\b",
        ),
        "it claims a contact that isn't on record",
        "say how you really know them",
        by_sentence=True,
    ),
)


def uncited_statistic(text: str, rules: Compliance) -> bool:
    """A figure as a claim in a sentence that names no source, and not among the claims we can prove."""
    if not _STATISTIC_RULE.search(text):
        return False
    claims = [phrase(claim.text) for claim in rules.claims]
    return any(
        _STATISTIC_RULE.search(part)
        and not _CITED.search(part)
        and not any(c in phrase(part) for c in claims)
        for part in sentences(text)
    )


def banned(text: str, rules: Compliance) -> Iterable[tuple[str, Severity, str]]:
    """The configured phrases that stand within one sentence of a text, each with its severity and reason."""
    whole = phrase(text)
    for entry in rules.banned_phrases:
        if entry.phrase in whole and any(entry.phrase in phrase(part) for part in sentences(text)):
            yield entry.phrase.strip(), entry.severity, entry.why


def links(text: str) -> tuple[str, ...]:
    """Every URL in a text, without the punctuation that follows it."""
    return tuple(found.rstrip(".,;:!?") for found in _URL.findall(text))


def hosts(text: str) -> tuple[str, ...]:
    """Every host name in a text, with or without a scheme in front of it."""
    return tuple(found.lower() for found in _HOST_LIKE.findall(text))


_OPT_OUT = re.compile(
    r"\b(?:reply|respond|answer|write|click|follow|use|tell|let|e?mail|send|tap|visit|go to)\b[^.!?\n]{0,80}"
    r"\b(?:unsubscribe|opt[- ]?out|stop|remove[d]?|no thanks?)\b"
    r"|\b(?:unsubscribe|opt out)\b[^.!?\n]{0,30}\b(?:here|at any time|by (?:replying|clicking|answering)"
    r"|with one click)\b"
    r"|\bto (?:unsubscribe|opt out|stop (?:receiving|these|my))\b[^.!?\n]{0,60}\b(?:reply|click|write"
    r"|answer|visit|use)\b",
    re.IGNORECASE,
)
_NO_OPT_OUT = re.compile(
    r"\b(?:can(?:no|['’])t|do not|don['’]t|never|no need to|nobody)\s+(?:\w+\s+)?$", re.IGNORECASE
)


def tells_opt_out(sentence: str) -> bool:
    """Whether a sentence tells the reader how to stop further mail; the mere word "unsubscribe" doesn't."""
    found = _OPT_OUT.search(sentence)
    return found is not None and not _NO_OPT_OUT.search(sentence[: found.start()])
