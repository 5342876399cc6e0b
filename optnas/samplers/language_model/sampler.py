"""A language model proposes architectures.

Outline of `start`, which decides on one trial:
1. The first trials are those of evolution, so that there is something to show.
2. `record` looks whether the trial's place has an answer already. Else one is asked for:
3. Every few trials a request of its own distils what worked into a note, which the study keeps
   (`questions`).
4. `prompt` writes what is known as a JSON document: the space, the best and the worst trials, what
   failed, exact costs, and the note. `client` sends it, within limits that the study counts.
5. `answer` reads parameters from the answer, and `record` keeps them with the trial.
6. A value that the space has is taken; evolution draws what is missing or invalid. An architecture
   that was tried is mutated. Without an answer, evolution decides.

Sources: the note and the self-evolution are SEKI (Cai et al., SEKI: Self-evolution and knowledge
inspiration based neural architecture search via large language models, arXiv 2502.20422); the
prompt that holds evaluated architectures is GENIUS (Zheng et al., Can GPT-4 perform neural
architecture search?, arXiv 2304.10970); evolution with a language model as the operator is LLMatic
(Nasir et al., arXiv 2306.01102).

What differs: each request has both the front and the note, where SEKI has two stages; several
objectives, with constraints; the model writes parameters of a search space, never code as in
LLMatic, so nothing of an answer is run.

Defaults: not measured with a real model. The startup trials are those of evolution.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.study import Study
from optuna.trial import FrozenTrial

from optnas.errors import InputError
from optnas.samplers.ask import Ask, Draw
from optnas.samplers.base import HistorySampler
from optnas.samplers.evolution import RegularizedEvolutionSampler
from optnas.samplers.history import History
from optnas.samplers.language_model import prompt
from optnas.samplers.language_model.answer import MISSING, fitting
from optnas.samplers.language_model.client import ChatClient, OpenAIClient
from optnas.samplers.language_model.questions import Questions, Shown
from optnas.samplers.language_model.record import kept_record
from optnas.samplers.mutation import Genes, genes_of, mutated, values_of, was_tried
from optnas.samplers.names import UNSOUND, Suggest
from optnas.samplers.proposals import complete
from optnas.samplers.ranking import may_be_parent
from optnas.study.attributes import LANGUAGE_MODEL
from optnas.study.objectives import objective_names
from optnas.study.seeds import derived_seed
from optnas.utils.checks import check_counts
from optnas.utils.distributions import as_key

DRAFTS, SHOWN_TRIALS, COSTED = 40, 200, 4
"""The number of random architectures that show what a space has (without one, of newest trials),
and the number of them whose exact costs are shown."""
CHILDREN = 25
"""After this number of children that were tried before, one more decision is mutated."""
LONGEST_TASK = 2000
"""Characters of the task's description."""


class LanguageModelSampler(HistorySampler):
    """Asks a language model for an architecture, given what the study has found so far.

    Each trial after the first ones sends one request to an endpoint with OpenAI's chat interface
    (OpenAI, vLLM, Ollama, llama.cpp, …), through the package `openai` (the extra `llm`). It
    holds the space's parameters, the best and worst architectures with their values and
    constraints, exact costs, your description of the task, and a note on what worked, which the
    model itself writes every few trials. Evolution draws what an answer lacks, and decides alone if
    there is no usable answer. The trial's user attribute `language_model` says how it was made.

    Answers are kept in the study. Given these, the sampler keeps the law of `HistorySampler`; a
    model that is asked again may answer something else.

    Example:
        ```python
        import optuna

        import optnas
        from optnas.samplers.language_model import Reply


        def stub(messages):  # in place of an endpoint
            return Reply('{"width": 20}', tokens=100)


        study = optuna.create_study(
            sampler=optnas.LanguageModelSampler("stub", client=stub, n_startup_trials=2, seed=0)
        )
        study.optimize(lambda trial: abs(trial.suggest_int("width", 1, 100) - 20), n_trials=3)
        ```

    Args:
        model: The model's name at the endpoint.
        base_url: The endpoint, such as `http://localhost:11434/v1`. Without one it is that of
            OPENAI_BASE_URL, or OpenAI's.
        key_variable: The environment variable that holds the key. The key is kept nowhere.
        task: What the networks are for, in a few words (at most 2,000 characters).
        n_startup_trials: The number of trials at the start that evolution draws at random.
        note_every: A note is made after this number of trials, again and again; 0 for none.
        max_requests: The most requests of the study, those without an answer included. A request
            that the package sends again counts as one.
        max_tokens: After this number of tokens (of prompts and answers), no more requests are sent.
        timeout: Seconds that an attempt at a request may take, whatever the endpoint sends.
        retries: How often a request is sent again if the endpoint is busy or can't be reached,
            after a pause of up to 8 seconds, or of 2 minutes if the endpoint asks for it.
        options: Further arguments of the request, such as `{"temperature": 1.0}`; by default
            `{"max_tokens": 2048}`, which bounds the answer. OpenAI's reasoning models want
            `max_completion_tokens` in place of it.
        client: A function that sends messages in place of the package
            (`optnas.samplers.language_model.ChatClient`).
        seed: The study's seed. Without one, the sampler takes the seed that the study keeps, or
            draws one and keeps it there.

    Raises:
        InputError: `model` is empty, or the task is too long. When a search is opened, else at the
            first trial: the package is missing; there is no key, and no endpoint of your own; the
            key has spaces or line breaks.
        ValueError: A number is out of range.
    """

    def __init__(
        self,
        model: str,
        *,
        base_url: str | None = None,
        key_variable: str = "OPENAI_API_KEY",
        task: str = "",
        n_startup_trials: int = 10,
        note_every: int = 10,
        max_requests: int = 500,
        max_tokens: int = 2_000_000,
        timeout: float = 60.0,
        retries: int = 2,
        options: Mapping[str, Any] | None = None,
        client: ChatClient | None = None,
        seed: int | None = None,
    ) -> None:
        super().__init__(seed)
        if not isinstance(model, str) or not model:
            raise InputError(f"model must be the name of a model at the endpoint, got {model!r}")
        if len(task) > LONGEST_TASK:
            raise InputError(
                f"task must have at most {LONGEST_TASK} characters, got {len(task)}: each request "
                "sends it"
            )
        check_counts(
            n_startup_trials=n_startup_trials, max_requests=max_requests, max_tokens=max_tokens
        )
        if note_every:
            check_counts(note_every=note_every)
        if not 0 < timeout <= 3600:
            raise ValueError(f"timeout must be above 0 and at most 3600 seconds, got {timeout}")
        if not 0 <= retries <= 10:
            raise ValueError(f"retries must be from 0 to 10, got {retries}")
        self._client: ChatClient = client or OpenAIClient(
            model,
            base_url,
            key_variable,
            timeout,
            retries,
            {"max_tokens": 2048} if options is None else options,
        )
        self._questions = Questions(self._client, task, note_every, max_requests, max_tokens)
        self._n_startup_trials = n_startup_trials
        self._evolution = RegularizedEvolutionSampler(n_startup_trials=n_startup_trials)

    def fill_in(self, suggest: Suggest, preview: Callable[[Mapping[str, Any]], Any]) -> None:
        """See `HistorySampler.fill_in`; a search learns here that no request can be sent."""
        self._check()
        super().fill_in(suggest, preview)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Checks that the study has this seed, and that requests can be sent."""
        self._check()
        super().before_trial(study, trial)

    def _check(self) -> None:
        # Not when it is made: other commands than `run` import the study file, too.
        if isinstance(self._client, OpenAIClient):
            self._client.check()

    def start(self, ask: Ask) -> Draw:
        """Takes what the model proposes; evolution's child completes it."""
        bred = self._evolution.start(ask)
        if sum(map(may_be_parent, ask.history.trials)) < self._n_startup_trials:
            return bred
        proposed: dict[str, Any] | None = None

        def choose(name: str, distribution: BaseDistribution) -> Any:
            nonlocal proposed
            if proposed is None:  # not before: a trial whose parameters are all fixed asks nothing
                proposed = self._proposed(ask)
            value = fitting(distribution, proposed[name]) if name in proposed else MISSING
            if value is MISSING or as_key(distribution, value) in ask.closed(name, distribution):
                return bred(name, distribution)
            return value

        return choose

    def finish(self, ask: Ask, draw: Draw) -> None:
        """Says in a user attribute how the trial was made."""
        record = kept_record(ask)
        if record.failed:
            ask.say(LANGUAGE_MODEL, f"evolution ({record.failed})")
        elif record.params is not None:
            free = [(n, d, v) for n, d, v in ask.decisions if not d.single()]
            taken = [
                n for n, d, v in free if n in record.params and fitting(d, record.params[n]) == v
            ]
            ask.say(LANGUAGE_MODEL, f"{len(taken)} of {len(free)} parameters as answered")

    def _proposed(self, ask: Ask) -> dict[str, Any]:
        """The answered parameters; mutated if they were tried, or break a bound that is known."""
        record = kept_record(ask)
        if not record.decided:
            shown = Shown(self._seen(ask.history), self._known_costs(ask.history))
            record = self._questions.propose(ask, record, shown)
        params, history = record.params or {}, ask.history
        genes: Genes = {}
        for name, (distribution, _) in _union(self._seen(history)).items():
            value = fitting(distribution, params[name]) if name in params else MISSING
            if value is not MISSING:
                genes[name] = distribution, value
        child, rng = genes, ask.rng("language model")
        for number in range(ask.attempt, ask.attempt + 10 * CHILDREN):
            child = mutated(genes, 1 + number // CHILDREN, rng) if number else genes
            if history.tried.root.closed or not was_tried(history.tried.root, child):
                break
        return {**params, **values_of(child)}

    def _seen(self, history: History) -> list[Genes]:
        """Architectures that show the space: random ones, or else those of past trials."""
        if self._drawn is None:
            return [genes_of(trial) for trial in history.trials[-SHOWN_TRIALS:]]
        return history.fold(self._drafts, _nothing)

    def _drafts(self, history: History) -> list[Genes]:
        assert self._drawn is not None
        rng = Random(derived_seed(self._study_seed, -1, "space"))
        drafts = (complete(self._drawn, {}, rng)[0] for _ in range(DRAFTS))
        return [genes for genes in drafts if genes]

    def _known_costs(self, history: History) -> list[dict[str, Any]]:
        """The exact costs of some random architectures; none in plain Optuna."""
        return history.fold(self._costs, _nothing)

    def _costs(self, history: History) -> list[dict[str, Any]]:
        names, shown = objective_names(history.study), []
        if self._preview is None:
            return []
        for genes in self._seen(history)[:COSTED]:
            params = values_of(genes)
            try:
                costs = {names[i]: value for i, value in self._preview(params).values.items()}
            except UNSOUND:
                continue
            if costs:
                shown.append({"params": prompt.params_of(params), "costs": costs})
        return shown


def _union(seen: list[Genes]) -> Genes:
    """Each parameter that some of the architectures have, as the last of them has it."""
    every: Genes = {}
    for genes in seen:
        every |= genes
    return every


def _nothing(state: object, trial: FrozenTrial) -> None:
    """What a fold keeps doesn't depend on trials."""
