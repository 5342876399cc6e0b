"""The notes that the dashboard shows, and the text in them."""

from pathlib import Path

import optuna
import pytest
from dashboards import add, files, note, update
from optuna.trial import Trial
from optuna_dashboard import save_note

from optnas.dashboard import publisher as publishing
from optnas.dashboard.notes import Notes, is_untouched, marked
from optnas.pareto.front import front
from optnas.storage.open import close_storage, open_storage
from optnas.study.attributes import ARCHITECTURE
from optnas.utils.markdown import plain, wrapped

STUDY = Path(__file__).parents[1] / "helpers" / "study_tiny.py"


@pytest.mark.parametrize("text", ["Mine.", ""])
def test_notes_of_people_stay(publisher, study, text):
    update(publisher)
    member, *others = front(study)
    save_note(Trial(study, member._trial_id), text)
    other = next(t for t in study.trials if t not in [member, *others])
    save_note(Trial(study, other._trial_id), "On one that isn't on the front.")
    add(study, [-1.0, -1.0, -1.0, -1.0])
    update(publisher)
    assert note(study, member) == text
    assert note(study, other) == "On one that isn't on the front."
    assert all("any more" in note(study, t) for t in others)


def test_a_note_that_was_never_finished_is_written_again(publisher, study):
    member = front(study)[0]
    study._storage.set_study_system_attr(
        study._study_id, f"dashboard:{member._trial_id}:note_ver", 1
    )
    update(publisher)
    assert is_untouched(note(study, member))


def test_a_mark_belongs_to_one_text():
    text = marked("a\n\n| b |")
    assert is_untouched(text)
    assert is_untouched(f"{text}\n")
    for other in ("", "a", text.replace("a", "A"), f"{text}\n\nmore", text[:-4] + "000)"):
        assert not is_untouched(other)


def test_the_note_says_what_there_is_to_say(publisher, study):
    trial = study.trials[1]
    text = Notes(study).of(trial)
    assert "FunctionEvaluator" in text
    assert "flops = 2 · macs; macs = multiply-accumulates" in text
    for name, value in trial.params.items():
        assert f"| {name} | {value} |" in text
    again = add(study, [0.0, 0.0, 0.0, 0.0], trial.user_attrs[ARCHITECTURE])
    text = Notes(study).of(again)
    assert "On the **Pareto front** of loss, params, flops, macs. " in text
    assert "Of 1 baselines it dominates: small (trial 0)." in text
    others = [t.number for t in study.trials if t.params == trial.params]
    assert f"other trials of it: {', '.join(map(str, others))}" in text


def test_text_in_markdown_is_on_one_line_and_plain_names_stay_as_they_are():
    assert plain("layer1.kernel_size") == "layer1.kernel_size"
    assert plain("a\n# b") == r"a \# b"
    assert plain("_a_ <b>") == r"\_a\_ \<b\>"
    assert plain("https://a.b") == "https:\u2060//a.b"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("- a", r"\- a"),
        ("1. a", r"1\. a"),
        ("1.5 a", "1.5 a"),
        ("--- ===", "\\---\\\n\\==="),
        ("|a| |-|", "\\|a|\\\n\\|-|"),
        ("", ""),
    ],
)
def test_no_line_of_wrapped_text_begins_a_block(text, expected):
    assert wrapped(text, 5) == expected


def test_only_the_newest_members_of_a_large_front_have_notes(publisher, study, monkeypatch):
    monkeypatch.setattr(publishing, "MEMBERS", 2)
    trials = [add(study, [-float(i), float(i), 0.0, 0.0], f"m{i}") for i in range(5)]
    update(publisher)
    assert [bool(note(study, t)) for t in trials] == [False] * 3 + [True] * 2


def test_notes_are_copied_to_the_trials_they_belong_to(publisher, study, optnas):
    update(publisher)
    storage = open_storage("sqlite:///b.db", create=True)
    optuna.create_study(study_name="other", storage=storage).add_trials(study.trials[:0])
    optuna.load_study(study_name="other", storage=storage).ask()  # ids differ by one
    assert optnas("storage", "copy", "sqlite:///tiny.db", "sqlite:///b.db")[0] == 0
    copied = optuna.load_study(study_name="tiny", storage=storage)
    assert copied.trials[0]._trial_id != study.trials[0]._trial_id
    assert [note(copied, t) for t in copied.trials] == [note(study, t) for t in study.trials]
    assert [files(copied, t) for t in copied.trials] == [files(study, t) for t in study.trials]
    close_storage(storage)
