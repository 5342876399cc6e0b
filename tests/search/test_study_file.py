import importlib.util
import py_compile
import sys
from pathlib import Path

import optuna
import pytest
from command_line import exit_code

import optnas
from optnas.errors import InputError
from optnas.search.bundled import bundled_folder


def test_a_path_has_its_database_beside_it_and_a_bundled_name_here(tmp_path):
    folder = tmp_path / "deep"
    folder.mkdir()
    path = folder / "mine.py"
    path.write_text((bundled_folder() / "template.py").read_text())
    assert optnas.load_search(path).url == f"sqlite:///{folder}/mine.db"
    assert optnas.load_search("digits_cnn").url == "sqlite:///digits_cnn.db"
    assert optnas.load_search("digits_cnn").study_name == "digits_cnn"


def test_a_study_file_may_import_its_neighbours(tmp_path):
    (tmp_path / "neighbour_of_mine.py").write_text("VALUE = 7\n")
    text = (bundled_folder() / "template.py").read_text()
    (tmp_path / "mine.py").write_text("from neighbour_of_mine import VALUE\n" + text)
    assert optnas.load_search("mine.py").trials == 20


def test_a_study_file_that_parses_arguments_sees_those_of_a_script_without_any(
    tmp_path, monkeypatch
):
    lines = ["import argparse, sys", "SEEN = sys.argv"]
    lines += ["parser = argparse.ArgumentParser()", "parser.add_argument('--trials', default='7')"]
    lines += ["args = parser.parse_args()"]
    text = (
        (bundled_folder() / "template.py")
        .read_text()
        .replace("trials=20", "trials=int(args.trials)")
    )
    (tmp_path / "mine.py").write_text("\n".join([*lines, text]))
    arguments = ["optnas", "run", "mine.py", "--trials", "3"]
    monkeypatch.setattr(sys, "argv", arguments)
    assert optnas.load_search("mine.py").trials == 7
    seen = sys.modules["optnas_study_mine"].SEEN
    assert seen == [str(tmp_path / "mine.py")]
    assert sys.argv is arguments


def test_the_arguments_are_put_back_after_a_study_file_that_fails(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text("import sys\nsys.argv.append('more')\nraise ValueError\n")
    arguments = ["optnas", "run", "mine.py"]
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(InputError, match="line 3: ValueError"):
        optnas.load_search("mine.py")
    assert sys.argv == arguments == ["optnas", "run", "mine.py"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = (", "mine.py, line 1: "),
        ("\nimport no_such_module", "mine.py, line 2: ModuleNotFoundError: No module named"),
        ("x = 1", "it defines no `search`"),
        ("search = 3", "its `search` is 3; define search = optnas.Search"),
        ("import optnas\n\noptnas.MLPSpace((3,), 1, depth=(2, 1))", "line 3: ValueError: depth"),
        ("import optnas\noptnas.idx_images('nowhere')", "line 2: no folder nowhere"),
        ("raise SystemExit(3)", "SystemExit: 3: the file ends the program while it is imported"),
        (
            "import argparse\nparser = argparse.ArgumentParser()\n"
            "parser.add_argument('data')\nparser.parse_args()",
            r"mine\.py, line 4: SystemExit: 2: .* give each argument of a parser a default",
        ),
    ],
)
def test_what_is_wrong_with_a_study_file(tmp_path, text, message):
    (tmp_path / "mine.py").write_text(text)
    with pytest.raises(InputError, match=message):
        optnas.load_search("mine.py")


def test_files_that_are_missing_or_something_else(tmp_path):
    with pytest.raises(InputError, match=r"there is no study file mine\.py"):
        optnas.load_search("mine.py")
    (tmp_path / "mine.txt").write_text("search = 3")
    with pytest.raises(InputError, match="a study file is a Python file"):
        optnas.load_search("mine.txt")
    (tmp_path / "mine.py").write_bytes(b"# \xff\n")
    with pytest.raises(InputError, match=r"mine\.py"):
        optnas.load_search("mine.py")


def test_no_compiled_code_is_imported(tmp_path):
    """Neither a file that is compiled, nor one that lies where Python keeps a compiled copy."""
    (tmp_path / "mine.py").write_text("raise ZeroDivisionError")
    for copy in (tmp_path / "mine.pyc", Path(importlib.util.cache_from_source("mine.py"))):
        copy.parent.mkdir(exist_ok=True)
        py_compile.compile(
            str(tmp_path / "mine.py"),
            cfile=str(copy),
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )
    (tmp_path / "mine.py").write_text("search = 3")
    (tmp_path / "mine.so").touch()
    with pytest.raises(InputError, match="its `search` is 3"):
        optnas.load_search("mine.py")
    for compiled in ("mine.pyc", "mine.so"):
        with pytest.raises(InputError, match=r"a study file is a Python file \(\*\.py\)"):
            optnas.load_search(compiled)


@pytest.mark.parametrize(
    "name",
    [
        "digits_cells",
        "digits_cnn",
        "digits_slim",
        "digits_vit",
        "diabetes_mlp",
        "gpt_char",
        "lora_digits",
        "sequences",
        "shapes_unet",
        "tables",
        "template",
    ],
)
def test_bundled_studies_train_and_measure_a_network(name, monkeypatch):
    """One trial of one epoch of each: what is in them fits together."""
    from dataclasses import replace

    monkeypatch.setenv("GPT_CHAR_TOKENS", "3000")
    monkeypatch.setattr("optnas.samplers.startup.SAMPLE", 8)  # networks to choose the first from
    search = replace(optnas.load_search(name), trials=1, epochs=1, weights=False)
    assert len(search.run(progress=False).trials) >= 1


def test_fashion_mnist_says_how_to_get_the_images(monkeypatch):
    monkeypatch.setenv("FASHION_MNIST", "nowhere")
    with pytest.raises(InputError, match="apt-get install dataset-fashion-mnist"):
        optnas.load_search("fashion_mnist_cnn")


@pytest.mark.parametrize(
    ("name", "baselines"),
    [
        ("fashion_mnist_cnn", ["LeNet-5", "small ResNet"]),
        ("fashion_mnist_mobile", ["MobileNetV2 0.25", "ResNet-8, narrow"]),
    ],
)
def test_fashion_mnist_runs_on_a_folder_of_its_format(name, baselines, monkeypatch, tmp_path):
    import gzip
    from dataclasses import replace

    import numpy as np
    from idx_files import FILES, idx

    rng = np.random.default_rng(0)
    for part in FILES:
        n = 5_120 if part.startswith("train") else 40
        content = rng.integers(0, 255, (n, 28, 28)) if "images" in part else np.arange(n) % 10
        (tmp_path / f"{part}.gz").write_bytes(gzip.compress(idx(content), 1))
    monkeypatch.setenv("FASHION_MNIST", str(tmp_path))
    monkeypatch.setenv("FASHION_MNIST_TRAIN", "120")
    search = replace(optnas.load_search(name), trials=2, epochs=1, weights=False)
    study = search.run(progress=False)
    assert [t.user_attrs.get("baseline") for t in study.trials] == baselines


def test_the_wheel_carries_every_study():
    import tomllib
    from pathlib import Path

    root = Path(__file__).parents[2]
    with (root / "pyproject.toml").open("rb") as file:
        build = tomllib.load(file)["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert set(build["force-include"]) == {f"studies/{p.name}" for p in root.glob("studies/*.py")}


def test_training_code_that_parses_arguments_sees_none_of_a_command(tmp_path):
    lines = ["import argparse, sys, torch, optnas", "def fit(model, recipe, report):"]
    lines += [
        "    parser = argparse.ArgumentParser()",
        "    parser.add_argument('--lr', default=0.5)",
    ]
    lines += ["    assert sys.argv == [__file__]"]
    lines += ["    return parser.parse_args().lr", "space = optnas.ModelSpace("]
    lines += ["    torch.nn.Linear, {'in_features': [2], 'out_features': [1]}, torch.zeros(1, 2))"]
    lines += ["search = optnas.Search(space=space, evaluator=fit, objectives={'s': 'minimize'})"]
    (tmp_path / "late.py").write_text("\n".join(lines))
    assert exit_code(["run", "late.py", "--trials", "1", "--sampler", "random"]) == 0
    (trial,) = optuna.load_study(study_name="late", storage="sqlite:///late.db").trials
    assert trial.values == [0.5]


def test_the_line_that_failed_is_named_in_an_imported_module(tmp_path, monkeypatch):
    (tmp_path / "shared_part.py").write_text("import optnas\n\n\ndef make():\n    return [][3]\n")
    (tmp_path / "mine.py").write_text("from shared_part import make\n\nsearch = make()\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError, match=r"shared_part\.py, line 5: IndexError"):
        optnas.load_search(tmp_path / "mine.py")
    (tmp_path / "mine.py").write_text("import numpy\n\nnumpy.zeros(-1)\n")
    with pytest.raises(InputError, match=r"mine\.py, line 3: ValueError"):
        optnas.load_search(tmp_path / "mine.py")
    (tmp_path / "mine.py").write_text("import json\n\njson.loads('{')\n")
    with pytest.raises(InputError, match=r"mine\.py, line 3: JSONDecodeError"):
        optnas.load_search(tmp_path / "mine.py")
