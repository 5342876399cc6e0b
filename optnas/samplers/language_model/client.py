"""Sends a chat to a language model (part of `language_model`).

No text of an endpoint's error is passed on: some endpoints repeat parts of the key there.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any, NamedTuple, Protocol

from optnas.errors import InputError

MOST_BYTES = 1_000_000
"""A longer answer, headers included, is given up."""
NO_KEY = "none"
"""What is sent as the key to an endpoint of the user's own, if there is no key."""

LATE, TOO_LONG, UNREACHABLE, UNREADABLE = "late", "too long", "unreachable", "unreadable"


class Reply(NamedTuple):
    """What the model answered.

    Attributes:
        text: The answer.
        tokens: What the request and the answer took; None if the endpoint doesn't say.
    """

    text: str
    tokens: int | None = None


class RequestError(RuntimeError):
    """A request to a language model was unsuccessful.

    Attributes:
        reason: In a word or two; it is stored with the trial, and holds no text of the endpoint's.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(f"the language model gave no answer: {reason}")
        self.reason = reason


class ChatClient(Protocol):
    """Sends messages to a model. Any function of this form will do, such as a test's."""

    def __call__(self, messages: Sequence[Mapping[str, str]]) -> Reply:
        """Returns the answer.

        Args:
            messages: Each has a `role` (`system` or `user`) and its `content`.

        Raises:
            RequestError: There is no answer.
        """


class OpenAIClient:
    """Asks an endpoint that has OpenAI's chat interface, with the package `openai`.

    A request takes at most `timeout * (1 + retries)` seconds, and the pauses before its retries.
    These are at most 8 seconds, or what the endpoint asks for, up to two minutes. Two things are
    not within `timeout`: the system's search for the address of a name, which has a limit of its
    own; and behind a proxy at an `https://` address, the rest of a piece of 16 KB, each byte of
    which may take `timeout`.

    Args:
        model: The model's name at the endpoint.
        base_url: The endpoint; None for OPENAI_BASE_URL, or else OpenAI's own.
        key_variable: The environment variable that holds the key.
        timeout: Seconds for each attempt, whatever the endpoint sends.
        retries: How often a request is sent again.
        options: Further arguments of the request.
    """

    def __init__(
        self,
        model: str,
        base_url: str | None,
        key_variable: str,
        timeout: float,
        retries: int,
        options: Mapping[str, Any],
    ) -> None:
        self._model, self._base_url, self._key_variable = model, base_url, key_variable
        self._timeout, self._retries, self._options = timeout, retries, dict(options)
        self._opened: Any = None

    def check(self) -> None:
        """Sees whether requests can be sent.

        Raises:
            InputError: The package is missing, or the key, if the endpoint is OpenAI's; or the key
                has characters that can't be sent.
        """
        if find_spec("openai") is None:
            raise InputError(
                "LanguageModelSampler needs the extra llm: pip install 'optnas[llm]' (the package "
                "openai is missing), or a `client=` of your own"
            )
        own = self._base_url or os.environ.get("OPENAI_BASE_URL")
        if not own and not os.environ.get(self._key_variable):
            raise InputError(
                f"the language model needs a key: set the environment variable "
                f"{self._key_variable}, name another one with `key_variable=`, or give the "
                "`base_url=` of an endpoint that needs none"
            )
        if not re.fullmatch(r"[!-~]*", os.environ.get(self._key_variable, "")):
            # Else the HTTP package's debug log would show the key as an illegal header.
            raise InputError(
                f"the key in the environment variable {self._key_variable} must have visible "
                "characters of ASCII alone: set it again without spaces and line breaks"
            )

    def __call__(self, messages: Sequence[Mapping[str, str]]) -> Reply:
        """Sends the messages, and again if the endpoint is busy or can't be reached."""
        self.check()
        import openai

        from optnas.samplers.language_model.limits import LimitedTransport, TooLongError

        if self._opened is None:
            transport = LimitedTransport(self._timeout, MOST_BYTES)
            self._opened = openai.OpenAI(
                api_key=os.environ.get(self._key_variable) or NO_KEY,
                base_url=self._base_url,
                timeout=self._timeout,
                max_retries=self._retries,
                http_client=openai.DefaultHttpxClient(transport=transport),
            )
        send = self._opened.chat.completions.with_raw_response.create
        reason = UNREACHABLE
        try:
            answer = send(model=self._model, messages=list(messages), **self._options)
            return read_reply(answer.content)
        except RequestError as error:
            reason = error.reason
        except openai.APITimeoutError:
            reason = LATE
        except openai.APIStatusError as error:
            reason = f"status {int(error.status_code)}"
        except TooLongError:
            reason = TOO_LONG
        except Exception as error:
            if isinstance(error.__cause__, TooLongError):  # as older versions of it do
                reason = TOO_LONG
        # Not within `except`: a traceback would show the endpoint's text.
        raise RequestError(reason)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_opened": None}  # it holds the key


def read_reply(body: bytes) -> Reply:
    """The text and the tokens of an endpoint's answer.

    Raises:
        RequestError: It has another form.
    """
    try:
        answer = json.loads(body)
        text = answer["choices"][0]["message"]["content"]
    except (ValueError, LookupError, TypeError, RecursionError):
        text = None
    if not isinstance(text, str):
        raise RequestError(UNREADABLE)
    usage = answer.get("usage")
    tokens = usage.get("total_tokens") if isinstance(usage, dict) else None
    return Reply(text, tokens if type(tokens) is int and 0 <= tokens < 2**40 else None)
