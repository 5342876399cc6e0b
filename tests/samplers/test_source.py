"""What a sampler learns from an older study, and from which of its trials."""

import pickle
from random import Random

import moocore
import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState, create_trial
from scipy.stats import spearmanr

from optnas.errors import InputError
from optnas.samplers import PredictorSampler
from optnas.samplers.known import Known
from optnas.samplers.lessons import Lessons
from optnas.samplers.source import Source
from optnas.study.attributes import BASELINE, SOURCE
from optnas.testing import SamplerContract

OPS = ("conv", "pool", "none")


def space(trial):
    ops = [trial.suggest_categorical(f"op{i}", OPS) for i in range(4)]
    return ops, trial.suggest_int("width", 1, 64, log=True)


def loss(params, widest=64):
    convs = sum(params[f"op{i}"] == "conv" for i in range(4))
    return 3.0 - 0.5 * convs + abs(np.log(params["width"] / 16)) / np.log(widest)


def objective(trial):
    space(trial)
    return loss(trial.params), float(trial.params["width"])


def study_of(names=None, directions=("minimize", "minimize")):
    study = optuna.create_study(study_name="new", directions=list(directions))
    if names:
        study.set_metric_names(list(names))
    return study


def older_study(trials=40, names=None, run=objective, storage=None):
    study = optuna.create_study(
        study_name="older",
        directions=["minimize", "minimize"],
        sampler=optuna.samplers.RandomSampler(seed=0),
        storage=storage,
    )
    study.optimize(run, n_trials=trials)
    if names:
        study.set_metric_names(list(names))
    return study


def genes(**values):
    kinds = {
        name: IntDistribution(1, 64, log=True) if name == "width" else CategoricalDistribution(OPS)
        for name in values
    }
    return {name: (kinds[name], value) for name, value in values.items()}


def lessons_of(older, **settings):
    taught = Source(older).taught(study_of(**settings))
    return Lessons(taught, None, Known(None, None), Random(0), 200)


class TestWithSource(SamplerContract):
    """The law of all samplers holds with a source: the study is the state."""

    relative = False

    def make(self, seed):
        older = optuna.create_study(
            directions=["minimize"] * 2, sampler=optuna.samplers.RandomSampler(seed=1)
        )
        older.optimize(self.objective, n_trials=12)
        return PredictorSampler(source=older, n_candidates=24, n_checked=6, seed=seed)

    def test_pickles(self):
        study = optuna.create_study(directions=["minimize"] * 2, sampler=self.make(0))
        study.optimize(self.objective, n_trials=9)
        copied = pickle.loads(pickle.dumps(study))
        for each in (study, copied):
            each.optimize(self.objective, n_trials=2)
        assert [t.params for t in copied.trials] == [t.params for t in study.trials]


class TestWhichTrials:
    def test_it_is_complete_trials_that_have_decisions(self):
        older = older_study(3)
        older.add_trial(create_trial(state=TrialState.FAIL))
        older.add_trial(create_trial(values=[1.0, 2.0]))
        older.add_trial(
            create_trial(
                params={"depth": 1},
                distributions={"depth": IntDistribution(0, 2)},
                values=[1.0, 2.0],
                user_attrs={BASELINE: "hand-made"},
            )
        )
        new = study_of()
        assert [t.number for t in Source(older).taught(new).trials] == [0, 1, 2]
        assert new.user_attrs[SOURCE]["trials"] == [0, 1, 2]
        assert new.user_attrs[SOURCE]["study"] == "older"

    def test_a_study_learns_from_the_same_ones_although_the_older_one_goes_on(self, tmp_path):
        older = older_study(5, storage=f"sqlite:///{tmp_path}/older.db")
        new, source = study_of(), Source(older)
        first = source.taught(new)
        older.optimize(objective, n_trials=4)
        assert source.taught(new) is first
        elsewhere = pickle.loads(pickle.dumps(source))
        assert [t.number for t in elsewhere.taught(new).trials] == [0, 1, 2, 3, 4]

    def test_what_another_process_wrote_last_counts(self):
        older, new = older_study(5), study_of()
        early, late = Source(older), Source(older)
        early.taught(new)
        kept = new.user_attrs[SOURCE]
        older.optimize(objective, n_trials=2)
        new.set_user_attr(SOURCE, None)  # the other one has seen nothing there
        late.taught(new)
        assert len(early.taught(new).trials) == len(late.taught(new).trials) == 7
        new.set_user_attr(SOURCE, kept)
        assert len(early.taught(new).trials) == len(late.taught(new).trials) == 5

    def test_another_study_of_the_same_name_is_another_source(self):
        new = study_of()
        Source(older_study(5)).taught(new)
        other = older_study(5, run=lambda trial: (1.0, objective(trial)[1]))
        assert all(t.values[0] == 1.0 for t in Source(other).taught(new).trials)

    def test_at_most_200_half_of_them_the_best(self):
        older = older_study(1)
        for number in range(300):
            older.add_trial(
                create_trial(
                    params={"width": 1 + number % 64},
                    distributions={"width": IntDistribution(1, 64)},
                    values=[float(number), float(number)],
                )
            )
        numbers = [t.number for t in Source(older).taught(study_of()).trials]
        assert len(numbers) == 200
        assert {*range(1, 100), *range(201, 301)} <= set(numbers)


class TestObjectives:
    def test_they_are_matched_by_name(self):
        older = older_study(6, names=["val_loss", "flops"])
        new = study_of(["flops", "latency", "val_loss"], ["maximize", "minimize", "minimize"])
        taught = Source(older).taught(new)
        values = np.array([t.values for t in taught.trials])
        assert taught.losses.keys() == {0, 2}
        assert (taught.losses[0] == -values[:, 1]).all()
        assert (taught.losses[2] == values[:, 0]).all()

    @pytest.mark.parametrize(
        ("names", "directions"),
        [(None, ["minimize", "maximize"]), (None, ["minimize"]), (["a", "b"], ["minimize"] * 2)],
    )
    def test_other_objectives_are_refused(self, names, directions):
        older = older_study(3, names=names and ["val_loss", "flops"])
        with pytest.raises(InputError, match="at least one must be the same"):
            Source(older).taught(study_of(names, directions))

    def test_those_that_are_known_teach_nothing(self):
        older, new = older_study(8, names=["val_loss", "flops"]), study_of(["acc", "flops"])
        new.sampler = PredictorSampler(
            space, lambda params: {1: params["width"]}, source=older, seed=0
        )
        with pytest.raises(InputError, match="with the new one are known before training"):
            new.optimize(objective, n_trials=1)


class TestPredictions:
    def test_they_rank_architectures_that_the_older_study_never_saw(self):
        lessons, rng = lessons_of(older_study()), np.random.default_rng(3)
        asked = [
            genes(width=int(rng.integers(1, 64)), **{f"op{i}": rng.choice(OPS) for i in range(4)})
            for _ in range(60)
        ]
        truth = [loss({name: value for name, (_, value) in g.items()}) for g in asked]
        assert spearmanr(lessons.predict(asked, [0])[0], truth)[0] > 0.9

    def test_decisions_count_by_label_and_by_number_whatever_the_new_ranges(self):
        lessons = lessons_of(older_study())
        same = {f"op{i}": "conv" for i in range(4)}
        plain = lessons.predict([genes(**same, width=16)], [0])[0]
        wider = {name: (CategoricalDistribution(("none", "dw", "conv")), "conv") for name in same}
        for width in (
            (IntDistribution(16, 512, step=16), 16),
            (FloatDistribution(0.0, 100.0), 16.0),
            (CategoricalDistribution((8, 16)), 16),
        ):
            assert lessons.predict([wider | {"width": width}], [0])[0] == pytest.approx(plain)

    def test_what_one_of_the_studies_lacks_is_absent(self):
        lessons = lessons_of(older_study())
        few, more = genes(op0="conv"), genes(op0="conv", new="pool")
        odd = few | {"width": (CategoricalDistribution(("a", True, None)), "a")}
        zero = few | {"width": (IntDistribution(0, 8), 0)}  # has no logarithm
        unknown = few | {"op1": (CategoricalDistribution(("dw",)), "dw")}
        expected = lessons.predict([few], [0])[0]
        for other in (more, odd, zero, unknown):
            assert lessons.predict([other], [0])[0] == pytest.approx(expected)

    def test_nothing_is_told_of_an_objective_that_never_differed_or_had_no_number(self):
        same = older_study(6, run=lambda trial: (float("inf"), 0 * objective(trial)[1]))
        assert lessons_of(same).predict([genes(width=3)], [0, 1]) == {}

    def test_costs_and_proxies_tell_what_decisions_do_not(self):
        """The loss depends on a hash of the decisions, which a proxy knows."""

        def proxy(params):
            return {"hash": Random(str(sorted(params.items()))).random()}

        def run(trial):
            space(trial)
            return proxy(trial.params)["hash"], 1.0

        taught = Source(older_study(40, run=run)).taught(study_of())
        lessons = Lessons(taught, space, Known(None, proxy), Random(0), 200)
        rng = np.random.default_rng(0)
        asked = [
            genes(**{f"op{i}": str(rng.choice(OPS)) for i in range(4)}, width=int(w))
            for w in rng.integers(1, 64, 30)
        ]
        truth = [proxy({n: v for n, (_, v) in g.items()})["hash"] for g in asked]
        assert spearmanr(lessons.predict(asked, [0], known=True)[0], truth)[0] > 0.8
        assert abs(spearmanr(lessons.predict(asked, [0])[0], truth)[0]) < 0.6

    def test_costs_are_those_of_the_same_network_and_of_no_more_than_asked_for(self):
        """In a wider space half of the networks can't be made; of the others, 20 are looked at."""
        asked = []

        def wider(trial):
            [trial.suggest_categorical(f"op{i}", OPS) for i in range(4)]
            trial.suggest_int("width", 8, 512, log=True)

        def costs(params):
            asked.append(params)
            return {1: params["width"]}

        older, known, new = older_study(60), Known(costs, None), study_of()
        known.begin(new)
        lessons = Lessons(Source(older).taught(new), wider, known, Random(0), 20)
        lessons.predict([genes(op0="conv", width=9)], [0], known=True)
        made = [trial.params for trial in older.trials]
        assert 10 < len({str(params) for params in asked[:-1]}) <= 20
        assert all(params in made for params in asked[:-1])

    def test_networks_whose_wrong_cost_is_nan_teach_once_it_is_known_to_be_wrong(self):
        def costs(params):
            return {1: float("nan") if params["op0"] == "conv" else 0.0}

        def proxies(params):
            return {"width": params["width"]}

        older, new, told = older_study(), study_of(), []
        for asked_before in (True, False):
            known = Known(costs, proxies)
            known.begin(new)
            lessons = Lessons(Source(older).taught(new), space, known, Random(0), 200)
            if asked_before:
                lessons.predict([genes(op0="pool", width=9)], [0], known=True)
            with pytest.warns(UserWarning, match="objective 1"):
                known.check(new, older.trials, strict=False)
            told.append(lessons.predict([genes(op0="conv", width=9)], [0], known=True)[0])
        assert told[0] == told[1]


class TestWhatCannotTeach:
    @pytest.mark.parametrize("trials", [0, 2])
    def test_a_study_without_a_choice(self, trials):
        older = older_study(trials, run=lambda trial: (trial.suggest_int("one", 1, 1), 1.0))
        with pytest.raises(InputError, match="'older': it has no COMPLETE trial with a choice"):
            PredictorSampler(source=older)

    def test_no_study(self):
        with pytest.raises(TypeError, match=r"source must be an Optuna study, got 'old\.db'"):
            PredictorSampler(source="old.db")

    def test_the_study_itself(self):
        study = older_study(3)
        study.sampler = PredictorSampler(source=study)
        with pytest.raises(InputError, match="'older' can't learn from itself"):
            study.optimize(objective, n_trials=1)

    @pytest.mark.parametrize("known_space", [True, False])
    def test_a_study_of_another_space(self, known_space):
        def other(trial):
            return float(trial.suggest_int("units", 1, 99)), 1.0

        given = other if known_space else None
        study = optuna.create_study(
            directions=["minimize"] * 2,
            sampler=PredictorSampler(given, source=older_study(3), n_startup_trials=2, seed=0),
        )
        with pytest.raises(InputError, match=r"no choice in common \(op0, op1, .* there, units"):
            study.optimize(other, n_trials=4)
        assert len(study.trials) == (1 if known_space else 2)


def volume(source, seed):
    """The hypervolume of the first trials, up to a loss of 4 and a width of 64, as logarithms."""
    study = optuna.create_study(
        directions=["minimize"] * 2,
        sampler=PredictorSampler(
            space,
            lambda params: {1: params["width"]},
            source=source,
            n_candidates=60,
            n_checked=12,
            seed=seed,
        ),
    )
    study.optimize(objective, n_trials=8)
    values = np.log([trial.values for trial in study.trials])
    return moocore.hypervolume(values, ref=np.log([4, 64]))


def test_a_study_with_a_source_begins_where_the_older_one_ended_and_a_wrong_one_harms_little():
    older = older_study(60)
    wrong = optuna.create_study(directions=["minimize"] * 2)
    values = [t.values for t in older.trials]
    Random(0).shuffle(values)
    for trial, shuffled in zip(older.trials, values, strict=True):
        wrong.add_trial(
            create_trial(params=trial.params, distributions=trial.distributions, values=shuffled)
        )
    cold, warm, misled = (
        np.mean([volume(source, seed) for seed in (0, 1)]) for source in (None, older, wrong)
    )
    assert warm > 1.1 * cold
    assert misled > 0.9 * cold
