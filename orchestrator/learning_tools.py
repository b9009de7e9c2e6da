"""What past campaigns taught, and what follows, as tools: counted whenever asked for, nobody named, nothing made up."""

from dataclasses import dataclass

from orchestrator import knowledge
from orchestrator.advice import Advice, advise
from orchestrator.app import App
from orchestrator.knowledge import About, Lesson
from orchestrator.paging import Cursor, FewLimit, cut
from orchestrator.rules import Rules
from shared.kernel import Kernel
from shared.tool import reads


@dataclass(frozen=True, slots=True)
class Lessons:
    """Lessons, most people first, and how many come after them."""

    days: int
    least_people: int  # fewer are too few to plan with
    lessons: tuple[Lesson, ...]
    note: str
    next_cursor: str = ""
    omitted: int = 0


@dataclass(frozen=True, slots=True)
class Advices:
    """What follows, the surest first."""

    people: int
    advice: tuple[Advice, ...]
    note: str
    next_cursor: str = ""
    omitted: int = 0


@reads("What past campaigns taught", open_world=False)
async def query_knowledge(app: App, about: About, limit: FewLimit = 20, cursor: Cursor = "") -> Lessons:
    """Replies, interest and opt-outs by segment, template, objection, title or send_window, with 95 % intervals.

    Live campaigns of the configured days; `sources` are campaigns. An objection's share is of all answers.
    """
    planning = app.rules.outreach.planning
    found, next_cursor, left = cut(await knowledge.lessons(app.kernel, app.rules, about), cursor, limit)
    note = "" if found else "too little data: nobody was written to in these days"
    return Lessons(planning.history_days, planning.history_people, tuple(found), note, next_cursor, left)


@reads("What to do next", open_world=False)
async def get_recommendations(app: App, limit: FewLimit = 20, cursor: Cursor = "") -> Advices:
    """What stated rules derive from past campaigns, each with evidence and confidence; a person decides.

    `none yet` means too little data: don't act on it.
    """
    people, told = await recommended(app.kernel, app.rules)
    shown, next_cursor, left = cut(told, cursor, limit)
    return Advices(people, tuple(shown), _note(people, app.rules), next_cursor, left)


async def recommended(kernel: Kernel, rules: Rules) -> tuple[int, list[Advice]]:
    """How many people it rests on, and everything the rules say."""
    cells = await kernel.store.read(lambda c: knowledge.cells_in(c, kernel, rules, "variant"))
    titles = await knowledge.lessons(kernel, rules, "title")
    windows = await knowledge.lessons(kernel, rules, "send_window")
    return sum(cell.people for cell in cells), advise(cells, titles, windows, rules)


def _note(people: int, rules: Rules) -> str:
    least = rules.outreach.planning.history_people
    return (
        f"too little data: {people:,} people, and {least:,} are the least to plan with"
        if people < least
        else ""
    )
