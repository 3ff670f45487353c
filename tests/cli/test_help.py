"""The help of every command: read on a narrow terminal, nothing of a one-liner is cut."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import typer
from typer.core import TyperCommand, TyperGroup, TyperOption
from typer.main import get_command
from typer.testing import CliRunner

from aywa.cli import app

COLUMNS = 80
COLUMNS_USED = COLUMNS - 2
"""Click leaves two free on a terminal."""


def groups(command: object, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], TyperGroup]]:
    """Every command that has others below it."""
    if isinstance(command, TyperGroup):
        yield path, command
        for name, below in command.commands.items():
            yield from groups(below, (*path, name))


def cut(shown: typer.Typer, *path: str) -> list[str]:
    """What is not whole in the help of a group."""
    result = CliRunner().invoke(shown, [*path, "--help"], terminal_width=COLUMNS_USED)
    assert result.exit_code == 0, result.output
    return [
        line
        for line in result.output.splitlines()
        if (line.startswith("  ") and line.endswith("...")) or len(line) > COLUMNS
    ]


GROUPS = dict(groups(get_command(app)))
COMMANDS = [
    ((*path, name), command) for path, group in GROUPS.items() for name, command in group.commands.items()
]


@pytest.mark.parametrize("path", GROUPS, ids=" ".join)
def test_no_one_liner_is_cut(path: tuple[str, ...]) -> None:
    assert cut(app, *path) == []


def test_a_long_one_would_be_seen() -> None:
    long = typer.Typer(rich_markup_mode=None)

    @long.command()
    def first() -> None:
        """Look at everything that there is to be looked at, and tell all of it at the greatest length."""

    @long.command()
    def second() -> None:
        """Short."""

    assert len(cut(long)) == 1


@pytest.mark.parametrize(("path", "command"), COMMANDS, ids=[" ".join(path) for path, _ in COMMANDS])
def test_every_command_and_option_says_what_it_is_for(
    path: tuple[str, ...], command: TyperCommand | TyperGroup
) -> None:
    assert command.help, path
    silent = [
        option.opts
        for option in command.params
        if isinstance(option, TyperOption) and not option.help and not option.hidden
    ]
    assert silent == []
