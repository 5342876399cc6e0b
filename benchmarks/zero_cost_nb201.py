"""Zero-cost proxies of the 15,625 cells of NAS-Bench-201, for `samplers_nb201.py`.

    python benchmarks/zero_cost_nb201.py [--jobs 2]

Writes benchmarks/results/zero_cost_nb201.csv: a cell a row, in the order of
`itertools.product(range(5), repeat=6)`. About an hour on two cores.
"""

import argparse
import itertools
import multiprocessing
import os
from pathlib import Path

from optnas.candidate import Candidate
from optnas.metrics.zero_cost import zero_cost
from optnas.search_spaces.nasbench201 import OPERATIONS, NASBench201Architecture, NASBench201Space
from optnas.utils.random_state import seeded

FILE = Path(__file__).parent / "results" / "zero_cost_nb201.csv"
NAMES = ("synflow", "live_params", "naswot", "grad_norm")
SPACE = NASBench201Space()


def proxies(cell):
    architecture = NASBench201Architecture(tuple(OPERATIONS[i] for i in cell))
    with seeded(0):
        candidate = Candidate(architecture, SPACE.example_inputs, lambda: SPACE.build(architecture))
        found = zero_cost(candidate)
    return ",".join(f"{found[name]:.6g}" for name in NAMES)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--out", type=Path, default=FILE, help="the file to write")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    cells = list(itertools.product(range(len(OPERATIONS)), repeat=6))
    with multiprocessing.get_context("spawn").Pool(options.jobs) as pool:
        rows = pool.map(proxies, cells, chunksize=10)
    options.out.write_text("\n".join([",".join(NAMES), *rows]) + "\n")
    print(f"wrote {options.out}")


if __name__ == "__main__":
    main()
