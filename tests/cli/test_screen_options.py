"""Options of every command that opens a screen."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from speedtui.tui.cli import application
from speedtui.tui.commands.options import AppearanceOptions, screen_options, typed_look

SCREENS = ("attach", "replay", "tune", "train", "demo", "plan")


@click.group(invoke_without_command=True)
@screen_options
def program() -> None:
    pass


@program.command()
@screen_options
def show() -> None:
    click.echo(repr(typed_look()))


def look(*arguments: str, **env: str) -> str:
    result = CliRunner(env=env).invoke(program, arguments)
    assert result.exit_code == 0, result.output
    return result.output.strip()


def test_they_are_taken_before_the_command_and_after_it() -> None:
    wanted = repr(AppearanceOptions(rate=0.5, ascii=True, mouse=False, theme="ansi-light"))
    assert look("--ascii", "--rate", "0.5", "show", "--no-mouse", "--theme", "ansi-light") == wanted


def test_they_can_be_set_in_the_environment_and_the_command_line_wins() -> None:
    assert look("show", SPEEDTUI_RATE="0.2", SPEEDTUI_ASCII="1") == repr(AppearanceOptions(rate=0.2, ascii=True))
    assert look("show", "--rate", "1", SPEEDTUI_RATE="0.2") == repr(AppearanceOptions(rate=1.0))


def test_nothing_said_leaves_the_screens_own_defaults() -> None:
    assert look("show") == repr(AppearanceOptions())
    assert AppearanceOptions().values() == {}


def test_a_slow_connection_has_a_rate_no_mouse_and_few_colours_and_a_rate_typed_wins() -> None:
    assert AppearanceOptions(link="slow").values() == {"slow_link": True, "rate_hz": 0.5, "mouse": False}
    assert AppearanceOptions(link="slow", rate=1.0).values()["rate_hz"] == 1.0


@pytest.mark.parametrize("arguments", [("--rate", "0.1"), ("--rate", "50"), ("--theme", "mauve"), ("--link", "fast")])
def test_what_cannot_be_is_refused(arguments: tuple[str, str]) -> None:
    result = CliRunner().invoke(program, ["show", *arguments])
    assert result.exit_code == 2


@pytest.mark.parametrize("command", SCREENS)
def test_every_command_that_opens_a_screen_has_them(command: str) -> None:
    text = CliRunner().invoke(application, [command, "--help"]).output
    assert all(name in text for name in ("--rate", "--link", "--no-mouse", "--ascii", "--theme"))
