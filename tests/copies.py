"""An operator who copies the database away, and puts an old copy back."""

from dataclasses import dataclass
from pathlib import Path
from shutil import copy
from typing import Protocol

from tests.postgres import Server


class Copies(Protocol):
    """One copy of the database; everything is done while nobody has it open."""

    def take(self) -> None: ...

    def put_back(self) -> None: ...

    def remove_database(self) -> None: ...


@dataclass(frozen=True)
class FileCopies:
    """Of SQLite's file."""

    file: Path
    kept: Path

    def take(self) -> None:
        copy(self.file, self.kept)

    def put_back(self) -> None:
        self.remove_database()
        copy(self.kept, self.file)

    def remove_database(self) -> None:
        for file in self.file.parent.glob(f"{self.file.stem}.*"):
            file.unlink()


@dataclass(frozen=True)
class ServerCopies:
    """Of a database on a server."""

    server: Server
    name: str

    def take(self) -> None:
        self.server.run(f"CREATE DATABASE {self.name}_copy TEMPLATE {self.name}")

    def put_back(self) -> None:
        self.server.run(f"DROP DATABASE {self.name} WITH (FORCE)")
        self.server.run(f"ALTER DATABASE {self.name}_copy RENAME TO {self.name}")

    def remove_database(self) -> None:
        self.server.run(f"DROP DATABASE {self.name} WITH (FORCE)")
        self.server.run(f"CREATE DATABASE {self.name}")
