"""The process that predicts, when it does not."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from speedtui.engine.memory.child import Child, ChildDied
from speedtui.engine.memory.predict import predict
from tests.engine.memory.small import Started, llama, no_process, starting


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("import sys; sys.exit(3)", "(exit code 3)"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "(SIGSEGV)"),
        ("raise SystemExit('first\\nout of fuel\\n')", "(exit code 1): out of fuel"),
    ],
)
def test_a_process_that_dies_says_how_and_what_its_last_words_were(script: str, reason: str) -> None:
    child = Child((sys.executable, "-c", script))
    try:
        with pytest.raises(ChildDied) as death:
            child.ask(llama(), lambda: None)
    finally:
        child.close()
    assert death.value.reason.endswith(reason)


def test_a_process_that_does_not_answer_is_given_up() -> None:
    child = Child((sys.executable, "-c", "import time; time.sleep(600)"))
    try:
        with pytest.raises(ChildDied, match="took longer than 300 ms"):
            child.ask(llama(), lambda: None, seconds=0.3)
    finally:
        child.close()
    no_process()


def test_an_interruption_leaves_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(Started):
        predict([llama(), llama(method="lora")], starting)
    no_process()
    assert not list(tmp_path.rglob("*.json"))
