"""`speedtui train` at a learning rate that makes every weight NaN: what the program says, leaves and ends with."""

from __future__ import annotations

import json

from speedtui.engine.errors import ExitCode
from tests.cli.program import Place, pairs


def test_a_run_of_nan_fails_with_what_to_do_and_leaves_no_model(place: Place) -> None:
    place.write_rows(pairs(8), "eval.jsonl")
    place.configure({
        "data": {"eval": "eval.jsonl"},
        "train": {"method": "full", "max_steps": 30, "learning_rate": 1e30},
        "schedule": {"eval_every": "5 steps", "patience": 2, "save_only_best": True, "checkpoint_every": "never"},
    })  # fmt: skip
    ended = place.run("train")
    folder = place.run_folder
    assert ended.code == ExitCode.FAILED
    reason, after = ended.err.splitlines()[-2:]
    assert reason == (
        "speedtui: the training diverged: the weights are not finite, since step 2; no checkpoint is older, so no "
        "model is left"
    )
    assert after.startswith("Start again at a lower rate: ") and after.endswith("--learning-rate 5e+29")
    assert not (folder.path / "model").exists() and not list(folder.checkpoints.glob("checkpoint-*"))
    assert "warning: the loss is not finite since step 2, the last finite step is 1" in ended.out
    assert "error: the weights are not finite (" in ended.out and "the training has diverged" in ended.out
    assert "eval 5:" not in ended.out, "what is NaN is not evaluated"
    report = json.loads((folder.path / "report.json").read_text())
    assert (report["outcome"], report["steps"]["ended_by"], report["model_path"]) == ("failed", "diverged", None)
    assert report["loss"]["last"] is None and report["loss"]["nonfinite"]["since"] == 2
    bad = report["loss"]["nonfinite_steps"]
    assert bad == report["steps"]["done"] - 1
    shown = place.run("report", folder.id).out
    assert f" at first, not finite from step 2 on, {bad} step" in shown
    assert "failed: it diverged" in shown
    refused = place.run("train", "--resume", folder.id, "--learning-rate", "nan")
    assert refused.code == ExitCode.USAGE
    assert "train.learning_rate must be a finite number, got nan" in refused.message
