"""New SQLite databases as copies of one, for tests that don't ask how they are made."""

import os
import shutil
from contextlib import suppress
from pathlib import Path

from optuna.storages import RDBStorage
from optuna.storages._rdb.models import BaseModel

MAKE = BaseModel.metadata.create_all


def make_template(path):
    """A database as Optuna makes it: all tables, and its version, which is returned."""
    storage = RDBStorage(f"sqlite:///{path}")
    newest = storage.get_head_version()
    storage.remove_session()
    storage.engine.dispose()
    return newest


def copying(template):
    """A stand-in for Optuna's making of tables, which takes 0.1 s and many writes to the disk."""

    def create_all(engine):
        path = engine.url.database
        if engine.dialect.name != "sqlite" or path in (None, "", ":memory:") or "file:" in path:
            return MAKE(engine)
        if not Path(path).exists():
            own = f"{path}.{os.getpid()}.copy"
            shutil.copyfile(template, own)
            with suppress(FileExistsError):  # another process was quicker
                os.link(own, path)
            os.unlink(own)
        return MAKE(engine)

    return create_all
