"""The two questions to a language model: a proposal, and a note (part of `language_model`)."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any, NamedTuple

from optnas.samplers.ask import Ask
from optnas.samplers.language_model import prompt
from optnas.samplers.language_model.answer import read_note, read_params
from optnas.samplers.language_model.client import ChatClient, RequestError
from optnas.samplers.language_model.record import (
    LONGEST_NOTE,
    Record,
    all_trials,
    keep_note,
    note_of,
    used,
)
from optnas.samplers.mutation import Genes

log = logging.getLogger("optnas")

ESTIMATED = 4
"""Characters of a token, where an endpoint doesn't count its tokens."""
EMPTY, REQUESTS, TOKENS = "no parameters in it", "max_requests reached", "max_tokens reached"


class Shown(NamedTuple):
    """What a question shows besides the trials.

    Attributes:
        seen: Architectures that show the space.
        costs: Some architectures with their exact costs, as they are shown.
    """

    seen: list[Genes]
    costs: list[dict[str, Any]]


class Questions:
    """Puts the questions, within limits; each request is counted in the study before it is sent.

    Args:
        client: Sends messages.
        task: What the networks are for.
        note_every: A note is made after this number of trials; 0 for none.
        max_requests: The most requests of the study.
        max_tokens: After this number of tokens, no more requests are sent.
    """

    def __init__(
        self, client: ChatClient, task: str, note_every: int, max_requests: int, max_tokens: int
    ) -> None:
        self._client, self._task, self._note_every = client, task, note_every
        self._max_requests, self._max_tokens = max_requests, max_tokens
        self._remarks: set[str] = set()

    def propose(self, ask: Ask, record: Record, shown: Shown) -> Record:
        """Asks for parameters, and keeps the answer with the trial, or why there is none."""
        history = ask.history
        note, record = self._note(ask, record, shown)
        document = {
            "task": self._task,
            # It tells one request from the next: the same request may have the same answer.
            "trials_so_far": len(history.trials),
            "space": prompt.describe(shown.seen),
            **prompt.evaluated(history, history.trials),
            **prompt.avoided(history),
            "known_costs": shown.costs,
            "note": note,
        }
        text, record = self._send(ask, record, prompt.messages(prompt.PROPOSE, document))
        params = read_params(text)
        if params:
            record = replace(record, params=params)
        elif not record.failed:
            record = replace(record, failed=EMPTY)
        if record.failed and record.failed not in self._remarks:
            self._remarks.add(record.failed)
            log.warning(
                "no architecture from the language model (%s): evolution decides", record.failed
            )
        return record.keep(ask)

    def _note(self, ask: Ask, record: Record, shown: Shown) -> tuple[str, Record]:
        """The study's note, made anew if enough trials have ended since."""
        history = ask.history
        made_from, note = note_of(history.study)
        ended = len(history.trials)
        due = ended - ended % self._note_every if self._note_every else 0
        if due <= made_from:
            return note, record
        document = {
            "task": self._task,
            "space": prompt.describe(shown.seen),
            **prompt.evaluated(history, history.trials[:due]),
        }
        text, record = self._send(ask, record, prompt.messages(prompt.DISTILL, document))
        if record.failed in (REQUESTS, TOKENS):
            return note, record
        note = read_note(text, LONGEST_NOTE) or note  # without an answer, the older one stays
        keep_note(history.study, due, note)
        return note, replace(record, failed="")

    def _send(self, ask: Ask, record: Record, messages: list[dict[str, str]]) -> tuple[str, Record]:
        """Sends a request, unless a limit is reached; the text is empty if there is no answer."""
        if record.failed:
            return "", record
        requests, tokens = used(all_trials(ask.history.study))
        if requests >= self._max_requests:
            return "", replace(record, failed=REQUESTS)
        if tokens >= self._max_tokens:
            return "", replace(record, failed=TOKENS)
        # Kept before it is sent: it counts if the process is killed meanwhile.
        record = replace(record, requests=record.requests + 1).keep(ask)
        try:
            text, counted = self._client(messages)
        except RequestError as error:
            return "", replace(record, failed=error.reason)
        if counted is None:
            characters = sum(len(m["content"]) for m in messages) + len(text)
            counted = 1 + characters // ESTIMATED
        return text, replace(record, tokens=record.tokens + counted).keep(ask)
