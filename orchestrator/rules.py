"""The business rules as configured: scoring, outreach, routing, schedules, privacy (`.yaml`), and the templates.

Every number and name a rule needs is here, validated; code holds only how they are applied.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, Self, get_args

from pydantic import BeforeValidator, Field, field_validator, model_validator

from orchestrator.outreach_rules import CampaignType, Depth, OutreachRules
from orchestrator.privacy_rules import PrivacyRules
from orchestrator.schedule_rules import ScheduleRules
from orchestrator.scoring_rules import Days, Points, ScoringRules
from orchestrator.titles import phrase, vocabulary
from shared.errors import ConfigError
from shared.safety_rules import SafetyFile
from shared.settings import read_yaml
from shared.strict import Strict

ReplyClass = Literal[
    "unsubscribe", "legal_threat", "complaint", "hostile", "bounce", "out_of_office", "auto_reply",
    "left_company", "referral", "meeting_request", "positive_interest", "pricing_objection", "security_question",
    "technical_question", "need_more_info", "already_have_solution", "bad_timing",
    "not_interested", "unknown",
]  # fmt: skip
MACHINES = frozenset[ReplyClass]({"bounce", "out_of_office", "auto_reply"})
Trigger = Literal[
    "competitor_employee", "enterprise", "c_level", "customer", "legal_threat", "opt_out_to_confirm",
    "negative_reply", "pricing", "security", "buying_signal", "meeting_request", "demo_request",
    "technical_question", "integration", "unclear_reply", "top_score", "many_touches", "engagement_change",
    "persona_mismatch", "returned", "privacy_request",
]  # fmt: skip
# What a template may name; a variable that is none of these is refused when the file is read.
VARIABLES = vocabulary("""lead.first_name lead.last_name lead.title lead.company lead.industry
    source.name source.kind source.data_source source.collected_on
    engagement.action
    context.competitor context.hook context.pain_point context.second_pain_point context.value context.angle
    context.news
    company.size company.industry
    sender.first_name sender.name sender.title sender.company sender.offer sender.postal_address
    sender.privacy_url sender.unsubscribe_url""")
VARIABLE = re.compile(r"\{\{\s*([a-z_.]+)\s*\}\}")


# ── routing.yaml ─────────────────────────────────────────────────────────────────────────────────────────
class ReplyAction(Strict):
    """What an answer of a class leads to."""

    action: str
    escalate: Literal["never", "always", "if_enterprise", "if_tier_1"] = "never"
    automation: Literal["full", "partial", "none"] = "none"
    suppress: bool = False
    stop_sequence: bool = True


class EscalationRow(Strict):
    """Who gets it, how urgent it is and within how many minutes; `to` is empty where nobody does."""

    to: tuple[str, ...] = ()
    priority: Literal["block", "critical", "high", "medium", "low"]
    due_minutes: Annotated[int, Field(ge=0, le=7 * 24 * 60)]


class Span(Strict):
    """Minutes to aim for and minutes at most."""

    target_minutes: Annotated[int, Field(ge=0)]
    maximum_minutes: Annotated[int, Field(ge=0)]


class OutOfOffice(Strict):
    """How long a sequence pauses, in days."""

    days_after_return: Days
    longest_pause_days: Days
    without_date_days: Days


class CatchingUp(Strict):
    """How vendors are asked for what their webhooks missed; how often says schedules.yaml.

    `pages`: of a list that is gone through from end to end, in one look.
    """

    overlap_minutes: Annotated[float, Field(ge=2, le=24 * 60)] = 10
    first_hours: Annotated[float, Field(gt=0, le=24 * 30)] = 24
    whole_hours: Annotated[float, Field(gt=0, le=24 * 7)] = 24
    reread_seconds: Annotated[float, Field(ge=0, le=300)] = 20
    pages: Annotated[int, Field(ge=10, le=1_000)] = 100


class SecondOpinion(Strict):
    """How a model is asked about a reply: within which time, with how much of it, and how sure it has to be."""

    timeout_seconds: Annotated[float, Field(gt=0, le=30)] = 5
    longest_text: Annotated[int, Field(ge=100, le=20_000)] = 4_000
    longest_answer: Annotated[int, Field(ge=50, le=10_000)] = 500
    at_least: Annotated[float, Field(ge=0, le=1)] = 0.8
    at_once: Annotated[int, Field(ge=1, le=100)] = 10


class RoutingRules(Strict):
    """routing.yaml."""

    replies: dict[ReplyClass, ReplyAction]
    out_of_office: OutOfOffice
    enterprise_employees: Annotated[int, Field(ge=1)]
    top_score: Points
    many_touches: Annotated[int, Field(ge=1)]
    escalations: dict[Trigger, EscalationRow]
    closed_by_people_only: frozenset[Trigger] = frozenset()
    response_times: dict[str, Span]
    catching_up: CatchingUp = CatchingUp()
    second_opinion: SecondOpinion = SecondOpinion()

    @model_validator(mode="after")
    def _whole(self) -> Self:
        missing = [name for name in get_args(ReplyClass) if name not in self.replies]
        missing += [name for name in get_args(Trigger) if name not in self.escalations]
        if missing:
            raise ValueError(f"a row is missing for {', '.join(missing)}")
        return self


# ── templates ────────────────────────────────────────────────────────────────────────────────────────────
def _sentence(given: object) -> object:
    return {"text": given} if isinstance(given, str) else given


class Sentence(Strict):
    """One sentence. If a variable it names is unknown, `instead` stands in, or nothing does."""

    text: str = Field(min_length=1)
    instead: str = ""
    depth: Depth = "minimal"

    @field_validator("text", "instead")
    @classmethod
    def _known_variables(cls, text: str) -> str:
        unknown = set(VARIABLE.findall(text)) - VARIABLES
        if unknown or "{" in VARIABLE.sub("", text):
            raise ValueError(f"unknown variable or brace: {', '.join(sorted(unknown)) or text}")
        return text

    @cached_property
    def variables(self) -> tuple[str, ...]:
        """The variables the sentence needs."""
        return tuple(VARIABLE.findall(self.text))


Line = Annotated[Sentence, BeforeValidator(_sentence)]


class MessageTemplate(Strict):
    """One message: subjects in order of preference (none continues the thread), paragraphs of sentences."""

    subject: tuple[Line, ...] = ()
    body: tuple[tuple[Line, ...], ...] = Field(min_length=2)

    @model_validator(mode="after")
    def _never_empty(self) -> Self:
        if self.subject and self.subject[-1].variables:
            raise ValueError("the last subject must need no variable")
        sure = [
            line
            for lines in self.body[1:]
            for line in lines
            if not line.variables and line.depth == "minimal"
        ]
        if not sure:
            raise ValueError(
                "a body needs a sentence of depth minimal that needs no variable, after the greeting"
            )
        return self


class VariantTemplate(Strict):
    """One of the two versions that are compared."""

    idea: str
    messages: tuple[MessageTemplate, ...] = Field(min_length=4, max_length=4)

    @model_validator(mode="after")
    def _starts_with_subject(self) -> Self:
        if not self.messages[0].subject:
            raise ValueError("the first message needs a subject")
        return self


class Template(Strict):
    """templates/<campaign type>.yaml."""

    type: CampaignType
    hypothesis: str = Field(min_length=20)
    variants: dict[Literal["A", "B"], VariantTemplate]

    @property
    def lines(self) -> Iterator[Sentence]:
        """Every sentence of it, subjects included."""
        for variant in self.variants.values():
            for message in variant.messages:
                yield from message.subject
                yield from (line for paragraph in message.body for line in paragraph)

    @model_validator(mode="after")
    def _both(self) -> Self:
        if set(self.variants) != {"A", "B"}:
            raise ValueError("variants A and B are both needed")
        return self


class AnswerRules(Strict):
    """answers.yaml: paragraphs of sentences by class of reply, and the classes that policy lets out."""

    by_policy: frozenset[ReplyClass] = frozenset()
    drafts: dict[ReplyClass, Annotated[tuple[tuple[Line, ...], ...], Field(min_length=2)]]

    @model_validator(mode="after")
    def _drafted(self) -> Self:
        if missing := sorted(self.by_policy - self.drafts.keys()):
            raise ValueError(f"by_policy names classes without a draft: {', '.join(missing)}")
        return self


@dataclass(frozen=True)
class Rules:
    """All of it, as one value that pure functions take."""

    scoring: ScoringRules
    outreach: OutreachRules
    routing: RoutingRules
    schedules: ScheduleRules
    privacy: PrivacyRules
    templates: Mapping[CampaignType, Template]
    free_mail: frozenset[str]
    answers: AnswerRules

    @cached_property
    def competitor_names(self) -> frozenset[str]:
        """Every competitor's names as phrases."""
        return frozenset(phrase(name) for entry in self.outreach.competitors for name in entry.names)

    @cached_property
    def competitor_domains(self) -> frozenset[str]:
        """Every competitor's domains."""
        return frozenset(domain for entry in self.outreach.competitors for domain in entry.domains)


def load_rules(folder: Path) -> Rules:
    """Read and validate the rules under `folder`; `ConfigError` names file, line and what is expected."""
    templates = {}
    for name in get_args(CampaignType):
        path = folder / "templates" / f"{name}.yaml"
        template = read_yaml(path, Template)
        if template.type != name:
            raise ConfigError(f"{path}:1: type must be {name}, as the file is called")
        templates[name] = template
    outreach = read_yaml(folder / "outreach.yaml", OutreachRules)
    _refuse_unfit(folder, outreach, templates)
    routing = read_yaml(folder / "routing.yaml", RoutingRules)
    answers = read_yaml(folder / "answers.yaml", AnswerRules)
    _refuse_answers(folder, routing, answers)
    return Rules(
        scoring=read_yaml(folder / "scoring.yaml", ScoringRules),
        outreach=outreach,
        routing=routing,
        answers=answers,
        schedules=read_yaml(folder / "schedules.yaml", ScheduleRules),
        privacy=read_yaml(folder / "privacy.yaml", PrivacyRules),
        templates=templates,
        free_mail=frozenset(read_yaml(folder / "safety.yaml", SafetyFile).free_mail),
    )


def _refuse_answers(folder: Path, routing: RoutingRules, answers: AnswerRules) -> None:
    """`ConfigError` for an answer to who ended contact or is a machine, and for a policy the table doesn't allow."""
    silent = {name for name, row in routing.replies.items() if row.suppress} | MACHINES
    if wrong := sorted(silent & answers.drafts.keys()):
        raise ConfigError(f"{folder / 'answers.yaml'}: nobody is answered there: {', '.join(wrong)}")
    if wrong := sorted(name for name in answers.by_policy if routing.replies[name].automation != "full"):
        raise ConfigError(f"{folder / 'answers.yaml'}: by_policy needs automation: full: {', '.join(wrong)}")


def _refuse_unfit(folder: Path, outreach: OutreachRules, templates: Mapping[CampaignType, Template]) -> None:
    """`ConfigError` for a variable without a fallback, and for a template that says more than its depth allows."""
    of_leads = {name for name in VARIABLES if not name.startswith("sender.")}
    if outreach.fallbacks.keys() != of_leads:
        wrong = ", ".join(sorted(of_leads ^ outreach.fallbacks.keys()))
        raise ConfigError(f"{folder / 'outreach.yaml'}: fallbacks need one row for each variable: {wrong}")
    for name, template in templates.items():
        for line in template.lines:
            if more := beyond(line, outreach):
                file = folder / "templates" / f"{name}.yaml"
                raise ConfigError(
                    f"{file}: depth {line.depth} may not name {', '.join(more)}: {line.text[:60]}"
                )


def beyond(line: Sentence, outreach: OutreachRules) -> list[str]:
    """Variables that a sentence names though its depth doesn't allow them; what stands instead is for any depth."""
    depths: tuple[Depth, ...] = get_args(Depth)
    allowed = {
        name for depth in depths[: depths.index(line.depth) + 1] for name in outreach.personalisation[depth]
    }
    least = set(outreach.personalisation[depths[0]])
    named = {*((v, True) for v in line.variables), *((v, False) for v in VARIABLE.findall(line.instead))}
    return sorted(
        name
        for name, mine in named
        if not name.startswith("sender.") and name not in (allowed if mine else least)
    )
