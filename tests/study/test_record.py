"""What a study remembers of its making."""

import optuna

from optnas.study.record import RECORD, Overrides, StudyRecord, record_of

RECORDED = StudyRecord(
    version="0.1.0",
    file="/tiny.py",
    fingerprint={"space": "a"},
    overrides=Overrides(trials=5, early_stop=False),
    scores=("loss",),
    accepted=("from trial 3: space",),
    size="12",
    retrains=True,
)


def test_a_record_is_stored_as_json_and_read_back():
    study = optuna.create_study()
    assert record_of(study) == StudyRecord()
    study.set_user_attr(RECORD, RECORDED.stored())
    assert record_of(study) == RECORDED
    assert study.user_attrs[RECORD] == {
        "version": "0.1.0",
        "file": "/tiny.py",
        "fingerprint": {"space": "a"},
        "overrides": {"trials": 5, "early_stop": False},
        "scores": ["loss"],
        "accepted": ["from trial 3: space"],
        "size": "12",
        "retrains": True,
    }


def test_a_field_of_another_form_is_left_out_and_the_others_are_read():
    study = optuna.create_study()
    wrong = {"file": 3, "scores": ["loss", 1], "overrides": {"trials": "many", "epochs": 2}}
    wrong |= {"retrains": "no"}
    study.set_user_attr(RECORD, RECORDED.stored() | wrong)
    found = record_of(study)
    assert (found.file, found.scores, found.overrides) == ("", (), Overrides(epochs=2))
    assert found.retrains is None
    assert (found.size, found.fingerprint) == (RECORDED.size, RECORDED.fingerprint)


def test_overrides_as_options():
    options = Overrides(trials=5, early_stop=False, max_failures=2).as_options()
    assert options == {"--trials": "5", "--no-early-stop": "", "--max-failures": "2"}
