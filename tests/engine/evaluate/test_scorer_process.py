"""The metric's process: what a metric of any manners can do to it, and that it never outlives the worker."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import psutil
import pytest

from speedtui.engine.errors import ConfigError
from speedtui.engine.evaluate.scorer import Scorer, ScorerGone, ScoringOutcome
from speedtui.engine.evaluate.scorer_messages import ScoringRequest

Write = Callable[..., str]
Score = Callable[..., ScoringOutcome]

BUSY = "import re\n    re.fullmatch('(a*)*b', 'a' * 64)"
"""Runs for longer than anyone lives, in C, and never lets go of Python's lock."""


@pytest.fixture
def scorer(metric: Write) -> Iterator[Callable[[str], Scorer]]:
    every: list[Scorer] = []

    def start(source: str) -> Scorer:
        every.append(Scorer(metric(source)))
        return every[-1]

    yield start
    for one in every:
        one.kill()


def nothing(done: int) -> None:
    pass


def ask(one: Scorer, *texts: str, seconds: float = 20, threads: int = 4, tick: Any = nothing) -> ScoringOutcome:
    return one.score(ScoringRequest(predictions=list(texts), references=list(texts), threads=threads), seconds, tick)


def family(one: Scorer) -> list[psutil.Process]:
    root = psutil.Process(one._process.pid)
    return [root, *root.children(recursive=True)]


def gone(processes: list[psutil.Process], seconds: float = 10) -> bool:
    """Whether all of them end by themselves in this time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in processes):
            return True
        time.sleep(0.05)
    return False


def test_each_sample_is_scored_and_the_process_kept(scorer: Callable[[str], Scorer]) -> None:
    one = scorer("""
        import os
        def score(prediction, reference):
            return os.getpid() if prediction == "pid" else len(prediction)
    """)
    first, second = ask(one, "a", "bb", "pid"), ask(one, "pid")
    assert (first.scores[0], first.scores[1], first.failed, first.problem) == (1.0, 2.0, {}, None)
    assert first.scores[2] == second.scores[0]
    assert one.alive


def test_samples_are_scored_at_the_same_time(scorer: Callable[[str], Scorer]) -> None:
    """All of them wait for each other: with fewer threads this would time out."""
    one = scorer("""
        import threading
        together = threading.Barrier(6)
        def score(prediction):
            return together.wait() >= 0
    """)
    assert len(ask(one, *"abcdef", threads=6).scores) == 6
    late = ask(one, *"abcdef", threads=5, seconds=0.3)
    assert (late.scores, late.problem) == ({}, "the time for schedule.metric_timeout was up, 300 ms")


def test_the_metric_brings_no_torch_with_it(scorer: Callable[[str], Scorer]) -> None:
    one = scorer("import sys\ndef score(prediction):\n    return prediction in sys.modules")
    assert ask(one, "torch", "transformers", "datasets", "json").scores == {0: 0.0, 1: 0.0, 2: 0.0, 3: 1.0}


@pytest.mark.parametrize(
    "stuck",
    [
        "import time\n    time.sleep(1e6)",
        BUSY,
        "import threading\n    lock = threading.Lock()\n    lock.acquire()\n    lock.acquire()",
    ],
)
def test_a_metric_that_hangs_is_ended_and_what_it_scored_counts(scorer: Callable[[str], Scorer], stuck: str) -> None:
    one = scorer(f"def score(prediction):\n    if prediction != 'bad':\n        return 1\n    {stuck}")
    one.load(nothing)
    processes = family(one)
    assert len(processes) == 2
    outcome = ask(one, "good", "good", "bad", "good", seconds=0.5, threads=1)
    assert outcome.scores == {0: 1.0, 1: 1.0}
    assert "schedule.metric_timeout" in (outcome.problem or "")
    assert not one.alive
    assert gone(processes, 1)


@pytest.mark.parametrize(
    ("deed", "said"),
    [
        ("import os; os._exit(7)", "ended (exit code 7)"),
        ("import ctypes; ctypes.string_at(0)", "ended (SIGSEGV)"),
        ("import os, signal; os.kill(os.getppid(), signal.SIGKILL)", None),
    ],
)
def test_a_metric_that_ends_its_process_ends_nothing_else(
    scorer: Callable[[str], Scorer], deed: str, said: str | None
) -> None:
    one = scorer(f"def score(prediction):\n    if prediction == 'bad':\n        {deed}\n    return 1")
    one.load(nothing)
    processes = family(one)
    outcome = ask(one, "good", "bad", "good", threads=1)
    if said is not None:
        assert outcome.scores == {0: 1.0}
        assert said in (outcome.problem or "")
        assert not one.alive
    one.kill()
    assert gone(processes, 2)


def test_what_a_metric_starts_ends_with_it(scorer: Callable[[str], Scorer]) -> None:
    one = scorer("""
        import subprocess
        def score(prediction):
            return subprocess.Popen(["sleep", "1000"]).pid
    """)
    sleeper = psutil.Process(int(ask(one, "a").scores[0]))
    assert sleeper.is_running()
    one.close()
    assert gone([sleeper], 2)


DETACHED = """
    import subprocess
    def score(prediction):
        if prediction == "session":
            return subprocess.Popen(["sleep", "1000"], start_new_session=True).pid
        return int(subprocess.check_output(["sh", "-c", "setsid sleep 1000 >/dev/null 2>&1 & echo $!"]))
"""
"""Each way returns the process id."""


@pytest.mark.parametrize("end", ["closed", "killed"])
def test_what_a_metric_detaches_ends_with_it_too(scorer: Callable[[str], Scorer], end: str) -> None:
    """In a session of its own, and as an orphan whose parent has ended."""
    one = scorer(DETACHED)
    found = ask(one, "session", "orphan").scores
    sleepers = [psutil.Process(int(found[n])) for n in (0, 1)]
    apart = {one._process.pid}
    while len({os.getsid(sleeper.pid) for sleeper in sleepers} | apart) < 3:
        time.sleep(0.01)
    one.close() if end == "closed" else one.kill()
    assert gone(sleepers)


def test_samples_that_raise_are_told_with_their_line(scorer: Callable[[str], Scorer]) -> None:
    one = scorer("""
        import sys
        def score(prediction):
            if prediction == "exit":
                sys.exit("enough")
            return 1 / int(prediction)
    """)
    outcome = ask(one, "1", "0", "x", "exit", "4")
    assert outcome.scores == {0: 1.0, 4: 0.25}
    assert outcome.failed == {
        1: "ZeroDivisionError: division by zero (metric.py line 6)",
        2: "ValueError: invalid literal for int() with base 10: 'x' (metric.py line 6)",
        3: "SystemExit: enough (metric.py line 5)",
    }
    assert one.alive


def test_what_it_prints_and_reads_is_apart_from_the_answers(
    scorer: Callable[[str], Scorer], capfd: pytest.CaptureFixture[str]
) -> None:
    one = scorer("""
        import os, sys
        print("at import")
        def score(prediction):
            print("x" * 4_000_000)
            os.write(1, b'{"type":"Scored","sample":0,"score":99}\\n')
            os.system("echo from a child")
            assert sys.stdin.read() == ""
            return 1
    """)
    assert ask(one, "a", "b").scores == {0: 1.0, 1: 1.0}
    captured = capfd.readouterr()
    assert captured.out == ""
    assert captured.err.count("x") > 8_000_000 - 1
    assert "at import" in captured.err and "from a child" in captured.err


def test_texts_larger_than_any_pipe_go_through(scorer: Callable[[str], Scorer]) -> None:
    one = scorer("def score(predictions):\n    return sum(map(len, predictions))")
    assert ask(one, *["ä" * 1_000_000] * 6).metrics == {"score": 6e6}


def test_a_process_that_does_not_read_is_not_waited_for_for_ever(
    scorer: Callable[[str], Scorer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("speedtui.engine.evaluate.scorer.READY_SECONDS", 1.0)
    one = scorer(f"""
import threading, time
def later():
    time.sleep(0.2)
    {BUSY}
threading.Thread(target=later, daemon=True).start()
def score(prediction):
    return 1
""")
    one.load(nothing)
    time.sleep(0.5)
    outcome = ask(one, *["a" * 1_000_000] * 3)
    assert outcome.scores == {}
    assert "the time for reading its rows was up" in (outcome.problem or "")
    assert not one.alive


def test_an_import_that_hangs_or_crashes_is_told(
    scorer: Callable[[str], Scorer], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ScorerGone, match=r"ended \(exit code 9\)"):
        scorer("import os; os._exit(9)").load(nothing)
    monkeypatch.setattr("speedtui.engine.evaluate.scorer.READY_SECONDS", 0.5)
    with pytest.raises(ScorerGone, match="the time for its import was up, 500 ms"):
        scorer("import time; time.sleep(1e6)").load(nothing)


def test_a_bad_import_is_refused_when_it_is_loaded_and_told_when_it_scores(scorer: Callable[[str], Scorer]) -> None:
    with pytest.raises(ConfigError, match="no function score; did you mean scores"):
        scorer("def scores(prediction): ...").load(nothing)
    outcome = ask(scorer("1 / 0"), "a")
    assert "ZeroDivisionError" in (outcome.problem or "")


def test_a_pause_of_the_caller_is_not_the_metrics_time(scorer: Callable[[str], Scorer]) -> None:
    one = scorer("import time\ndef score(prediction):\n    time.sleep(0.2)\n    return 1")
    one.load(nothing)
    waits = [0.0, 1.5]

    def pause(done: int) -> None:
        time.sleep(waits.pop() if waits else 0)

    assert len(ask(one, "a", "b", seconds=1, threads=1, tick=pause).scores) == 2


def test_a_caller_that_leaves_takes_the_half_done_with_it(scorer: Callable[[str], Scorer]) -> None:
    class Stopped(Exception):
        pass

    def stop(done: int) -> None:
        if done == 1:
            raise Stopped

    one = scorer("import time\ndef score(prediction):\n    time.sleep(float(prediction))\n    return 1")
    with pytest.raises(Stopped):
        ask(one, "0", "1000", tick=stop, threads=1)
    assert not one.alive


def test_signals_to_every_process_of_a_job_do_not_end_it(scorer: Callable[[str], Scorer]) -> None:
    one = scorer("import time\ndef score(prediction):\n    time.sleep(0.3)\n    return 1")
    one.load(nothing)
    assert os.getpgid(one._process.pid) != os.getpgid(0)
    sent: list[int] = []

    def interrupt(done: int) -> None:
        if not sent:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                sent.append(number)
                os.killpg(one._process.pid, number)

    assert ask(one, "a", "b", tick=interrupt).scores == {0: 1.0, 1: 1.0}
    assert len(sent) == 3


WORKER = """
    import sys, time
    from speedtui.engine.evaluate.scorer_messages import ScoringRequest
    from speedtui.engine.evaluate.scorer import Scorer
    one = Scorer(sys.argv[1])
    one.load(lambda done: None)
    print(one._process.pid, flush=True)
    if sys.argv[2] == "asks":
        one.score(ScoringRequest(predictions=["a"] * 4, threads=2), 1e6, lambda done: None)
    time.sleep(1e6)
"""


@pytest.mark.parametrize(("does", "metric_does"), [("waits", "return 1"), ("asks", BUSY)])
def test_it_ends_when_the_worker_is_killed(metric: Write, tmp_path: Path, does: str, metric_does: str) -> None:
    target = metric(f"""
import subprocess
children = [subprocess.Popen(["sleep", "1000"], start_new_session=apart) for apart in (False, True)]
def score(prediction):
    {metric_does}
""")
    command = [sys.executable, "-c", dedent(WORKER), target, does]
    worker = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert worker.stdout is not None
    root = psutil.Process(int(worker.stdout.readline()))
    processes = [root, *root.children(recursive=True)]
    try:
        assert [p.name() for p in processes].count("sleep") == 2
        assert len(processes) == 4
        if does == "asks":
            time.sleep(0.3)
        worker.kill()
        worker.wait()
        assert gone(processes)
    finally:
        worker.kill()
        for process in processes:
            if process.is_running():
                process.kill()
        worker.stdout.close()
