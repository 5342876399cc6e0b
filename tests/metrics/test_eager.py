"""Operations are seen wherever a network runs them: in threads, branches, loops and subclasses."""

import asyncio
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.pool import ThreadPool

import pytest
import torch
from counts import Net
from torch import nn

from optnas.metrics import profile
from optnas.metrics.counting import count_modules, count_pass
from optnas.metrics.memory import trace_memory

EARLIER_POOL = ThreadPoolExecutor(1)
X = torch.zeros(2, 8)


def in_a_thread(work, x):
    found = []
    thread = threading.Thread(target=lambda: found.append(work(x)))
    thread.start()
    thread.join()
    return found[0]


def in_pool_threads(work, x):
    with ThreadPool(1) as pool:
        return pool.map(work, [x])[0]


async def _to_thread(work, x):
    return await asyncio.to_thread(work, x)


WAYS = {
    "thread": in_a_thread,
    "executor": lambda work, x: ThreadPoolExecutor(1).submit(work, x).result(),
    "executor of an earlier pass": lambda work, x: EARLIER_POOL.submit(work, x).result(),
    "pool": in_pool_threads,
    # In a thread, because a loop runs in this one where a browser of other tests is open.
    "coroutine": lambda work, x: in_a_thread(lambda x: asyncio.run(_to_thread(work, x)), x),
    "thread of a thread": lambda work, x: in_a_thread(lambda x: in_a_thread(work, x), x),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_work_in_another_thread_counts_like_work_in_this_one(way):
    layer = nn.Linear(8, 8, bias=False)
    by_module = Net(lambda s, x: way(s.parts[0], x) + way(s.parts[0], x), layer).eval()
    assert count_pass(by_module, X) == (256, ())
    assert {k: c.macs for k, c in count_modules(by_module, X).items() if c.macs} == {"parts.0": 256}
    functional = Net(lambda s, x: way(lambda x: x @ s.w, x), w=torch.zeros(8, 8)).eval()
    assert count_pass(functional, X).macs == 128
    assert count_modules(functional, X)[""].macs == 128
    # The weights, x, and the product.
    assert trace_memory(functional, X) == (4 * (64 + 16 + 16), 4 * (16 + 16))


def test_threads_of_others_are_left_alone():
    """A thread that isn't of the pass runs its own work, and starts its own threads, uncounted."""
    other = nn.Linear(8, 8)
    begin, done = threading.Event(), threading.Event()

    def bystander():
        begin.wait()
        in_a_thread(other, X)
        done.set()

    threading.Thread(target=bystander).start()

    def forward(net, x):
        begin.set()
        done.wait()
        return net.parts[0](x)

    net = Net(forward, nn.Linear(8, 8))
    assert count_pass(net.eval(), X).macs == 128
    homes = threading.Thread.start.__module__, ThreadPoolExecutor.submit.__module__
    assert homes == ("threading", "concurrent.futures.thread")


CONTROL_FLOW = """
import sys
import torch
from torch import nn
from optnas.metrics import profile
from optnas.metrics.counting import count_pass
from optnas.metrics.memory import trace_memory

class Net(nn.Module):
    def __init__(self, run):
        super().__init__()
        self.a, self.run = nn.Linear(8, 8, bias=False), run
    def forward(self, x):
        return self.run(self.a, x)

def branch(a, x):
    return torch.cond(x.sum() > 0, lambda x: a(x), lambda x: a(a(x)), (x,))

x = torch.ones(1, 8)
assert "torch._dynamo" not in sys.modules
net = Net(branch).eval()
assert count_pass(net, x) == (64, ())      # imports the compiler halfway
assert count_pass(net, -x).macs == 128     # the other branch
assert net(x).shape == (1, 8)              # and the network still runs
assert trace_memory(net, x) == (4 * (64 + 8 + 8 + 1) + 1 - 4, 4 * 16), trace_memory(net, x)
found = profile(net, x)
assert (found.macs, found.thop.macs_thop, found.thop.error) == (64, 64, "")

from torch._higher_order_ops.scan import scan
from torch._higher_order_ops.while_loop import while_loop
from torch.nn.attention.flex_attention import flex_attention

def loop(a, x):
    return while_loop(lambda i, x: i < 3, lambda i, x: (i + 1, a(x)), (torch.tensor(0), x))[1]

def steps(a, x):
    return scan(lambda c, y: (c + a(y), a(y)), torch.zeros(1, 8), x.expand(5, 1, 8).clone())[0]

def attention(a, x):
    x = x.expand(1, 2, 16, 8)
    return flex_attention(x, x, x)

def compiled(a, x):
    return torch.compile(a, fullgraph=True)(x)

expected = {loop: 3 * 64, steps: 5 * 2 * 64, attention: 2 * 2 * 16 * 16 * 8, compiled: 64}
for run, macs in expected.items():
    assert count_pass(Net(run).eval(), x) == (macs, ()), run
    assert trace_memory(Net(run).eval(), x)
"""


@pytest.mark.slow
def test_control_flow_counts_what_is_run_and_the_network_still_runs_afterwards():
    subprocess.run([sys.executable, "-W", "ignore", "-c", CONTROL_FLOW], check=True)


class Wrapped(torch.Tensor):
    """A subclass that does its work with the tensor that it wraps, as jagged tensors do."""

    @staticmethod
    def __new__(cls, inner):
        return torch.Tensor._make_wrapper_subclass(cls, inner.shape)

    def __init__(self, inner):
        self.inner = inner

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return func(*(a.inner if isinstance(a, cls) else a for a in args), **(kwargs or {}))


def test_subclasses_of_tensors_count_as_what_they_run():
    net = Net(lambda net, x: net.parts[0](Wrapped(x)), nn.Linear(8, 4)).eval()
    assert count_pass(net, X) == (2 * 8 * 4, ())
    with torch.inference_mode():
        assert count_pass(net, X) == (2 * 8 * 4, ())
    assert trace_memory(net, X) == (4 * (36 + 16 + 8), 4 * (16 + 8))


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors is in prototype")
def test_nested_tensors_without_shapes_are_named():
    def strided(net, x):
        return net.parts[0](torch.nested.nested_tensor([x, x])).unbind()[0]

    with torch.inference_mode():
        assert count_pass(Net(strided, nn.Linear(8, 4)).eval(), X) == (0, ("aten::linear",))


def test_a_module_whose_error_is_caught_leaves_the_others_counts_alone():
    class Fails(nn.Module):
        def forward(self, x):
            raise ValueError

    def forward(net, x):
        try:
            return net.parts[0](x)
        except ValueError:
            return net.parts[1](x) @ net.w

    model = Net(forward, Fails(), nn.Linear(8, 8), w=torch.zeros(8, 8))
    counts = count_modules(model, X)
    assert (counts[""].macs, counts["parts.1"].macs, counts["parts.0"].macs) == (128, 128, 0)


def test_marks_of_the_profiler_are_no_products():
    def forward(net, x):
        with torch.profiler.record_function("block"):
            return net.parts[0](x)

    assert profile(Net(forward, nn.Linear(8, 8)), X).not_counted == ()
    assert profile(nn.DataParallel(nn.Linear(8, 8)), X).not_counted == ()
