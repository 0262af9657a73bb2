"""Checkpoints are whole or not there, and the newest whole one is found."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from speedtui.engine.checkpoint.facts import FACTS_NAME, CheckpointError
from speedtui.engine.checkpoint.files import before_of
from speedtui.engine.checkpoint.store import CheckpointStore, aside_of, publish
from speedtui.engine.errors import ExitCode
from tests.engine.checkpoint.writing import facts_of, save, step_in_parts, write_parts, write_safetensors

Damage = Callable[[Path], object]


@pytest.fixture
def store(tmp_path: Path) -> CheckpointStore:
    return CheckpointStore(tmp_path / "checkpoints", keep=3)


def cut(name: str, share: float) -> Damage:
    def damage(checkpoint: Path) -> None:
        content = (checkpoint / name).read_bytes()
        (checkpoint / name).write_bytes(content[: int(len(content) * share)])

    return damage


def without_facts(damage: Damage) -> Damage:
    def both(checkpoint: Path) -> None:
        (checkpoint / FACTS_NAME).unlink()
        damage(checkpoint)

    return both


def test_a_saved_checkpoint_is_found_with_what_it_says(store: CheckpointStore) -> None:
    assert store.newest() is None
    saved = save(store, 7)
    found = store.newest("a model")
    assert found is not None
    assert found.path == saved.path == store.folder / "checkpoint-7"
    assert found.facts.step == 7
    assert found.facts.total_steps == 100
    assert found.facts.files["adapter_config.json"] == len('{"r": 8}')
    assert found.passed_over == []
    assert saved.bytes == sum(file.stat().st_size for file in saved.path.iterdir())
    assert [path.name for path in store.folder.iterdir()] == ["checkpoint-7"]


def test_what_is_written_is_not_seen_before_it_is_whole(store: CheckpointStore) -> None:
    save(store, 1)
    write_parts(store.begin(2), 2)
    found = CheckpointStore(store.folder, keep=3).newest()
    assert found is not None
    assert found.facts.step == 1
    assert found.passed_over == [(store.staging / "checkpoint-2", "half-written")]
    store.commit(2, facts_of(2))
    assert store.steps() == [1, 2]


def test_a_new_checkpoint_clears_what_a_killed_worker_left(store: CheckpointStore) -> None:
    write_parts(store.begin(2), 2)
    aside = CheckpointStore(store.folder, keep=3).begin(3)
    assert aside.parent.is_dir()
    assert not aside.exists()
    assert list(aside.parent.iterdir()) == []


def test_only_as_many_as_wanted_are_kept_and_the_best_besides(store: CheckpointStore) -> None:
    store.keep = 2
    for step in (1, 2, 3):
        save(store, step)
    assert store.steps() == [2, 3]
    store.protect = 2
    for step in (4, 5, 6):
        save(store, step)
    assert store.steps() == [2, 5, 6]
    store.protect = 6
    save(store, 7)
    assert store.steps() == [6, 7]
    store.keep = 1
    save(store, 8)
    assert store.steps() == [6, 8]


def test_one_that_is_not_whole_does_not_count_among_those_kept(store: CheckpointStore) -> None:
    store.keep = 2
    for step in (1, 2):
        save(store, step)
    cut("optimizer.pt", 0.5)(store.folder / "checkpoint-2")
    save(store, 3)
    assert store.steps() == [1, 3]


def test_a_checkpoint_of_the_same_step_takes_the_place_of_the_one_before(store: CheckpointStore) -> None:
    save(store, 5, floats=10)
    save(store, 5, floats=2000)
    assert (store.folder / "checkpoint-5" / "adapter_model.safetensors").stat().st_size > 8000
    assert [path.name for path in store.folder.iterdir()] == ["checkpoint-5"]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (cut("adapter_model.safetensors", 0.99), "adapter_model.safetensors: "),
        (cut("optimizer.pt", 0.5), "optimizer.pt: "),
        (cut("rng_state.pth", 0.9), "rng_state.pth: "),
        (cut("trainer_state.json", 0.5), "trainer_state.json: "),
        (cut("README.md", 0.5), "README.md: 3 bytes instead of 6"),
        (cut(FACTS_NAME, 0.5), "speedtui.json: cut off"),
        (lambda checkpoint: (checkpoint / "scheduler.pt").unlink(), "scheduler.pt: missing"),
        (without_facts(cut("adapter_model.safetensors", 0.99)), "adapter_model.safetensors: 4034 bytes instead"),
        (without_facts(cut("adapter_model.safetensors", 0.01)), "adapter_model.safetensors: cut off in its header"),
        (without_facts(cut("adapter_model.safetensors", 0.0)), "adapter_model.safetensors: cut off in its header"),
        (without_facts(cut("optimizer.pt", 0.5)), "optimizer.pt: cut off"),
        (without_facts(cut("scheduler.pt", 0.98)), "scheduler.pt: cut off"),
        (without_facts(cut("rng_state.pth", 0.0)), "rng_state.pth: cut off"),
        (without_facts(cut("adapter_config.json", 0.5)), "adapter_config.json: cut off"),
        (without_facts(cut("trainer_state.json", 0.5)), "trainer_state.json: cut off"),
        (without_facts(lambda checkpoint: (checkpoint / "trainer_state.json").unlink()), "trainer_state.json: missing"),
        (without_facts(lambda checkpoint: (checkpoint / "rng_state.pth").unlink()), "rng_state.pth: missing"),
        (without_facts(lambda c: (c / "adapter_model.safetensors").unlink()), "no weights"),
    ],
)  # fmt: skip
def test_a_damaged_one_is_passed_over_and_said(store: CheckpointStore, damage: Damage, said: str) -> None:
    save(store, 1)
    newer = save(store, 2).path
    damage(newer)
    found = store.newest("a model")
    assert found is not None
    assert found.facts.step == 1
    [(path, reason)] = found.passed_over
    assert path == newer
    assert reason.startswith(said)


def test_where_none_is_whole_none_is_found_and_why_is_said(store: CheckpointStore) -> None:
    cut("optimizer.pt", 0.5)(save(store, 4).path)
    assert store.newest() is None
    assert [(path.name, reason.partition(":")[0]) for path, reason in store.passed_over] == [
        ("checkpoint-4", "optimizer.pt")
    ]


def test_a_shard_that_is_missing_is_noticed(store: CheckpointStore) -> None:
    path = store.folder / "checkpoint-9"
    write_parts(path, 9)
    (path / "adapter_model.safetensors").unlink()
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    (path / "model.safetensors.index.json").write_text(json.dumps(index))
    write_safetensors(path / "model-1.safetensors", 10)
    assert store.newest() is None
    assert store.passed_over[0][1] == "model.safetensors.index.json: model-2.safetensors is missing"
    write_safetensors(path / "model-2.safetensors", 10)
    assert store.newest() is not None


def test_one_that_was_written_bare_is_used_if_it_is_whole(store: CheckpointStore) -> None:
    write_parts(store.folder / "checkpoint-12", 12)
    found = store.newest("any model")
    assert found is not None
    assert (found.facts.step, found.facts.total_steps, found.facts.model) == (12, 100, "")


def test_another_models_is_refused(store: CheckpointStore) -> None:
    save(store, 1, model="one")
    save(store, 2, model="another")
    with pytest.raises(CheckpointError, match="checkpoint-2: a checkpoint of another model") as refused:
        store.newest("one")
    assert refused.value.exit_code is ExitCode.USAGE
    assert refused.value.hint
    found = store.newest()
    assert found is not None
    assert found.facts.model == "another"


def test_what_is_not_whole_is_not_committed(store: CheckpointStore) -> None:
    save(store, 1)
    aside = store.begin(2)
    write_parts(aside, 2)
    cut("optimizer.pt", 0.5)(aside)
    with pytest.raises(OSError, match=r"not whole as it was written: optimizer\.pt") as refused:
        store.commit(2, facts_of(2))
    assert refused.value.errno == errno.EIO
    assert not store.staging.exists()
    assert store.steps() == [1]
    assert step_in_parts(store.folder / "checkpoint-1") == {1}


def test_nothing_written_is_not_committed(store: CheckpointStore) -> None:
    store.begin(2)
    with pytest.raises(OSError, match="no weights"):
        store.commit(2, facts_of(2))
    assert store.steps() == []


def write_model(aside: Path, value: int) -> None:
    aside.mkdir()
    write_safetensors(aside / "model.safetensors", 100, value)
    (aside / "config.json").write_text(json.dumps({"value": value}))


def test_a_model_is_published_in_place_of_the_one_before(tmp_path: Path) -> None:
    target = tmp_path / "model"
    for value in (1, 2):
        aside = aside_of(target)
        write_model(aside, value)
        size = publish(aside, target)
        assert json.loads((target / "config.json").read_text()) == {"value": value}
        assert size == sum(file.stat().st_size for file in target.iterdir())
        assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_model_that_is_not_whole_leaves_the_one_before(tmp_path: Path) -> None:
    target, aside = tmp_path / "model", tmp_path / "aside"
    write_model(target, 1)
    write_model(aside, 2)
    cut("model.safetensors", 0.5)(aside)
    with pytest.raises(OSError, match=r"model\.safetensors"):
        publish(aside, target)
    assert json.loads((target / "config.json").read_text()) == {"value": 1}
    assert not aside.exists()


def test_an_exchange_that_was_killed_half_way_is_put_right(tmp_path: Path) -> None:
    target = tmp_path / "model"
    write_model(before_of(target), 1)  # the old one is away, the new one not yet there
    aside_of(target)
    assert json.loads((target / "config.json").read_text()) == {"value": 1}
    write_model(before_of(target), 0)  # the new one is there, the old one not yet removed
    aside_of(target)
    assert json.loads((target / "config.json").read_text()) == {"value": 1}
    assert not before_of(target).exists()


def test_a_checkpoint_in_the_middle_of_an_exchange_is_found(store: CheckpointStore) -> None:
    path = save(store, 3).path
    path.rename(before_of(path))
    found = store.newest()
    assert found is not None
    assert found.path == path
