"""How the program ends."""

import subprocess
import sys

import pytest

PROGRAM = """
import threading
from concurrent.futures import ThreadPoolExecutor
from optnas.cli import console

console.PATIENCE = {patience}
pool = ThreadPoolExecutor(1)
with console.ending_without_threads():
    print("ran", flush=True)
    {code}
    raise SystemExit(3)
"""


@pytest.mark.parametrize(
    ("code", "patience", "said"),
    [
        (
            "threading.Thread(target=threading.Event().wait, name='writer').start()",
            0.1,
            "optnas: ends without waiting for threads of your code: writer\n",
        ),
        ("pool.submit(int).result()", 60, ""),
    ],
    ids=["a thread that never ends", "a pool that waits for work"],
)
def test_a_thread_of_the_users_code_doesnt_keep_the_program(code, patience, said):
    program = PROGRAM.format(code=code, patience=patience)
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (3, "ran\n", said)
