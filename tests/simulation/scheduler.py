"""Several coroutines, driven from one await to the next in an order that a seed decides.

asyncio resumes whoever is ready in the order in which they became ready, which is nearly always the same. Here each
participant asks for its turn after every single await, and the dice say who has it. Threads (the store's writer) run
as they do: now and then, again by the dice, nobody waits for them, so that writes of several meet in one commit.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any

PATIENCE = 0.02  # seconds for a participant that waits for another one, and not for a thread


@dataclass
class Steps:
    """A coroutine that asks `turn` before each of its steps."""

    coroutine: Coroutine[Any, Any, Any]
    turn: Callable[[], Awaitable[None]]

    def __await__(self) -> Generator[Any, Any, Any]:
        error: BaseException | None = None
        while True:
            try:
                yield from self.turn().__await__()
            except BaseException as caught:  # noqa: BLE001 - a cancellation is for the coroutine, wherever it arrives
                error = caught
            try:
                awaited = self.coroutine.send(None) if error is None else self.coroutine.throw(error)
            except StopIteration as end:
                return end.value
            error = None
            try:
                yield awaited
            except BaseException as caught:  # noqa: BLE001 - the same
                error = caught


@dataclass
class Scheduler:
    """Who goes next is decided by `dice`."""

    dice: random.Random
    waiting: dict[str, asyncio.Future[None]] = field(default_factory=dict)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    order: list[str] = field(default_factory=list)

    async def run(self, participants: Mapping[str, Coroutine[Any, Any, Any]]) -> dict[str, Any]:
        """Run all of them to their ends; what each returned or raised, by name."""
        tasks = {name: asyncio.ensure_future(self._run(name, one)) for name, one in participants.items()}
        for task in tasks.values():
            task.add_done_callback(lambda _: self.changed.set())
        while any(not task.done() for task in tasks.values()):
            await self._settled(tasks)
            if self.waiting:
                chosen = self.dice.choice(sorted(self.waiting))
                self.order.append(chosen)
                self.waiting.pop(chosen).set_result(None)
        return {name: task.exception() or task.result() for name, task in tasks.items()}

    async def _run(self, name: str, participant: Coroutine[Any, Any, Any]) -> Any:
        return await Steps(participant, lambda: self._turn(name))

    async def _turn(self, name: str) -> None:
        self.waiting[name] = asyncio.get_running_loop().create_future()
        self.changed.set()
        await self.waiting[name]

    async def _settled(self, tasks: Mapping[str, asyncio.Future[Any]]) -> None:
        """Until everybody waits for a turn; sometimes not that long, once somebody does."""
        hasty = self.dice.random() < 0.3
        while True:
            alive = sum(not task.done() for task in tasks.values())
            if len(self.waiting) >= alive or (hasty and self.waiting):
                return
            self.changed.clear()
            try:
                await asyncio.wait_for(self.changed.wait(), PATIENCE if self.waiting else None)
            except TimeoutError:
                return


Intruder = Callable[["asyncio.Task[Any]"], Awaitable[None]]


async def interrupted(
    participant: Coroutine[Any, Any, Any], after: int, intruder: Intruder
) -> tuple[Any, bool]:
    """Run it, and let `intruder` act, on its task if it likes, once it stands at its await number `after`.

    Returns what it returned or raised, and whether it came so far.
    """
    steps = 0

    async def turn() -> None:
        nonlocal steps
        steps += 1
        if steps == after + 1:
            await asyncio.ensure_future(_done(intruder, task))

    async def run() -> Any:
        return await Steps(participant, turn)

    task = asyncio.create_task(run())
    (end,) = await asyncio.gather(task, return_exceptions=True)
    return end, steps > after


async def _done(intruder: Intruder, task: "asyncio.Task[Any]") -> None:
    await intruder(task)
