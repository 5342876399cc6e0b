"""The kinds of error that are nobody's bug."""


class InputError(ValueError):
    """Something a person gave can't be used.

    Its message is one sentence or two: what was given, what is allowed, what to do next. The
    command line prints it without a traceback and exits with code 2.
    """


class NoStudyError(InputError):
    """Nothing is stored yet where a study was looked for."""


class Interrupted(SystemExit):
    """A signal ends the program; its code says which."""


class StorageGoneError(RuntimeError):
    """The storage's file was deleted or replaced while it was in use."""

    def __init__(self, path: object) -> None:
        super().__init__(
            f"{path} was deleted or replaced while the run went on: put it back, or run it again "
            "to start anew"
        )


class CandidateError(RuntimeError):
    """One architecture is at fault, not the code: it diverged, or did not fit into memory.

    Its trial fails with this message as the reason, and the study goes on.
    """
