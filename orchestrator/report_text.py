"""A report as Markdown: every number with what it is counted of, and what can't be told yet said so. Pure."""

from collections.abc import Iterable, Iterator, Sequence

from orchestrator.report_data import VERDICTS, Count, Punctuality, Report

NOTHING = "Nothing yet."


def markdown(report: Report) -> str:
    """The whole report."""
    return "\n".join(_lines(report)).rstrip() + "\n"


def headline(report: Report) -> str:
    """One sentence: how much, and what came of it."""
    counts = {one.name: one.count for one in report.funnel}
    return (
        f"{counts['written to']:,} people first written to, {counts['replied']:,} replied, "
        f"{counts['positive']:,} in favour, {counts['handed to a person']:,} handed to a person"
    )


def notes(report: Report) -> Iterator[str]:
    """What a reader must know before comparing numbers."""
    if not report.over:
        yield "This period isn't over yet."
    if report.early.good:
        yield (
            f"{report.early.good:,} of the {report.early.of:,} people were first written to so lately that answers "
            "still come: shares of them can only grow."
        )
    yield "Shares are of people first written to in this period, with their 95 % interval in brackets."


def _lines(report: Report) -> Iterator[str]:
    yield from (f"# {report.title}", "", headline(report) + ".", "")
    yield f"From {report.begins[:16]} to {report.ends[:16]} UTC, made {report.made_at[:16]} UTC."
    yield from ("", *(f"- {note}" for note in notes(report)), "")
    yield from _section("Funnel", ("", "people"), _counted(report.funnel))
    tiers = ((t.tier, t.scored, t.people, t.replied.told, t.positive.told) for t in report.tiers)
    yield from _section("Tiers", ("tier", "scored", "written to", "replied", "in favour"), tiers)
    yield from _section("Replies by class", ("class", "replies"), _counted(report.replies))
    yield from _section("Effects by outcome", ("outcome", "effects"), _counted(report.outcomes))
    rows = (
        (
            t.metric,
            t.actual.told,
            f"{t.target:g} %",
            f"{t.minimum:g} %",
            f"{t.critical:g} %",
            VERDICTS[t.verdict],
        )
        for t in report.targets
    )
    yield from _section("Targets", ("", "actual", "target", "minimum", "critical", ""), rows)
    yield from _section("On time", PROMISED, (promised(one) for one in report.punctuality))
    trials = (
        (
            f"{t.type}, {t.tier}",
            *(f"{s.variant}: {s.replied.told} of {s.replied.of:,}" for s in t.sides),
            t.told,
        )
        for t in report.trials
    )
    yield from _section("Variants, by who replied", ("test", "first", "second", "what follows"), trials)
    yield from _section("Safety", ("", ""), _counted(report.safety))


PROMISED = (
    "",
    "target",
    "at most",
    "done",
    "within target",
    "within maximum",
    "median",
    "waiting",
    "overdue",
)


def promised(one: Punctuality) -> tuple[str, ...]:
    """A promise's row."""
    return (
        one.name,
        span(one.target_minutes),
        span(one.maximum_minutes),
        f"{one.done:,}",
        f"{one.within_target:,}",
        f"{one.within_maximum:,}",
        span(one.median) if one.median >= 0 else "–",
        f"{one.waiting:,}",
        f"{one.overdue:,}",
    )


def span(minutes: float) -> str:
    """`90` → `1.5 h`."""
    if minutes < 60:
        return f"{minutes:g} min" if minutes else "at once"
    return f"{minutes / 60:.3g} h" if minutes < 2_880 else f"{minutes / 1_440:.3g} days"


def _counted(counts: Sequence[Count]) -> Iterator[tuple[str, str]]:
    return ((plain(one.name), f"{one.count:,}") for one in counts)


def plain(word: str) -> str:
    """`need_more_info` → `need more info`."""
    return word.replace("_", " ")


def _section(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    listed = [[plain(str(cell)) for cell in row] for row in rows]
    yield from (f"## {title}", "")
    if listed:
        yield f"| {' | '.join(columns)} |"
        yield f"|{'---|' * len(columns)}"
        yield from (f"| {' | '.join(row)} |" for row in listed)
    else:
        yield NOTHING
    yield ""
