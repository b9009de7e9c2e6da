"""Writes the next revision of the schema: what `shared/schema.py` and `pipeline_schema.py` say and the history doesn't.

    make revision ARGS="people who were met"     shared/migrations/versions/0007_people_who_were_met.py

The file holds literal tables and columns, never the live ones: what it does must not change when they do. Read it
before you commit it: a column that is renamed looks like one that goes and one that comes, and rows are nobody's here.
Two changes that took the same number: whoever lands second deletes their file, takes HEAD in `shared/history.py` back
to main's, and runs this again.
"""

import re
import subprocess
import sys
from pathlib import Path

import alembic.command
import alembic.config
import sqlalchemy as sa
from alembic.autogenerate import produce_migrations, render_python_code
from alembic.migration import MigrationContext

from shared.history import HEAD
from shared.pipeline_schema import lead  # whoever wants every table asks one of the last ones
from shared.sqlite import sqlite

ROOT = Path(__file__).parent.parent
HISTORY = ROOT / "shared" / "history.py"
MIGRATIONS = ROOT / "shared" / "migrations"
TYPES = {
    "T": 'sa.Text().with_variant(sa.Text(collation="C"), "postgresql")',
    "N": 'sa.BigInteger().with_variant(sa.Integer(), "sqlite")',
}
COMMENTS = {"T": "ordered by bytes, as SQLite does", "N": "SQLite numbers rows in an INTEGER only"}
NOTHING = "pass"


def main(arguments: list[str]) -> int:
    """Write the file, if there is anything to write; returns the exit status."""
    about = " ".join(arguments).strip()
    if not about or about.startswith("-"):
        print(__doc__)
        return int(about not in {"-h", "--help"})
    body = changes(lead.metadata)
    if body == NOTHING:
        print("the history says all that the schema says")
        return 1
    number = f"{int(HEAD) + 1:04}"
    name = re.sub(r"[^a-z0-9]+", "_", about.lower()).strip("_")
    path = MIGRATIONS / "versions" / f"{number}_{name}.py"
    path.write_text(revision(number, HEAD, about, body), encoding="utf-8")
    was = HISTORY.read_text(encoding="utf-8")
    HISTORY.write_text(was.replace(f'HEAD = "{HEAD}"', f'HEAD = "{number}"'), encoding="utf-8")
    subprocess.run([Path(sys.executable).parent / "ruff", "format", "--quiet", path], check=True)
    print(f"{path.relative_to(ROOT)} is written; read it")
    return 0


def changes(metadata: sa.MetaData, since: str = "head") -> str:
    """The operations that lead from that revision to these tables, as code."""
    engine = sa.create_engine("sqlite://", module=sqlite, poolclass=sa.StaticPool)
    with engine.begin() as connection:
        config = alembic.config.Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes["connection"] = connection
        alembic.command.upgrade(config, since)
        found = produce_migrations(MigrationContext.configure(connection), metadata)
    engine.dispose()
    lines = (line for line in render_python_code(found.upgrade_ops).splitlines() if "# ###" not in line)
    code = "\n".join(lines).strip()
    for name, spelt in TYPES.items():
        code = code.replace(spelt.replace('"', "'"), name)
    return code


def revision(number: str, previous: str, about: str, body: str) -> str:
    """The file."""
    used = [name for name in TYPES if re.search(rf"\b{name}\b", body)]
    types = "".join(f"{name} = {TYPES[name]}  # {COMMENTS[name]}\n" for name in used)
    return (
        f'"""{about[:1].upper()}{about[1:]}."""\n\nimport sqlalchemy as sa\nfrom alembic import op\n\n'
        f'revision = "{number}"\ndown_revision = "{previous}"\n{types}\n\n'
        f'def upgrade() -> None:\n    """Literal: what is added here stays as it is."""\n    {body}\n'
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
