"""What compiling one candidate does to others, and what it costs the second time in a process."""

from __future__ import annotations

from speedtui.engine.candidate import TrialResult, TrialStatus
from tests.gpu.material import MICRO, SMALL, attempt, settings_for, told
from tests.gpu.onsite import Site

SAME_STEP, SAME_SECONDS = 0.03, 0.25
COMPILED = {MICRO: 8, "train.compile": True}


def fp32_after_compile(site: Site) -> None:
    """The same float32 trial on both sides of a compiled one, which turns faster products on."""
    plain = {MICRO: 8}
    with site.runner(settings_for(site, SMALL, dtype="float32", rows=400)) as runner:
        results = [attempt(runner, number, values) for number, values in enumerate((plain, COMPILED, plain))]
    before, _, after = map(step_seconds, results)
    site.figures(before=told(results[0]), compiled=told(results[1]), after=told(results[2]))
    site.claim("same_step", abs(after / before - 1) <= SAME_STEP, f"{after / before - 1:+.1%}")


def compile_twice(site: Site) -> None:
    """Two trials that have to compile everything, as a run in a fresh process has."""
    if not site.rehearsal:
        import torch._inductor.config

        torch._inductor.config.force_disable_caches = True  # else the second one only reads what the first has made
    with site.runner(settings_for(site, SMALL, rows=400)) as runner:
        results = [attempt(runner, number, COMPILED) for number in range(2)]
    seconds = [compile_seconds(result) for result in results]
    site.figures(trials=[told(result) for result in results], compile_seconds=seconds)
    if site.rehearsal:
        site.cannot("as_fresh", why="a rehearsal compiles nothing")
        return
    first, second = seconds
    site.claim("as_fresh", abs(second / first - 1) <= SAME_SECONDS, f"{second:.1f} s, the first one {first:.1f} s")


def step_seconds(result: TrialResult) -> float:
    """Of a trial that is ok."""
    if result.status is not TrialStatus.OK or result.measurement is None:
        raise RuntimeError(f"{result.status.value}: {result.reason}")
    return result.measurement.step_seconds


def compile_seconds(result: TrialResult) -> float:
    """That a run with these settings is expected to compile."""
    step_seconds(result)
    assert result.estimate is not None
    return result.estimate.terms.get("compile", 0.0)
