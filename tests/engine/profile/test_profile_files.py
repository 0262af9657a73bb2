from __future__ import annotations

import os
from pathlib import Path

import pytest

from speedtui.engine.errors import ConfigError, UsageError
from speedtui.engine.profile.load import built_in_profiles, find_profile, list_profiles, own_folder, save_profile
from speedtui.engine.profile.profile import Baseline, parse_profile

GOOD = """\
description = "mine"
[settings.train]
micro_batch_size = 2
[settings.train.lora]
r = 8
"""


def test_the_four_profiles_are_the_ones_that_were_asked_for() -> None:
    rows = [
        (
            p.name,
            p.values["train.micro_batch_size"],
            int(p.values["train.effective_batch_size"]) // int(p.values["train.micro_batch_size"]),
            p.values["data.max_length"],
            p.values["train.epochs"],
            p.baseline.tokens_per_second,
            p.baseline.memory_bytes,
        )
        for p in built_in_profiles()
    ]
    assert rows == [
        ("fast", 8, 4, 1024, 2, 1200, 75 * 10**9),
        ("balanced", 4, 8, 2048, 3, 800, 60 * 10**9),
        ("quality", 2, 16, 4096, 4, 400, 70 * 10**9),
        ("memory-efficient", 1, 32, 2048, 3, 300, 45 * 10**9),
    ]
    assert {p.baseline.device for p in built_in_profiles()} == {"H100 80GB"}
    assert not any(p.own for p in built_in_profiles())


def test_a_profile_of_the_users_own_is_listed_after_the_built_in_ones(own_profiles: Path) -> None:
    (own_profiles / "zoo.toml").write_text(GOOD)
    (own_profiles / "a-first.toml").write_text(GOOD)
    listed = list_profiles()
    assert [p.name for p in listed.profiles] == ["fast", "balanced", "quality", "memory-efficient", "a-first", "zoo"]
    assert listed.problems == ()
    zoo = find_profile("zoo")
    assert zoo.own and zoo.values == {"train.micro_batch_size": 2, "train.lora.r": 8}
    assert zoo.source == str(own_profiles / "zoo.toml")


def test_an_own_profile_takes_the_place_of_a_built_in_one_and_says_so(own_profiles: Path) -> None:
    (own_profiles / "balanced.toml").write_text(GOOD)
    listed = list_profiles().profiles
    assert [p.name for p in listed] == ["fast", "balanced", "quality", "memory-efficient"]
    assert listed[1] == find_profile("balanced")
    assert listed[1].own and "in place of the built-in" in listed[1].description


def test_a_broken_file_stops_no_other_and_cannot_be_used_by_name(own_profiles: Path) -> None:
    (own_profiles / "good.toml").write_text(GOOD)
    (own_profiles / "fast.toml").write_text("[settings.train\n")
    (own_profiles / "My Own.toml").write_text(GOOD)
    listed = list_profiles()
    assert [p.name for p in listed.profiles] == ["fast", "balanced", "quality", "memory-efficient", "good"]
    assert not listed.profiles[0].own
    name, toml = listed.problems
    assert "My Own.toml" in name and "cannot be named" in name
    assert "fast.toml: not TOML" in toml and "line 1" in toml and "the built-in fast is listed" in toml
    with pytest.raises(ConfigError, match=r"fast\.toml: not TOML"):
        find_profile("fast")
    assert find_profile("good").own


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "[settings.train]\nmicro_batch_siz = 2",
            r"train\.micro_batch_siz is not a setting; did you mean train\.micro",
        ),
        ("[settings.train]\nmicro_batch_size = '2'", r"train\.micro_batch_size: expected a whole number, got '2'"),
        ("[settings.train]\nmicro_batch_size = 0", r"train\.micro_batch_size must be at least 1, got 0"),
        ("[settings.train]\nmicro_batch_size = 3\neffective_batch_size = 8", "3 does not divide"),
        ("[settings.train]\nepochs = nan", r"train\.epochs must be a finite number"),
        ("[settings.schedule]\neval_every = 'sometimes'", r"schedule\.eval_every: expected 200 steps"),
        ("[settings.data]\ntrain = 'x.jsonl'", r"data\.train does not belong in a profile"),
        ("[settings.window]\nlength = '2h'", r"window\.length does not belong in a profile"),
        ("[settings.train.lora]\ntarget_modules = ['q_proj']", "single values only"),
        ("[settings.recipe.deep]\nknob = 2", r"recipe\.deep\.knob is not a setting"),
        ("[setings.train]\nepochs = 1", "setings is not expected; did you mean settings?"),
        ("settings = 3", r"settings is a table; write \[settings\]"),
        ("description = 'nothing'", "no settings in it"),
        ("description = 3\n" + GOOD.partition("\n")[2], "description: expected text, got 3"),
        (GOOD + "[baseline]\ntokens_per_secnd = 3", r"baseline\.tokens_per_secnd is not expected; did you mean"),
        (GOOD + "[baseline]\ntokens_per_second = true", r"baseline\.tokens_per_second: expected a number, got True"),
        (GOOD + "[baseline]\nmemory_gb = -1", r"baseline\.memory_gb must be above zero, got -1"),
        (GOOD + "[baseline]\nmemory_gb = inf", r"baseline\.memory_gb must be above zero, got inf"),
        (GOOD + "oops", r"not TOML: .*line 6"),
    ],
)
def test_a_bad_profile_is_refused_with_the_file_and_the_key(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=r"^mine\.toml: ") as refused:
        parse_profile("mine", text, "mine.toml", own=True)
    assert refused.match(message)


@pytest.mark.parametrize("table", ["settings.train", "settings.recipe", "settings.model"])
def test_a_profile_may_hold_any_way_of_training_and_a_recipes_knobs(table: str) -> None:
    line = {"settings.train": "bf16 = true", "settings.recipe": "ddpm_mul = 4", "settings.model": 'attention = "eager"'}
    profile = parse_profile("mine", f"[{table}]\n{line[table]}", "mine.toml", own=True)
    assert profile.values in ({"train.bf16": True}, {"recipe.ddpm_mul": 4}, {"model.attention": "eager"})


def test_an_unknown_name_is_refused_with_the_nearest_and_all_there_are(own_profiles: Path) -> None:
    (own_profiles / "night-run.toml").write_text(GOOD)
    with pytest.raises(UsageError, match="no profile is named balaced; did you mean balanced") as refused:
        find_profile("balaced")
    assert "fast, balanced, quality, memory-efficient, night-run" in refused.value.hint
    with pytest.raises(UsageError, match="no profile is named"):
        find_profile("../../etc/passwd")


def test_a_saved_profile_reads_back_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "not" / "there"))
    values = {"train.micro_batch_size": 4, "train.lora.r": 32, "train.gradient_checkpointing": True, "recipe.k": 0.5}
    measured = Baseline(tokens_per_second=39_800.5, memory_bytes=48_800_000_001, device='a "GPU"')
    path = save_profile("night-run", "trial #2\nof Monday", values, baseline=measured)
    assert path == own_folder() / "night-run.toml"
    read = find_profile("night-run")
    assert (read.values, read.baseline, read.description) == (values, measured, "trial #2\nof Monday")
    assert [file.name for file in path.parent.iterdir()] == ["night-run.toml"]


def test_saving_replaces_a_profile_only_when_told(own_profiles: Path) -> None:
    save_profile("mine", "one", {"train.epochs": 1.0})
    with pytest.raises(UsageError, match=r"there is a profile mine: .*mine\.toml"):
        save_profile("mine", "two", {"train.epochs": 2.0})
    assert find_profile("mine").values == {"train.epochs": 1.0}
    save_profile("mine", "two", {"train.epochs": 2.0}, overwrite=True)
    assert find_profile("mine").values == {"train.epochs": 2.0}
    with pytest.raises(UsageError, match="quality is the name of a built-in profile"):
        save_profile("quality", "", {"train.epochs": 2.0})
    save_profile("quality", "", {"train.epochs": 2.0}, overwrite=True)
    assert find_profile("quality").own


@pytest.mark.parametrize("name", ["", "My", "a b", "a/b", "..", "a--b", "-a", "a" * 65, "ä"])
def test_a_name_that_is_no_file_name_is_refused(own_profiles: Path, name: str) -> None:
    with pytest.raises(UsageError, match="a profile cannot be named"):
        save_profile(name, "", {"train.epochs": 1.0})
    assert list(own_profiles.iterdir()) == []


def test_values_that_could_not_be_read_back_are_not_saved(own_profiles: Path) -> None:
    with pytest.raises(ConfigError, match=r"profile mine: search\.batches does not belong in a profile"):
        save_profile("mine", "", {"search.batches": 3})
    with pytest.raises(ConfigError, match="must be at least 1"):
        save_profile("mine", "", {"train.micro_batch_size": 0})
    assert list(own_profiles.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "speedtui").write_text("a file where a folder should be")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    with pytest.raises(UsageError, match=r"mine\.toml: cannot be written: ") as refused:
        save_profile("mine", "", {"train.epochs": 1.0})
    assert "XDG_CONFIG_HOME" in refused.value.hint
    listed = list_profiles()
    assert len(listed.profiles) == 4
    assert "your profiles cannot be read" in listed.problems[0]


def test_a_file_that_cannot_be_read_is_a_problem_told(own_profiles: Path) -> None:
    (own_profiles / "binary.toml").write_bytes(b"\xff\xfe\x00")
    (own_profiles / "folder.toml").mkdir()
    os.symlink(own_profiles / "gone", own_profiles / "link.toml")
    problems = list_profiles().problems
    assert [Path(line.partition(":")[0]).name for line in problems] == ["binary.toml", "folder.toml", "link.toml"]
    assert "not UTF-8 text" in problems[0]
