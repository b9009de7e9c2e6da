"""vendors/<account>.yaml: how one account is reached, how fast, how patiently, and when it is left alone."""

import math
from typing import Annotated, Any, Self

from pydantic import Field, field_validator, model_validator

from shared.strict import Strict

KEPT_FOR_STOPS = 0.02  # of a limit, where its file doesn't say


class Limit(Strict):
    """A vendor's budget: `calls` in any `seconds`; `only_when_named` for one that few calls fall under.

    `for_stops` of them are left to what stops somebody. `remaining_header` and `limit_header` name the answer's
    headers that say how many are left and how many there are, where the vendor sends such.
    """

    name: str = "burst"
    only_when_named: bool = False
    calls: Annotated[int, Field(ge=1)]
    seconds: Annotated[float, Field(gt=0)]
    for_stops: Annotated[int, Field(ge=0)] | None = None
    remaining_header: str = ""
    limit_header: str = ""

    @model_validator(mode="after")
    def _leaves_something_to_the_others(self) -> Self:
        if self.for_stops is not None and self.for_stops >= self.calls:
            raise ValueError("for_stops must leave some of the calls to everything else")
        return self

    @property
    def kept(self) -> int:
        """Calls of every window that only a stop may take."""
        if self.for_stops is not None:
            return self.for_stops
        return 0 if self.only_when_named or self.calls < 2 else math.ceil(self.calls * KEPT_FOR_STOPS)


class Timeout(Strict):
    """Seconds: to connect, to read, and in all."""

    connect: Annotated[float, Field(gt=0, le=60)] = 5
    read: Annotated[float, Field(gt=0, le=120)] = 25
    total: Annotated[float, Field(gt=0, le=120)] = 30


class Slowdown(Strict):
    """After a 429 the rate is cut to `factor` of itself, never below `least`; how long until it is whole again."""

    factor: Annotated[float, Field(gt=0, lt=1)] = 0.5
    least: Annotated[float, Field(gt=0, le=1)] = 0.2
    recovers_seconds: Annotated[float, Field(gt=0, le=86_400)] = 300


class RetryRules(Strict):
    """When a call is tried again: up to `retries` times at once, at most so many per cent of all calls.

    An operation makes at most `attempts` within `attempts_seconds`, whatever layer tries again; within
    `unanswered_seconds` as long as the vendor answers nobody, unless it is a look of no call or run.

    The vendor's Retry-After comes first, up to `longest_retry_after_seconds`; else anything up to a wait that doubles
    from `first_seconds` to `longest_seconds`. Of all calls of an account within `budget_seconds`, in every process,
    `budget_percent` may be retries; `budget_least` are always allowed.
    """

    retries: Annotated[int, Field(ge=0, le=3)] = 3
    attempts: Annotated[int, Field(ge=1, le=4)] = 4
    attempts_seconds: Annotated[float, Field(ge=1, le=3_600)] = 120
    unanswered_seconds: Annotated[float, Field(ge=1, le=3_600)] = 600
    first_seconds: Annotated[float, Field(gt=0, le=60)] = 0.5
    longest_seconds: Annotated[float, Field(gt=0, le=120)] = 20
    longest_retry_after_seconds: Annotated[float, Field(gt=0, le=120)] = 120
    budget_percent: Annotated[float, Field(ge=0, le=100)] = 10
    budget_seconds: Annotated[float, Field(ge=20, le=3_600)] = 120
    budget_least: Annotated[int, Field(ge=0, le=1_000)] = 10


class BreakerRules(Strict):
    """An account is left alone when `percent` of at least `least_calls` calls within `seconds` failed.

    For `open_seconds`, unless the vendor says how long; then so many `probes` go out until one is answered.
    """

    seconds: Annotated[float, Field(ge=20, le=3_600)] = 60
    least_calls: Annotated[int, Field(ge=2, le=10_000)] = 10
    percent: Annotated[float, Field(gt=0, le=100)] = 50
    open_seconds: Annotated[float, Field(gt=0, le=600)] = 30
    probes: Annotated[int, Field(ge=1, le=10)] = 1


class Auth(Strict):
    """How the key travels."""

    header: str = "Authorization"
    prefix: str = "Bearer "


class VendorFile(Strict):
    """vendors/<account>.yaml: one account at a vendor."""

    url: str = Field(pattern=r"^https://")
    key_variable: str
    # A variable that stands for the key: with either one, the account is the vendor's own.
    key_instead: str = ""
    secrets: dict[str, str] = Field({})
    sandbox_secrets: dict[str, str] = Field({})
    auth: Auth = Auth()
    headers: dict[str, str] = Field({})
    timeout: Timeout = Timeout()
    limits: tuple[Limit, ...] = ()
    slowdown: Slowdown = Slowdown()
    retry: RetryRules = RetryRules()
    breaker: BreakerRules = BreakerRules()
    # Until a read shows every write. Longer than safety.yaml says: absence is believed only after so long.
    settle_seconds: Annotated[float, Field(ge=0, le=600)] = 0
    max_answer_bytes: Annotated[int, Field(ge=1_000, le=50_000_000)] = 5_000_000
    options: dict[str, Any] = Field({})

    @field_validator("limits")
    @classmethod
    def _each_limit_has_its_name(cls, limits: tuple[Limit, ...]) -> tuple[Limit, ...]:
        if len({limit.name for limit in limits}) != len(limits):
            raise ValueError("each limit needs a name of its own: two of one name would count in one bucket")
        return limits
