"""Files that a command writes: new ones only, for the owner's eyes, and on the disk before it says so."""

import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import anyio.to_thread

from shared.errors import Invalid


async def write_new(
    file: Path, parts: AsyncIterator[tuple[int, str]], told: Callable[[int], None] = lambda _: None
) -> int:
    """Write parts of text, each with how many entries it has; returns their number.

    Never over another file: it may be the last one that is whole. Raises `Invalid` where it can't be written.
    """
    count = 0
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as out:
            async for entries, text in parts:
                await anyio.to_thread.run_sync(out.write, text)
                count += entries
                told(count)
            out.flush()
            await anyio.to_thread.run_sync(os.fsync, out.fileno())
    except OSError as error:
        raise Invalid(f"{file} can't be written: {error.strerror}", field="file") from error
    return count
