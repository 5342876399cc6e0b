"""`python -m optnas` is the command `optnas`."""

from optnas.cli import main

main()
