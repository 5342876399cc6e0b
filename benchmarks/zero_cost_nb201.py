"""Zero-cost proxies of the 15,625 cells of NAS-Bench-201, for `samplers_nb201.py`.

    python benchmarks/zero_cost_nb201.py [--jobs 2]

Writes benchmarks/results/zero_cost_nb201.csv: a cell a row, in the order of
`itertools.product(range(5), repeat=6)`. The first four are what the predictor sees. The three
proxies of blocks (`ZeroCost`, batches of 8) are computed once for all cells that are the same
network. About an hour and a half on two cores.
"""

import argparse
import itertools
import math
import multiprocessing
import os
from pathlib import Path

import optnas
from optnas.candidate import Candidate
from optnas.metrics.zero_cost import OF_BLOCKS, zero_cost
from optnas.search_spaces.nasbench201 import OPERATIONS, NASBench201Architecture, NASBench201Space
from optnas.utils.random_state import seeded

FILE = Path(__file__).parent / "results" / "zero_cost_nb201.csv"
NAMES = ("synflow", "live_params", "naswot", "grad_norm")
SPACE = NASBench201Space()


def of_cell(cell):
    return NASBench201Architecture(tuple(OPERATIONS[i] for i in cell))


def candidate(architecture):
    return Candidate(architecture, SPACE.example_inputs, lambda: SPACE.build(architecture))


def proxies(cell):
    with seeded(0):
        found = zero_cost(candidate(of_cell(cell)))
    return [found[name] for name in NAMES]


def of_blocks(architecture):
    """The three proxies of the network's blocks, NaN where it has none."""
    found = []
    for name in OF_BLOCKS:
        try:
            found.append(optnas.ZeroCost(name, batch_size=8).measure(candidate(architecture)))
        except optnas.CandidateError:
            found.append(math.nan)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--out", type=Path, default=FILE, help="the file to write")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    cells = list(itertools.product(range(len(OPERATIONS)), repeat=6))
    with multiprocessing.get_context("spawn").Pool(options.jobs) as pool:
        rows = pool.map(proxies, cells, chunksize=10)
        networks = list({of_cell(cell).unique() for cell in cells})
        blocks = dict(zip(networks, pool.map(of_blocks, networks, chunksize=10), strict=True))
    lines = [",".join((*NAMES, *OF_BLOCKS))]
    for cell, row in zip(cells, rows, strict=True):
        lines.append(",".join(f"{x:.6g}" for x in (*row, *blocks[of_cell(cell).unique()])))
    options.out.write_text("\n".join(lines) + "\n")
    print(f"wrote {options.out}")


if __name__ == "__main__":
    main()
