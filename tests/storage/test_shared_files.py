"""Files that machines share through a PostgreSQL server."""

import optuna
import pytest
from common.postgres import database

from optnas.storage import shared_files as module
from optnas.storage.open import close_storage, open_storage
from optnas.storage.shared_files import shared_files


@pytest.fixture
def machines(postgres_server, request):
    """Two machines on one study, each with connections of its own, and a second study."""
    url = database(postgres_server, f"f{abs(hash(request.node.nodeid))}")
    storages = [open_storage(url, create=True) for _ in range(2)]
    studies = [optuna.create_study(storage=storages[0], study_name=name) for name in "ab"]
    ids = [study._study_id for study in studies]
    yield (
        *(shared_files(storage, ids[0]) for storage in storages),
        shared_files(storages[0], ids[1]),
    )
    for storage in storages:
        close_storage(storage)


def test_what_one_machine_puts_the_other_fetches_whole(machines, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PIECE", 3)
    one, two, of_other_study = machines
    (tmp_path / "given").write_bytes(bytes(range(10)))
    assert not two.has("n")
    assert not two.fetch("n", tmp_path / "found")
    assert one.put("n", tmp_path / "given")
    (tmp_path / "late").write_bytes(b"late")
    assert not two.put("n", tmp_path / "late")  # the first one stays
    assert two.has("n")
    assert two.fetch("n", tmp_path / "found")
    assert (tmp_path / "found").read_bytes() == bytes(range(10))
    assert not of_other_study.has("n")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["found", "given", "late"]


def test_one_process_at_a_time_has_its_turn(machines):
    one, two, of_other_study = machines
    with one.turn("n") as own:
        assert own
        with two.turn("n") as other, two.turn("m") as free, of_other_study.turn("n") as apart:
            assert (other, free, apart) == (False, True, True)
        with two.turn("n") as other:
            assert not other
    with two.turn("n") as own:
        assert own


def test_the_turn_of_a_process_that_is_gone_is_free(machines):
    one, two, _ = machines
    turn = one.turn("n")
    assert turn.__enter__()
    with two._engine.connect() as connection:
        connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_locks WHERE locktype = 'advisory'"
        )
    with two.turn("n") as own:
        assert own
    turn.__exit__(None, None, None)


def test_a_deleted_study_takes_its_files_along(machines, tmp_path):
    one, two, _ = machines
    (tmp_path / "given").write_bytes(b"x")
    one.put("n", tmp_path / "given")
    with one._engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM study_directions")
        connection.exec_driver_sql(f"DELETE FROM studies WHERE study_id = {one._study_id}")
    assert not two.has("n")


def test_other_storages_have_folders_in_common():
    assert shared_files(optuna.storages.InMemoryStorage(), 0) is None
    storage = open_storage("sqlite:///s.db", create=True)
    assert shared_files(storage, 0) is None
    close_storage(storage)
