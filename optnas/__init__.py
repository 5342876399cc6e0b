"""Multi-objective neural architecture optimization on Optuna."""

import lazy_loader

__version__ = "0.1.0"

# The names stand in __init__.pyi; each is imported when it is first used, because torch takes
# seconds, and `optnas --help`, or a worker that looks values up in a table, doesn't need it.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
