"""What is logged is kept out of the tests' output: a traceback in full colour takes two seconds each."""

from collections.abc import Iterator

import pytest
import structlog.testing
from structlog.typing import EventDict


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[EventDict]]:
    """The lines logged so far."""
    with structlog.testing.capture_logs() as lines:
        yield lines
