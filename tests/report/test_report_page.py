"""The page of a report."""

import json
import re
from dataclasses import replace

import optuna
import pytest
from report_studies import HOSTILE, make_study, odd_studies

from optnas.errors import InputError
from optnas.report import report_html, write_report
from optnas.report.data import report_data
from optnas.report.page import as_json


def first_data(page):
    """The JSON that the page shows first."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    return json.loads(found[1])


def test_commands_show_no_password(study):
    data = report_data(study, url="postgresql://me:secret@host/db")
    assert "secret" not in report_html(study, url="postgresql://me:secret@host/db")
    assert data.reproducing.commands[0].line == (
        "optnas report 'postgresql://me:***@host/db' --name s"
    )


def test_json_is_safe_inside_a_script():
    text = as_json({"name": HOSTILE, "values": [float("inf"), float("-inf"), float("nan"), None]})
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == {
        "name": HOSTILE,
        "values": ["Infinity", "-Infinity", "NaN", None],
    }


def test_page_is_whole_and_loads_nothing(study):
    page = report_html(study)
    assert page.startswith("<!doctype html>")
    assert first_data(page)["title"] == "s"
    assert first_data(page)["networks"]["rows"]["trial"] == [4, 0, 1, 2, 3, 6]
    policy = re.search(r'Content-Security-Policy" content="(.*?)"', page)[1]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    scripts = policy.split("script-src ")[1].split(";")[0]
    assert "unsafe" not in scripts
    text = re.sub(r"<script.*?</script>", "", page, flags=re.S)
    assert not re.search(r"<link|<iframe|\bsrc=|\bhref=|url\(|@import", text)


def test_page_is_written_whole_or_not_at_all(study, tmp_path, monkeypatch):
    path = tmp_path / "page.html"
    write_report(study, path)
    before = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.replace", lambda *_: (_ for _ in ()).throw(OSError(28, "full")))
        with pytest.raises(InputError, match=r"can't write .*page\.html: full"):
            write_report(make_study(), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(InputError, match=r"can't write"):
        write_report(study, tmp_path / "nowhere" / "page.html")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("empty", "No trial is complete yet."),
        ("one trial", "1 network was tried; 1 of them is on the Pareto front"),
        ("infeasible", "1 network was tried; none of them is within all bounds."),
        ("failed", "No trial is complete yet."),
        ("waiting", "2 networks were tried"),
        ("infinite", "2 networks were tried"),
        ("single", "Which network has the best loss? 2 networks were tried; the best reached 1."),
        ("seven", "11 networks were tried"),
        ("plain", "the best reached"),
        ("strange", "1 network was tried"),
    ],
)
def test_odd_studies_have_a_page(name, says):
    page = report_html(odd_studies()[name])
    assert says in first_data(page)["summary"]
    assert page.count("</script>") == page.count("<script")


def test_a_study_of_plain_optuna_is_not_asked_for_a_study_file(optnas, tmp_path):
    plain = optuna.create_study(study_name="plain", storage="sqlite:///plain.db")
    plain.optimize(lambda trial: trial.suggest_float("x", 0.0, 1.0), n_trials=2)
    code, _, err = optnas("report", "sqlite:///plain.db")
    assert code == 0
    undrawn = first_data((tmp_path / "plain_report.html").read_text())["undrawn"]
    assert undrawn == "only networks of a study file are drawn, and this study has none"
    assert undrawn in err
    assert "--file" not in err


def test_command_writes_the_page_beside_the_database(optnas, search, tmp_path):
    (tmp_path / "sub").mkdir()
    url = "sqlite:///sub/tiny.db"
    replace(search, storage=url).run(progress=False)
    code, out, _ = optnas("report", url)
    assert (code, out) == (0, "report: sub/tiny_report.html\n")
    data = first_data((tmp_path / "sub" / "tiny_report.html").read_text())
    assert "a database runs no code" in data["undrawn"]
    assert (
        data["reproducing"]["commands"][0]["line"]
        == "optnas report sqlite:///sub/tiny.db --name tiny"
    )

    code, out, _ = optnas("report", url, "-o", "other.html")
    assert (code, out) == (0, "report: other.html\n")
    code, _, err = optnas("report", url, "-o", "other.txt")
    assert code == 2
    assert "must end in .html" in err
    code, _, err = optnas("report", url, "-o", "nowhere/other.html")
    assert code == 2
    assert "there is no folder" in err
