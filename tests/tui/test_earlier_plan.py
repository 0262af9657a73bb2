"""A plan that was made before of the same configuration is on the Plan of the run that follows it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import builders as b
import builders_plan as bp
import msgspec
import pytest
from pressing import settled
from recorded import RecordedSession

from speedtui.engine import events as e
from speedtui.tui.app import SpeedtuiApp
from speedtui.tui.drawing.text import plain
from speedtui.tui.panes.plan_profiles import ProfilesPane

OpenApp = Callable[..., SpeedtuiApp]
GIVEN: dict[str, Any] = {
    "train": {"max_steps": 18_000}, "schedule": bp.SCHEDULE, "window": bp.WINDOW, "data": {"eval": "/data/eval.jsonl"},
}  # fmt: skip
OTHER_GPU = msgspec.structs.replace(b.GPU, name="NVIDIA A100 40GB")


def put(folder: Path, log: Sequence[e.AnyEvent]) -> Path:
    folder.mkdir(mode=0o700, parents=True)
    (folder / "events.jsonl").write_bytes(b"".join(e.encode(event) for event in log))
    (folder / "events.jsonl").chmod(0o600)
    return folder


def tune(runs: Path, **tables: dict[str, Any]) -> RecordedSession:
    """A study of the configuration that `bp.planned_log` plans, half an hour after it."""
    log = bp.with_config([b.run_started(), b.hardware(1.0), b.model_loaded(), b.study_started()], **GIVEN, **tables)
    later = msgspec.structs.replace(log[0], started_at=b.STARTED_AT + 1846)
    return RecordedSession([later, *log[1:]], folder=put(runs / "20260101-003101-tune-bbbb", [later]))


def on_devices(log: list[e.AnyEvent], *devices: e.Device) -> list[e.AnyEvent]:
    return [msgspec.structs.replace(x, devices=list(devices)) if isinstance(x, e.RunStarted) else x for x in log]


async def profiles(open_app: OpenApp, session: RecordedSession) -> list[str]:
    """Rows of the choices on the Plan."""
    async with open_app(session, start_screen="plan").run_test(size=(140, 40)) as pilot:
        await settled(pilot)
        return [plain(line) for line in pilot.app.screen.query_one(ProfilesPane).rows]


PLANS: dict[str, tuple[list[e.AnyEvent], bool]] = {
    "the same": (bp.planned_log(), True),
    "another window": (bp.planned_log(window={"length": "9h", "margin": "1h"}), True),
    "another rate": (bp.planned_log(train={"max_steps": 18_000, "lr": 1e-3}), False),
    "a limit that is not set": (bp.planned_log(train={}), False),
    "another device": (on_devices(bp.planned_log(), OTHER_GPU), False),
    "none was made": (bp.planned_log()[:3], False),
    "not begun": ([], False),
}


@pytest.mark.parametrize("kind", PLANS)
async def test_a_plan_of_the_same_configuration_and_devices_is_known_with_its_age(
    kind: str, open_app: OpenApp, tmp_path: Path
) -> None:
    log, known = PLANS[kind]
    put(tmp_path / "20260101-000000-plan-aaaa", log)
    rows = await profiles(open_app, tune(tmp_path))
    named = [line for line in rows if " balanced " in line]
    assert bool(named) is known
    if known:
        assert "30m 00s old" in named[0] and "572 ms" in named[0]
        assert any("quality" in line and "model" in line for line in rows)
    else:
        assert any("fast, balanced, quality, memory-efficient: not known yet" in line for line in rows)


async def test_the_newest_plan_counts_and_one_that_others_could_have_written_does_not(
    open_app: OpenApp, tmp_path: Path
) -> None:
    older, newer = bp.planned_log(), bp.planned_log()
    newer[0] = msgspec.structs.replace(newer[0], started_at=b.STARTED_AT + 600)
    put(tmp_path / "20260101-000000-plan-aaaa", older)
    newest = put(tmp_path / "20260101-001000-plan-cccc", newer)
    session = tune(tmp_path)
    assert any("balanced" in line and "20m 00s old" in line for line in await profiles(open_app, session))
    newest.chmod(0o777)
    assert any("balanced" in line and "30m 00s old" in line for line in await profiles(open_app, session))
