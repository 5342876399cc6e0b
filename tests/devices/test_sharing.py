"""Trainings release a device for measurements."""

import errno
import os
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import warm
from common.processes import SERVER

from optnas.devices import sharing
from optnas.devices.device import device_key
from optnas.devices.sharing import Sharing, exclusive

CPU = torch.device("cpu")


def measure(results):
    with exclusive(CPU, patience=60) as undisturbed:
        results.append(undisturbed)


def test_without_other_processes_the_device_is_exclusive():
    with exclusive(CPU) as undisturbed:
        assert undisturbed
    with Sharing(CPU) as training:
        training.give_way()
    assert training.waited < 1


def test_a_training_releases_the_device_at_its_next_step():
    results = []
    measurer = threading.Thread(target=measure, args=(results,))
    with Sharing(CPU) as training:
        measurer.start()
        while not results:
            training.give_way()
        assert training.waited > 0
    measurer.join()
    assert results == [True]


def test_a_sharing_inside_of_another_is_a_step_of_it():
    """It must not wait at the gate while the outer one keeps the measurement from beginning."""
    results = []
    measurer = threading.Thread(target=measure, args=(results,))
    with Sharing(CPU) as outer:
        measurer.start()
        while not results:
            with Sharing(CPU) as inner:
                inner.give_way()
        assert outer.waited > 0
    measurer.join()
    assert results == [True]


def train(ready, begin, started, stop, overlaps, measuring):
    ready.release()
    begin.wait()  # else the first one would keep a core from those that still import PyTorch
    with Sharing(CPU) as training:
        started.release()
        while not stop.is_set():
            training.give_way()
            if measuring.is_set():
                overlaps.set()


def test_trainings_without_a_pause_starve_no_measurement():
    """Three processes train without a pause; ten measurements each have the device exclusive."""
    ready, started = SERVER.Semaphore(0), SERVER.Semaphore(0)
    begin, stop, overlaps, measuring = (SERVER.Event() for _ in range(4))
    given = ready, begin, started, stop, overlaps, measuring
    trainers = [SERVER.Process(target=train, args=given) for _ in range(3)]
    for trainer in trainers:
        trainer.start()
    try:
        for _ in trainers:
            assert ready.acquire(timeout=60)
        begin.set()
        for _ in trainers:
            assert started.acquire(timeout=60)
        for _ in range(10):
            with exclusive(CPU, patience=60) as undisturbed:
                assert undisturbed
                measuring.set()
                for _ in range(1000):
                    pass
                measuring.clear()
        assert not overlaps.is_set()
    finally:
        begin.set()
        stop.set()
        for trainer in trainers:
            trainer.join()


def test_measurements_take_turns():
    inside, most, results = [], [], []

    def one():
        with exclusive(CPU, patience=60) as undisturbed:
            inside.append(1)
            most.append(len(inside))
            results.append(undisturbed)
            inside.pop()

    threads = [threading.Thread(target=one) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 8
    assert max(most) == 1


def test_a_training_that_never_yields_is_reported():
    with Sharing(CPU), exclusive(CPU, patience=0.02) as undisturbed:
        assert not undisturbed
    with exclusive(CPU) as undisturbed:
        assert undisturbed


HOLDER = """
import torch
from optnas.devices.sharing import exclusive
with exclusive(torch.device("cpu")):
    print("held", flush=True)
    input()
"""


def test_the_locks_of_a_killed_process_are_free():
    holder = warm.run(HOLDER)
    with holder.stdin, holder.stdout:
        assert holder.stdout.readline() == "held\n"
        holder.kill()
        holder.wait()
    locks = sharing._Locks.open(CPU)
    assert locks.flag[0] == 1  # the killed process could not clear it
    with Sharing(CPU) as training:
        assert locks.flag[0] == 0
        training.give_way()
    with exclusive(CPU) as undisturbed:
        assert undisturbed
    locks.close()


def test_a_gpu_is_known_by_its_uuid(monkeypatch):
    """Each worker calls its own card cuda:0."""
    cards = {0: SimpleNamespace(uuid="1234-abcd")}
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: cards[device.index])
    assert device_key(torch.device("cuda", 0)) == "cuda-1234-abcd"
    assert device_key(CPU) == "cpu"


def test_a_training_on_a_gpu_shares_the_cpu_too(monkeypatch):
    monkeypatch.setattr(sharing, "device_key", lambda device: device.type)
    monkeypatch.setattr(sharing, "synchronize", lambda device: None)
    with Sharing(torch.device("cuda", 0)):
        for device in (CPU, torch.device("cuda", 0)):
            with exclusive(device, patience=0) as undisturbed:
                assert not undisturbed


def test_without_a_folder_for_locks_a_measurement_may_be_disturbed(monkeypatch, tmp_path):
    monkeypatch.setattr(sharing, "_folders", lambda: [tmp_path / "a" / "b"])
    with exclusive(CPU) as undisturbed:
        assert not undisturbed
    with Sharing(CPU) as training:
        training.give_way()


def test_the_folder_is_the_users_own_where_the_shared_one_is_closed(monkeypatch, tmp_path):
    shared, own = tmp_path / "optnas", tmp_path / "optnas-1"
    shared.write_text("not a folder")
    monkeypatch.setattr(sharing, "_folders", lambda: [shared, own])
    with exclusive(CPU) as undisturbed:
        assert undisturbed
    assert sorted(path.name for path in own.iterdir()) == ["cpu.gate", "cpu.room"]


def test_an_error_in_a_training_frees_its_locks():
    with pytest.raises(ZeroDivisionError), Sharing(CPU):
        raise ZeroDivisionError
    with exclusive(CPU, patience=0) as undisturbed:
        assert undisturbed


def open_files():
    return len(list(Path("/dev/fd").iterdir()))


def test_a_measurement_that_never_ends_blocks_no_other_process(monkeypatch, caplog):
    """If its process was stopped, trainings and other measurements continue without the lock."""
    monkeypatch.setattr(sharing, "LIMIT", 0.02)
    with exclusive(CPU) as first:
        assert first
        with exclusive(CPU) as second:
            assert not second
        with Sharing(CPU) as training:
            assert "didn't end within 0.02 s: training continues at the same time" in caplog.text
            training.give_way()
    with Sharing(CPU), exclusive(CPU, patience=0) as undisturbed:
        assert not undisturbed


def test_an_interrupt_while_waiting_leaves_nothing_locked(monkeypatch):
    before = open_files()

    def interrupt(done, seconds, poll):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(sharing, "_until", interrupt)
        with pytest.raises(KeyboardInterrupt), Sharing(CPU):
            pass
        with pytest.raises(KeyboardInterrupt), exclusive(CPU):
            pass
    assert open_files() == before
    with exclusive(CPU, patience=0) as undisturbed:
        assert undisturbed


def test_a_training_that_waits_for_a_gpu_does_not_hold_the_cpu(monkeypatch):
    monkeypatch.setattr(sharing, "device_key", lambda device: device.type)
    monkeypatch.setattr(sharing, "synchronize", lambda device: None)
    tried = threading.Event()
    try_to_acquire = Sharing._try_to_acquire

    def recorded(sharing):
        acquired = try_to_acquire(sharing)
        tried.set()
        return acquired

    def wait_for_it():
        with Sharing(gpu):
            pass

    monkeypatch.setattr(Sharing, "_try_to_acquire", recorded)
    gpu = torch.device("cuda", 0)
    waiting = threading.Thread(target=wait_for_it)
    with exclusive(gpu) as undisturbed:
        assert undisturbed
        waiting.start()
        assert tried.wait(timeout=60)
        with exclusive(CPU, patience=60) as undisturbed_too:
            assert undisturbed_too
    waiting.join()


def test_a_full_disk_leaves_no_file_open(monkeypatch, tmp_path):
    def full(*args):
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(sharing, "_folders", lambda: [tmp_path / "optnas"])
    monkeypatch.setattr(os, "pwrite", full)
    before = open_files()
    with exclusive(CPU) as undisturbed:
        assert not undisturbed
    assert open_files() == before


def test_a_folder_that_was_there_keeps_its_mode(monkeypatch, tmp_path):
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    (tmp_path / "optnas").symlink_to(private)
    monkeypatch.setattr(sharing, "_folders", lambda: [tmp_path / "optnas"])
    with exclusive(CPU) as undisturbed:
        assert undisturbed
    assert private.stat().st_mode & 0o777 == 0o700


def test_a_thousand_turns_leave_no_file_open():
    before = open_files()
    for _ in range(1000):
        with exclusive(CPU):
            pass
        with Sharing(CPU):
            pass
    assert open_files() == before
