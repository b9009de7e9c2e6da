"""safety.yaml: what bounds and guards every effect, as it is validated."""

from typing import Annotated, Literal

from pydantic import Field

from shared.checkpoint_rules import Checkpoints
from shared.halt_rules import HaltRules
from shared.sending_rules import Caps, RampUp
from shared.strict import Strict
from shared.suppression_rules import SuppressionRules


class Approvals(Strict):
    """Which actions need a person's yes, how long it holds, and who may give it."""

    required_for: tuple[str, ...]
    expires_hours: Annotated[float, Field(gt=0, le=24 * 14)] = 72
    four_eyes: bool | Literal["auto"] = "auto"
    new_content: Literal["operator", "ae"] = "operator"
    password_minutes: Annotated[float, Field(ge=0, le=12 * 60)] = 60
    change_percent: Annotated[float, Field(ge=0, le=100)] = 20
    waiting_drafts: Annotated[int, Field(ge=1, le=1_000)] = 10
    waiting_campaigns: Annotated[int, Field(ge=1, le=100_000)] = 100


Minutes = Annotated[float, Field(ge=0, le=60 * 24 * 7)]


class AlertRules(Strict):
    """When our own people are told; where mail goes and the runbook is. Minutes: how long something may last."""

    runbook: str = "docs/RUNBOOK.md"
    mail_from: str = ""
    mail_to: tuple[str, ...] = ()
    quiet_minutes: Minutes = 30
    in_doubt_minutes: Minutes = 15
    suppression_minutes: Minutes = 60
    stop_minutes: Minutes = 2
    vendor_pause_minutes: Minutes = 2
    inbox_minutes: Minutes = 5
    review_minutes: Minutes = 60 * 24
    handoff_late_minutes: Minutes = 0
    checkpoint_minutes: Minutes = 5
    spool_minutes: Minutes = 1
    inbox_failed: Annotated[int, Field(ge=0)] = 0
    audit_exposed: Annotated[int, Field(ge=1)] = 500
    disk_free_mb: Annotated[int, Field(ge=0)] = 500
    breaker_minutes: Minutes = 2
    clock_skew_seconds: Annotated[float, Field(ge=5, le=3_600)] = 60
    channel_minutes: Minutes = 10


class Relaxing(Strict):
    """Who lets things go on: whether two admins have to say so, and what has waited too long to go on by itself."""

    two_persons: bool | Literal["auto"] = "auto"
    asked_minutes: Annotated[float, Field(gt=0, le=24 * 60)] = 60
    stale_minutes: Annotated[float, Field(ge=0, le=24 * 60)] = 15


class SafetyFile(Strict):
    """safety.yaml: what bounds and guards every effect."""

    safe_mode: bool = False
    kill_switch: bool = False
    concurrent_calls: Annotated[int, Field(ge=1, le=64)] = 8
    call_deadline_seconds: Annotated[float, Field(ge=1, le=120)] = 30
    lease_seconds: Annotated[float, Field(gt=0, le=10)] = 10
    settle_seconds: Annotated[float, Field(ge=0, le=600)] = 5
    limiter_margin_seconds: Annotated[float, Field(ge=0, le=5)] = 0.3
    approvals: Approvals
    relaxing: Relaxing = Relaxing()
    caps: Caps = Caps()
    ramp_up: RampUp = RampUp()
    checkpoints: Checkpoints = Checkpoints()
    alerts: AlertRules = AlertRules()
    halts: HaltRules = HaltRules()
    suppression: SuppressionRules = SuppressionRules()
    free_mail: tuple[str, ...] = ()
