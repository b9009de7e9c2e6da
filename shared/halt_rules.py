"""The section `halts` of safety.yaml: when a rule stops something by itself, and how sure it has to be."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Percent = Annotated[float, Field(gt=0, lt=100)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
Policy = Literal["literal", "evidence"]


class Section(BaseModel):
    """A part of the section: unknown keys are refused, values don't change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class RateRule(Section):
    """More than `percent` stops. How many it takes before that is believed depends on the policy.

    literal: at least `literal_count` bad ones, or `literal_sample` in all.
    evidence: `evidence_count` bad ones and the lower bound of the rate is over, or `evidence_sample` in all.
    """

    percent: Percent
    literal_count: Count
    literal_sample: Count
    evidence_count: Count
    evidence_sample: Count


class BounceRule(RateRule):
    """Bounces per person mailed, but soft ones. Holding one campaign and warning belong to the policy `evidence`."""

    percent: Percent = 5
    literal_count: Count = 2
    literal_sample: Count = 20
    evidence_count: Count = 3
    evidence_sample: Count = 200
    hold_count: Count = 2
    warn_percent: Percent = 2
    warn_sample: Count = 100

    @model_validator(mode="after")
    def _warns_first(self) -> Self:
        if self.warn_percent > self.percent:
            raise ValueError("warn_percent is above percent: it would warn after it has stopped")
        return self


class ComplaintRule(RateRule):
    """Spam complaints per person mailed."""

    percent: Percent = 0.1
    literal_count: Count = 1
    literal_sample: Count = 1
    evidence_count: Count = 2
    evidence_sample: Count = 1_000


class ReplyRule(RateRule):
    """Negative answers per person who answered; automatic answers are none."""

    percent: Percent = 20
    literal_count: Count = 2
    literal_sample: Count = 5
    evidence_count: Count = 3
    evidence_sample: Count = 50
    negative: tuple[str, ...] = ("not_interested", "unsubscribe", "hostile", "legal_threat", "complaint")
    automatic: tuple[str, ...] = ("bounce", "out_of_office", "auto_reply")


class ErrorRule(RateRule):
    """Effects in doubt, or failed for one of `reasons`, per effect that was carried out or tried."""

    percent: Percent = 10
    literal_count: Count = 3
    literal_sample: Count = 10
    evidence_count: Count = 3
    evidence_sample: Count = 50
    reasons: tuple[str, ...] = (
        *("server_error", "answer_lost", "timeout", "unreachable", "server_unreachable"),
        *("retry_later", "unreadable", "unreadable_answer", "unreadable_result"),
    )


class ComplianceRule(Section):
    """One failure stops its campaign, `halt_all_at` of them within `window_minutes` stop everything."""

    window_minutes: Annotated[float, Field(gt=0, le=24 * 60)] = 60
    halt_all_at: Count = 5
    refusals: tuple[str, ...] = ("approval_mismatch", "look_alike")


class LinkedInRule(Section):
    """Any warning stops all sourcing for so long, and retires the session that got it."""

    pause_hours: Annotated[float, Field(gt=0, le=24 * 30)] = 72


class HaltRules(Section):
    """Every rule that stops something by itself."""

    policy: Policy = "literal"
    window_hours: Annotated[float, Field(gt=0, le=24 * 7)] = 24
    z: Annotated[float, Field(gt=0, le=5)] = 1.645
    bounces: BounceRule = BounceRule()
    complaints: ComplaintRule = ComplaintRule()
    negative_replies: ReplyRule = ReplyRule()
    system_errors: ErrorRule = ErrorRule()
    compliance: ComplianceRule = ComplianceRule()
    opt_out_minutes: Annotated[float, Field(gt=0, le=60 * 24)] = 60
    duplicate_contacts: Count = 10
    linkedin: LinkedInRule = LinkedInRule()
