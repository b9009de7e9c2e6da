"""An import-linter contract: a library belongs to the modules named as its owners, and no other imports it.

Owners are patterns (`servers.*.sandbox*`), which import-linter's own `protected` contract has no words for.
"""

from fnmatch import fnmatchcase

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output


class OwnedContract(Contract):
    """`libraries` may be imported, anywhere in the root packages, by `owners` only."""

    type_name = "owned"
    libraries = fields.ListField(subfield=fields.StringField())
    owners = fields.ListField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:  # noqa: ARG002 - import-linter's signature
        """Look for importers that are no owners."""
        strangers = [
            f"{importer} imports {library}"
            for library in self.libraries
            for importer in sorted(importers(graph, library))
            if not any(fnmatchcase(importer, owner) for owner in self.owners)
        ]
        return ContractCheck(kept=not strangers, metadata={"strangers": strangers})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Name them."""
        for line in check.metadata["strangers"]:
            output.print_error(f"- {line}", bold=False)


def importers(graph: ImportGraph, library: str) -> set[str]:
    """Modules of ours that import `library`; none if nothing does."""
    return graph.find_modules_that_directly_import(library) if library in graph.modules else set()
