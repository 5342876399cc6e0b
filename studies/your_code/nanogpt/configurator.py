"""Poor man's configurator: `--key=value` replaces a setting of the file that executes this."""

import sys
from ast import literal_eval

for argument in sys.argv[1:]:
    key, _, value = argument.removeprefix("--").partition("=")
    if key not in globals():
        raise ValueError(f"Unknown config key: {key}")
    try:
        value = literal_eval(value)
    except (SyntaxError, ValueError):
        pass  # it is a string
    assert type(value) is type(globals()[key]), f"{key} must be a {type(globals()[key])}"
    print(f"Overriding: {key} = {value}")
    globals()[key] = value
