"""Studies whose networks a command trains."""

import importlib
import os
import runpy
import sys
import textwrap
from pathlib import Path

import optuna
import pytest
import torch
from optuna.trial import FixedTrial, TrialState
from safetensors.torch import load_file

import optnas
from optnas.errors import CommandError, InputError
from optnas.evaluators.command import process
from optnas.search_spaces import FunctionSpace

LOSS = {"loss": ("minimize", r"loss (\S+)")}
SPACE = {"width": [1, 2, 3], "depth": [1, 2]}
CHAR_GPT = Path(__file__).parent.parent / "fixtures" / "char_gpt"


@pytest.fixture(autouse=True)
def _short_grace(monkeypatch):
    monkeypatch.setattr(process, "GRACE", 0.2)
    monkeypatch.setattr(process, "PATIENCE", 60.0)


def study_of(script, command="python -S train.py {width} {depth}", **settings):
    Path("train.py").write_text(textwrap.dedent(script))
    evaluator = optnas.CommandEvaluator(command, LOSS)
    given = {"space": optnas.ParameterSpace(SPACE), "objectives": ("loss",), "sampler": "random"}
    return optnas.Search(**(given | {"evaluator": evaluator, "seed": 1, "name": "c"} | settings))


TRAINS = "import sys; w, d = map(int, sys.argv[1:]); print('loss', 1 / w + 1 / d)"


def test_choices_alone_are_searched_and_nothing_of_a_network_is_asked_for(optnas):
    Path("c.py").write_text(
        f"""
import optnas
search = optnas.Search(
    space=optnas.ParameterSpace({SPACE}),
    evaluator=optnas.CommandEvaluator(
        "python -S train.py {{width}} {{depth}}",
        {{"loss": ("minimize", r"loss (\\S+)"), "params": ("minimize", r"params (\\d+)")}},
    ),
    objectives=("loss", "params"), trials=6, seed=0,
)
"""
    )
    Path("train.py").write_text(TRAINS + "\nprint('params', w * d)")
    code, _, err = optnas("run", "c.py")
    assert (code, err.count("params 1 ")) == (0, 1), err
    assert "6/6" in err
    study = optuna.load_study(study_name="c", storage="sqlite:///c.db")
    assert {tuple(t.params.values()) for t in study.trials} == {
        (w, d) for w in (1, 2, 3) for d in (1, 2)
    }
    assert not Path("c_weights").exists() or not any(Path("c_weights").iterdir())
    assert optnas("report", "c.db", "--file", "c.py")[0] == 0
    number = str(study.best_trials[0].number)
    for command in ("export", "measure"):
        code, _, err = optnas(command, "c.db", "--file", "c.py", "--trial", number)
        assert code == 2
        assert "a ParameterSpace has no networks" in err or "no weights are kept" in err, err


def test_what_is_measured_of_networks_is_refused_where_there_are_none():
    for names in ({"objectives": ("loss", "flops")}, {"constraints": {"latency_ms": 1}}):
        with pytest.raises(InputError, match=r"can't be measured in a ParameterSpace.*as a score"):
            study_of(TRAINS, **names)
    depth = optnas.FunctionMetric("depth", lambda c: dict(c.architecture.choices)["depth"])
    search = study_of(TRAINS, metrics=[depth], objectives=("loss", "depth"), trials=1)
    assert set(search.run(progress=False).trials[0].user_attrs) >= {"loss", "depth"}


def build(trial):
    return torch.nn.Linear(2, trial.suggest_int("width", 1, 3))


def test_without_a_file_no_weights_are_kept_and_the_reason_is_told():
    search = study_of(
        "print('loss 1')",
        "python -S train.py {width}",
        space=FunctionSpace(build, torch.zeros(1, 2)),
        trials=1,
        objectives=("loss", "params"),
    )
    study = search.run(progress=False)
    assert study.trials[0].values == [1, 3 * study.trials[0].params["width"]]
    assert not list(Path("c_weights").glob("*"))
    for use in (
        lambda: optnas.best_model(study, search),
        lambda: optnas.export_model(study, search, 0, "a.safetensors"),
    ):
        with pytest.raises(InputError, match=r"CommandEvaluator doesn't say where.*`weights=`"):
            use()


def test_weights_of_a_space_without_networks_end_the_run():
    Path("train.py").touch()
    search = study_of(
        "print('loss 1')",
        space=optnas.ParameterSpace(SPACE),
        evaluator=optnas.CommandEvaluator("python -S train.py", LOSS, weights="{folder}/model.pt"),
    )
    with pytest.raises(InputError, match="a ParameterSpace has no networks"):
        search.run(progress=False)


def test_a_trial_that_takes_too_long_fails_and_its_command_is_ended():
    """The command rings the alarm itself, once what it prints is read."""
    search = study_of(
        f"""
        import os, signal, sys, time
        open("pid", "w").write(str(os.getpid()))
        print("ready", flush=True)
        while not os.path.getsize(sys.argv[1] + "/../output.log"):
            time.sleep(0.01)
        os.kill({os.getpid()}, signal.SIGALRM)
        time.sleep(600)
        """,
        "python -S train.py {folder}",
        trial_timeout=60,
        max_failures=1,
    )
    with pytest.raises(InputError, match="took longer than"):
        search.run(progress=False)
    with pytest.raises(ProcessLookupError):
        os.kill(int(Path("pid").read_text()), 0)


def test_a_failing_command_is_a_sentence_and_later_fails_its_trial_alone(optnas):
    study_file = f"""
import optnas
from optuna.distributions import FloatDistribution
search = optnas.Search(
    space=optnas.ParameterSpace({{"width": FloatDistribution(0, 1)}}),
    evaluator=optnas.CommandEvaluator("python -S train.py {{width}}", {LOSS}),
    objectives=("loss",), trials=3, sampler="random", seed=1,
)
"""
    Path("c.py").write_text(study_file)
    Path("train.py").write_text("import sys; sys.exit('\\x1b[31mno data')")
    code, _, err = optnas("run", "c.py")
    assert code == 1
    assert "ended with exit code 1; its output ends with:\n  no data\nNo network of this" in err
    assert "Traceback" not in err
    Path("train.py").write_text("import os; os.mkdir('once'); print('loss 1')")
    code, _, err = optnas("run", "c.py")
    assert code == 2  # three failures in a row
    assert "FileExistsError" in err
    study = optuna.load_study(study_name="c", storage="sqlite:///c.db")
    complete, *failed = study.trials
    assert complete.values == [1]
    assert {trial.state for trial in failed} == {TrialState.FAIL}
    assert "exit code 1; its output ends with:\n" in failed[0].user_attrs["failure"]


def test_an_edited_script_is_another_evaluator():
    study_of(TRAINS, trials=1).run(progress=False)
    study_of(TRAINS + "  # a comment", trials=1).run(progress=False)
    with pytest.raises(InputError, match=r"file train\.py"):
        study_of(TRAINS + " + 1", trials=1).run(progress=False)


RESUMES = """
    import os, sys, time
    path = sys.argv[1] + "/epoch"
    first = int(open(path).read()) if os.path.exists(path) else 0
    for epoch in range(first, 4):
        with open(path + "_", "w") as file:
            file.write(str(epoch + 1))
        os.replace(path + "_", path)
        print(f"loss {first + 0.1 * epoch}")
        if epoch == 1:
            time.sleep(60)
"""


def test_the_retry_of_an_interrupted_trial_goes_on_from_its_folder():
    search = study_of(RESUMES, "python -S train.py {folder}", trials=1)

    def give_up(trial, step, scores):
        if trial.number == 0 and step == 1:
            raise KeyboardInterrupt

    study = search.open()
    objective = search.objective([give_up])
    with pytest.raises(KeyboardInterrupt):
        study.optimize(objective, 1)
    study = search.run(progress=False)
    retry = study.trials[-1]
    assert retry.user_attrs["retry_of"] == 0
    curve = [row["loss"] for row in retry.user_attrs["curve"]]
    assert curve[:2] == [0, 0.1]  # of the first process
    assert curve[2:] == [2.2, 2.3]  # of the second one, which began with the third epoch
    assert retry.value == 2.3
    assert not Path("c_checkpoints").exists()


@pytest.fixture
def char_gpt(monkeypatch):
    """The module of the networks that the script trains, imported as its users do."""
    monkeypatch.syspath_prepend(str(CHAR_GPT))
    return importlib.import_module("model")


def test_a_command_of_its_own_retrains_a_network():
    torch.save(torch.nn.Linear(2, 2).state_dict(), "trained.pt")
    final = "import shutil, sys; shutil.copy('trained.pt', sys.argv[1]); print('loss', sys.argv[2])"
    Path("final.py").write_text(final)
    Path("train.py").write_text("print('loss 1')")
    command = "python -S final.py {folder}/model.pt {rate}"
    final = optnas.CommandEvaluator(
        command, {"test_loss": ("minimize", r"loss (\S+)")}, weights="{folder}/model.pt"
    )
    search = study_of(
        "print('loss 1')",
        space=FunctionSpace(lambda trial: torch.nn.Linear(2, 2), torch.zeros(1, 2)),
        evaluator=optnas.CommandEvaluator(
            "python -S train.py", LOSS, suggest=lambda trial: {"rate": 0.5}, retrain=final
        ),
        trials=1,
    )
    study = search.run(progress=False)
    result = optnas.retrain(study, search, 0, seeds=1, progress=False)
    assert result.spreads()["test_loss"].mean == 0.5
    optnas.export_model(study, search, 0, "a.safetensors")
    kept = load_file("a.safetensors")
    assert torch.equal(kept["weight"], torch.load("trained.pt")["weight"])
    with pytest.raises(InputError, match="retrain needs `weights=`"):
        optnas.CommandEvaluator("true", LOSS, retrain=optnas.CommandEvaluator("true", LOSS))
    with pytest.raises(InputError, match="has no retraining: its script alone knows its data"):
        final.retraining()


@pytest.mark.slow
def test_a_research_script_of_globals_is_searched_as_it_is(char_gpt, monkeypatch, tmp_path):
    """Counts, weights and best_model work; the same command by hand gives the same weights."""

    def build(trial):
        layers, width = (
            trial.suggest_int("n_layer", 1, 2),
            trial.suggest_int("n_embd", 4, 8, step=4),
        )
        return char_gpt.CharGPT(char_gpt.Config(n_layer=layers, n_embd=width))

    arguments = "train.py --n_layer={n_layer} --n_embd={n_embd} --seed={seed} --out_dir={folder}"
    seeds = []
    search = optnas.Search(
        space=FunctionSpace(build, torch.zeros(1, 8, dtype=torch.long)),
        evaluator=optnas.CommandEvaluator(
            f"python {arguments} --device={{device}}",
            {"val_loss": ("minimize", r"step \d+: .*val loss ([\d.]+)")},
            step=r"step (\d+):",
            epoch="best",
            weights=("{folder}/ckpt.pt", "model"),
            cwd=CHAR_GPT,
            device="cpu",
        ),
        objectives=("val_loss", "params", "flops"),
        metrics=[optnas.FunctionMetric("seed", lambda c: seeds.append(c.seed) or c.seed)],
        trials=1,
        seed=3,
        sampler="random",
        name="gpt",
    )
    study = search.run(progress=False)
    trial = study.trials[0]
    losses = [row["val_loss"] for row in trial.user_attrs["curve"]]
    assert [row["step"] for row in trial.user_attrs["curve"]] == [0, 4, 8]
    assert trial.values[0] == min(losses) < 4
    assert trial.values[1] == sum(p.numel() for p in build(FixedTrial(trial.params)).parameters())

    values = {**trial.params, "seed": seeds[0], "folder": tmp_path / "by_hand"}
    monkeypatch.setattr(sys, "argv", [word.format(**values) for word in arguments.split()])
    runpy.run_path(str(CHAR_GPT / "train.py"))
    expected = torch.load(tmp_path / "by_hand" / "ckpt.pt", weights_only=True)["model"]
    model = optnas.best_model(study, search)
    assert {f"_orig_mod.{name}" for name in model.state_dict()} == set(expected)
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, expected[f"_orig_mod.{name}"]), name


def test_command_errors_are_no_faults_of_the_input():
    assert not issubclass(CommandError, InputError)
