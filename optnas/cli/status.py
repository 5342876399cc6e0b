"""`optnas status`: how far a study is."""

from __future__ import annotations

from optnas.cli.console import show
from optnas.cli.options import AnyStudy, Name, Storage


def status(study: AnyStudy, storage: Storage = None, name: Name = None) -> None:
    """Show how far a study is: trials, front, hypervolume, the best of each objective."""
    from optnas.cli.status_table import status_table
    from optnas.cli.study_argument import read_snapshot

    show(status_table(read_snapshot(study, storage, name)))
