"""Who trains makes room for who measures."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from types import SimpleNamespace

import pytest
import torch

from optnas import quiet
from optnas.devices import device_key
from optnas.quiet import Sharing, alone

CPU = torch.device("cpu")
TURNS = multiprocessing.get_context("spawn")


def measure(results):
    with alone(CPU, patience=60) as quiet_now:
        results.append(quiet_now)


def test_nobody_else_is_there():
    with alone(CPU) as quiet_now:
        assert quiet_now
    with Sharing(CPU) as sharing:
        sharing.give_way()
    assert sharing.waited < 1


def test_a_training_makes_room_at_its_next_step():
    results = []
    measurer = threading.Thread(target=measure, args=(results,))
    with Sharing(CPU) as sharing:
        measurer.start()
        while not results:
            sharing.give_way()
        assert sharing.waited > 0
    measurer.join()
    assert results == [True]


def train(started, stop, overlaps, measuring):
    with Sharing(CPU) as sharing:
        started.release()
        while not stop.is_set():
            sharing.give_way()
            if measuring.is_set():
                overlaps.set()


def test_trainings_that_are_always_there_starve_no_measurement():
    """Three processes train without a pause; ten measurements each have the device alone."""
    started, stop, overlaps, measuring = (
        TURNS.Semaphore(0),
        TURNS.Event(),
        TURNS.Event(),
        TURNS.Event(),
    )
    trainers = [
        TURNS.Process(target=train, args=(started, stop, overlaps, measuring)) for _ in range(3)
    ]
    for trainer in trainers:
        trainer.start()
    try:
        for _ in trainers:
            assert started.acquire(timeout=60)
        for _ in range(10):
            with alone(CPU, patience=60) as quiet_now:
                assert quiet_now
                measuring.set()
                for _ in range(1000):
                    pass
                measuring.clear()
        assert not overlaps.is_set()
    finally:
        stop.set()
        for trainer in trainers:
            trainer.join()


def test_measurements_take_turns():
    inside, most, results = [], [], []

    def one():
        with alone(CPU, patience=60) as quiet_now:
            inside.append(1)
            most.append(len(inside))
            results.append(quiet_now)
            inside.pop()

    threads = [threading.Thread(target=one) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 8
    assert max(most) == 1


def test_a_training_that_never_yields_is_reported():
    with Sharing(CPU), alone(CPU, patience=0.02) as quiet_now:
        assert not quiet_now
    with alone(CPU) as quiet_now:
        assert quiet_now


HOLDER = """
import torch
from optnas.quiet import alone
with alone(torch.device("cpu")):
    print("held", flush=True)
    input()
"""


def test_the_locks_of_a_killed_process_are_free():
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout.readline() == "held\n"
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    holder.stdin.close()
    holder.stdout.close()
    room = quiet._Room.open(CPU)
    assert room.flag[0] == 1  # it had no time to take it back
    with Sharing(CPU) as sharing:
        assert room.flag[0] == 0
        sharing.give_way()
    with alone(CPU) as quiet_now:
        assert quiet_now
    room.close()


def test_a_gpu_is_known_by_its_uuid(monkeypatch):
    """Each worker calls its own card cuda:0."""
    cards = {0: SimpleNamespace(uuid="1234-abcd")}
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: cards[device.index])
    assert device_key(torch.device("cuda", 0)) == "cuda-1234-abcd"
    assert device_key(CPU) == "cpu"


def test_a_training_on_a_gpu_shares_the_cpu_too(monkeypatch):
    monkeypatch.setattr(quiet, "device_key", lambda device: device.type)
    monkeypatch.setattr(quiet, "synchronize", lambda device: None)
    with Sharing(torch.device("cuda", 0)):
        for device in (CPU, torch.device("cuda", 0)):
            with alone(device, patience=0) as quiet_now:
                assert not quiet_now


def test_without_a_folder_for_locks_nothing_is_claimed(monkeypatch, tmp_path):
    monkeypatch.setattr(quiet, "_folders", lambda: [tmp_path / "a" / "b"])
    with alone(CPU) as quiet_now:
        assert not quiet_now
    with Sharing(CPU) as sharing:
        sharing.give_way()


def test_the_folder_is_the_users_own_where_the_shared_one_is_closed(monkeypatch, tmp_path):
    shared, own = tmp_path / "optnas", tmp_path / "optnas-1"
    shared.write_text("not a folder")
    monkeypatch.setattr(quiet, "_folders", lambda: [shared, own])
    with alone(CPU) as quiet_now:
        assert quiet_now
    assert sorted(path.name for path in own.iterdir()) == ["cpu.gate", "cpu.room"]


def test_an_error_in_a_training_leaves_the_room_free():
    with pytest.raises(ZeroDivisionError), Sharing(CPU):
        raise ZeroDivisionError
    with alone(CPU, patience=0) as quiet_now:
        assert quiet_now
