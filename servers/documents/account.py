"""The opened documents server: which files it may read."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from shared.errors import Invalid
from shared.kernel import Kernel


@dataclass(frozen=True, slots=True)
class Documents:
    """What the tools work with."""

    roots: tuple[Path, ...]

    def readable(self, path: str) -> Path:
        """The real file behind a path inside the allowed folders; `Invalid` for anything else.

        Links are followed before the check, so a link out of the folder is outside.
        """
        try:
            real = Path(path).expanduser().resolve(strict=True)
        except (OSError, RuntimeError, ValueError) as error:
            raise Invalid("there is no such file", field="path", code="not_found") from error
        if not any(real.is_relative_to(root) for root in self.roots):
            raise Invalid("outside the current folder and SWARM_HOME", field="path", code="outside")
        return real


@asynccontextmanager
async def open_documents(kernel: Kernel) -> AsyncIterator[Documents]:
    """Files of the current folder and of SWARM_HOME may be read."""
    yield Documents((Path.cwd().resolve(), kernel.settings.home.resolve()))
