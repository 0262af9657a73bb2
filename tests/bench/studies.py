"""The demo's model and data, and sessions over it as a person would start them."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from speedtui.engine.candidate import TrialResult
from speedtui.engine.config.settings import Scalar, Settings
from speedtui.engine.demo.prepare import prepare
from speedtui.engine.errors import ExitCode
from speedtui.engine.session.start import StartOptions, start_study
from speedtui.engine.state import RunState
from speedtui.engine.workload.base import silent
from speedtui.engine.workload.cache import cache_folder


def demo_settings(**search: object) -> Settings:
    """The demo's configuration with its material made, and these settings of its search."""
    settings = prepare(cache_folder("demo"), silent)
    return msgspec.structs.replace(settings, search=msgspec.structs.replace(settings.search, **search))


def with_candidates(settings: Settings, path: Path, candidates: Sequence[Mapping[str, Scalar]]) -> Settings:
    """The configuration with its own list of candidates, written to `path`."""
    path.write_text(json.dumps(list(candidates)))
    return msgspec.structs.replace(settings, search=msgspec.structs.replace(settings.search, configs=str(path)))


class Finished(msgspec.Struct, frozen=True, kw_only=True):
    """A study that is over."""

    wall_seconds: float
    """From starting the worker process to its end."""
    state: RunState
    results: list[TrialResult]

    @property
    def load_seconds(self) -> float:
        """Model and data, as the worker tells."""
        return self.state.model.seconds if self.state.model is not None else 0.0


def run_study(settings: Settings, runs: Path) -> Finished:
    """A study in a worker process, to its end."""
    session = start_study(settings, StartOptions(runs=runs, where="bench", train_command=["speedtui", "train"]))
    began = time.perf_counter()
    code = session.run()
    wall = time.perf_counter() - began
    state = session.snapshot()
    assert code in (ExitCode.DONE, ExitCode.NO_FIT), (code, state.reason)
    assert state.study is not None
    results = [row.result for row in state.study.rows if row.result is not None]
    return Finished(wall_seconds=wall, state=state, results=results)
