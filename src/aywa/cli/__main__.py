"""Runs the command line as `python -m aywa.cli`, for programs that start it; does nothing else."""

from aywa.cli import main

main()
