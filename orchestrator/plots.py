"""Plots of a report as numbers that a template draws: bars, shares with their intervals, a course over time. Pure.

Drawn by our own templates as inline SVG: plotting libraries bring scripts or style attributes, which the pages'
content policy forbids, or megabytes. Everything that a plot shows also stands in the table beneath it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from orchestrator.rates import Rate
from orchestrator.report_data import VERDICTS, Report
from orchestrator.report_text import plain

WIDTH, LABEL, ROW, VALUE = 640, 170, 26, 150  # pixels
INNER = WIDTH - LABEL - VALUE
COURSE_HEIGHT = 140


@dataclass(frozen=True, slots=True)
class Bar:
    """A row with a bar; `told` stands at its end."""

    label: str
    y: int
    width: float
    told: str


@dataclass(frozen=True, slots=True)
class Whisker:
    """A row with a share, between what it lies, and lines for what it is compared with. Positions in pixels."""

    label: str
    y: int
    low: float
    middle: float
    high: float
    told: str
    marks: tuple[tuple[float, str], ...] = ()  # where, and which: target, minimum


@dataclass(frozen=True, slots=True)
class Column:
    """A moment of the course."""

    x: float
    width: float
    sent: float
    replied: float
    told: str


@dataclass(frozen=True, slots=True)
class Plot:
    """One plot: its name, what it shows in a sentence, and its rows."""

    id: str
    title: str
    summary: str
    height: int
    bars: tuple[Bar, ...] = ()
    whiskers: tuple[Whisker, ...] = ()
    columns: tuple[Column, ...] = ()
    head: tuple[str, ...] = ()  # of the table
    rows: tuple[tuple[str, ...], ...] = ()
    most: str = ""  # what the axis ends with


def plots_of(report: Report) -> list[Plot]:
    """Every plot of a report, in the order of its sections."""
    return [
        _bars("funnel", "Funnel", [(one.name, one.count) for one in report.funnel], ("step", "people")),
        _course(report),
        _bars(
            "tiers",
            "Tiers: people written to",
            [(t.tier, t.people) for t in report.tiers],
            ("tier", "people"),
        ),
        _bars(
            "replies", "Replies by class", [(r.name, r.count) for r in report.replies], ("class", "replies")
        ),
        _bars(
            "outcomes",
            "Effects by outcome",
            [(o.name, o.count) for o in report.outcomes],
            ("outcome", "effects"),
        ),
        *_targets(report),
        _variants(report),
        _promises(report),
    ]


def _bars(name: str, title: str, counts: Sequence[tuple[str, int]], head: tuple[str, str]) -> Plot:
    most = max((count for _, count in counts), default=0)
    bars = tuple(
        Bar(plain(label), place * ROW, INNER * count / most if most else 0.0, f"{count:,}")
        for place, (label, count) in enumerate(counts)
    )
    highest = max(counts, key=lambda row: row[1], default=("", 0))
    summary = (
        f"{len(counts)} rows; the longest bar is {plain(highest[0])} with {highest[1]:,}"
        if most
        else "Nothing."
    )
    rows = tuple((plain(label), f"{count:,}") for label, count in counts)
    return Plot(name, title, summary, len(counts) * ROW + 6, bars=bars, head=head, rows=rows)


def _course(report: Report) -> Plot:
    most = max((max(one.people, one.replied) for one in report.course), default=0)
    width = (WIDTH - 40) / max(1, len(report.course))
    columns = tuple(
        Column(
            x=20 + place * width,
            width=max(1.0, width * 0.4),
            sent=COURSE_HEIGHT * one.people / most if most else 0.0,
            replied=COURSE_HEIGHT * one.replied / most if most else 0.0,
            told=f"{one.at}: {one.people:,} sent, {one.replied:,} replies",
        )
        for place, one in enumerate(report.course)
    )
    rows = tuple((one.at.replace("T", " "), f"{one.people:,}", f"{one.replied:,}") for one in report.course)
    sent, replied = sum(one.people for one in report.course), sum(one.replied for one in report.course)
    summary = f"{sent:,} messages sent and {replied:,} replies, by the hour or the day in UTC"
    head = ("UTC", "messages sent", "replies")
    return Plot(
        "course",
        "Messages sent and replies over time",
        summary,
        COURSE_HEIGHT + 24,
        columns=columns,
        head=head,
        rows=rows,
        most=f"{most:,}",
    )


def _targets(report: Report) -> Iterable[Plot]:
    """High shares and small ones, each on an axis of their own: a spam rate can't be seen beside deliverability."""
    small = [row for row in report.targets if row.critical <= SMALL and row.target <= SMALL]
    large = [row for row in report.targets if row not in small]
    for name, title, listed in (
        ("targets", "Targets and what is", large),
        ("limits", "What should be rare, and what is", small),
    ):
        most = max(
            (max(row.target, row.minimum, row.actual.high if row.actual.of else 0) for row in listed),
            default=1,
        )
        whiskers = tuple(
            _whisker(row.metric, place, row.actual, most, (("target", row.target), ("minimum", row.minimum)))
            for place, row in enumerate(listed)
        )
        rows = tuple(
            (
                plain(row.metric),
                row.actual.told,
                f"{row.actual.good:,} of {row.actual.of:,}",
                f"{row.target:g} %",
                f"{row.minimum:g} %",
                VERDICTS[row.verdict],
            )
            for row in listed
        )
        met = sum(row.verdict == "met" for row in listed)
        summary = f"{met} of {len(listed)} targets are met for certain; lines mark target and minimum"
        head = ("", "actual, 95 % interval", "people", "target", "minimum", "")
        yield Plot(
            name,
            title,
            summary,
            len(listed) * ROW + 6,
            whiskers=whiskers,
            head=head,
            rows=rows,
            most=f"{most:g} %",
        )


SMALL = 5.0  # per cent


def _variants(report: Report) -> Plot:
    sides = [(f"{plain(t.type)}, {plain(t.tier)}, {s.variant}", s) for t in report.trials for s in t.sides]
    most = max((side.replied.high for _, side in sides), default=1.0)
    whiskers = tuple(_whisker(name, place, side.replied, most) for place, (name, side) in enumerate(sides))
    rows = tuple(
        (
            f"{plain(t.type)}, {plain(t.tier)}",
            *(f"{s.variant}: {s.replied.told}, {s.replied.good:,} of {s.replied.of:,}" for s in t.sides),
            t.told,
        )
        for t in report.trials
    )
    summary = (
        f"{len(report.trials)} tests of two variants by who replied" if sides else "No test of two variants."
    )
    head = ("test", "first", "second", "what follows")
    return Plot(
        "variants",
        "Variants",
        summary,
        len(sides) * ROW + 6,
        whiskers=whiskers,
        head=head,
        rows=rows,
        most=f"{most:g} %",
    )


def _promises(report: Report) -> Plot:
    bars = tuple(
        Bar(
            plain(one.name),
            place * ROW,
            INNER * one.within_maximum / one.done if one.done else 0.0,
            f"{one.within_maximum:,} of {one.done:,}" + (f", {one.overdue:,} overdue" if one.overdue else ""),
        )
        for place, one in enumerate(report.punctuality)
    )
    rows = tuple(
        (
            plain(one.name),
            f"{one.done:,}",
            f"{one.within_target:,}",
            f"{one.within_maximum:,}",
            f"{one.overdue:,}",
        )
        for one in report.punctuality
    )
    summary = (
        "What was done within the longest time promised, of all that was done"
        if bars
        else "Nothing was promised."
    )
    head = ("promise", "done", "within target", "within maximum", "overdue now")
    return Plot("promises", "Done on time", summary, len(bars) * ROW + 6, bars=bars, head=head, rows=rows)


def _whisker(
    label: str, place: int, one: Rate, most: float, marks: tuple[tuple[str, float], ...] = ()
) -> Whisker:
    scale = INNER / most if most else 0.0
    low, middle, high = (value * scale if one.of else 0.0 for value in (one.low, one.percent, one.high))
    told = f"{one.percent:.1f} %" if one.of else "nobody yet"
    lines = tuple((value * scale, name) for name, value in marks)
    return Whisker(plain(label), place * ROW, low, middle, min(high, INNER), told, lines)
