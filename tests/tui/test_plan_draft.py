"""The draft of the next run: edits over a profile over a run; and how values go up and down."""

from __future__ import annotations

import builders as b
import pytest

from speedtui.engine.config.paths import convert, value_at, with_values
from speedtui.engine.config.settings import Settings
from speedtui.engine.errors import ConfigError
from speedtui.tui.draft.draft import Draft, DraftChange, diff_as_toml
from speedtui.tui.draft.fields import RunSizes, adjusted, fields_of

BASE = with_values(convert(b.config(), "test"), {"data.eval": "/data/eval.jsonl"}, "test")
EVERY, EPOCHS = "schedule.eval_every", "train.epochs"


NO_SIZES = RunSizes()


def draft() -> Draft:
    return Draft(base=BASE)


def test_what_was_edited_is_what_differs_and_nothing_else() -> None:
    edited = draft().edit({EVERY: "200 steps"}).edit({EPOCHS: 5.0})
    assert edited.diff() == [DraftChange(EVERY, "1 epoch", "200 steps"), DraftChange(EPOCHS, 3.0, 5.0)]
    assert with_values(BASE, edited.values(), "test") == edited.settings
    assert edited.edit({EPOCHS: 3.0}).diff() == [DraftChange(EVERY, "1 epoch", "200 steps")]


def test_each_undo_takes_one_edit_back_and_no_more_than_there_were() -> None:
    first = draft().edit({EVERY: "200 steps"})
    second = first.edit({EPOCHS: 5.0}).take("fast", {"train.micro_batch_size": 8})
    assert second.undo().values() == {EVERY: "200 steps", EPOCHS: 5.0}
    assert second.undo().undo().values() == first.values()
    assert second.undo().undo().undo().diff() == [] == draft().undo().diff()


def test_an_edit_that_changes_nothing_is_not_remembered() -> None:
    edited = draft().edit({EVERY: "200 steps"})
    assert edited.edit({EVERY: "200 steps"}) is edited


def test_a_profile_takes_the_place_of_the_one_before_and_edits_stay() -> None:
    edited = draft().take("fast", {"train.micro_batch_size": 8}).edit({EPOCHS: 5.0})
    other = edited.take("quality", {"train.micro_batch_size": 2})
    assert other.profile == "quality" and other.values() == {"train.micro_batch_size": 2, EPOCHS: 5.0}
    assert other.reset("train.micro_batch_size").values() == {EPOCHS: 5.0}
    assert other.reset_all().values() == {} and other.reset_all().undo() == other.undo().take(
        "quality", other.layers.chosen
    )


def test_epochs_take_the_place_of_a_number_of_steps() -> None:
    stepped = Draft(base=with_values(BASE, {"train.max_steps": 500}, "test"))
    assert stepped.edit({EPOCHS: 2.0}).settings.train.max_steps is None


def test_settings_changed_in_the_run_itself_are_no_difference_any_more() -> None:
    edited = draft().edit({EVERY: "200 steps", EPOCHS: 5.0})
    assert edited.over(with_values(BASE, {EVERY: "200 steps"}, "test")).values() == {EPOCHS: 5.0}
    assert edited.over(BASE) is edited


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({EVERY: "sometimes"}, "expected 200 steps, 1 epoch, 30m or never"),
        ({"train.micro_batch_size": 3}, "does not divide"),
        ({EPOCHS: 0.0}, "must be above zero"),
        ({"schedule.keep_checkpoints": "many"}, "keep_checkpoints"),
        ({"train.nothing": 1}, "is not a setting"),
    ],
)
def test_a_value_that_cannot_be_is_refused_in_the_words_of_the_file(values: dict[str, object], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        draft().edit(values)  # type: ignore[arg-type]


def test_only_what_a_running_training_can_take_up_goes_into_it() -> None:
    edited = draft().edit({EVERY: "200 steps", EPOCHS: 5.0, "schedule.patience": 3})
    assert edited.live_values() == {EVERY: "200 steps", "schedule.patience": 3}


def test_the_changes_read_as_tables_of_the_file() -> None:
    edited = draft().edit({EVERY: "200 steps", "schedule.save_only_best": True, EPOCHS: 5.0})
    assert diff_as_toml(edited.diff()) == (
        '[schedule]\neval_every = "200 steps"  # was "1 epoch"\nsave_only_best = true  # was false\n\n'
        "[train]\nepochs = 5  # was 3"
    )


def field_value(path: str, value: object, by: int, *, sizes: RunSizes = NO_SIZES) -> object:
    settings = with_values(BASE, {path: value, "data.eval": "/e"}, "test")
    field = next(field for field in fields_of(settings) if field.path == path)
    return adjusted(field, settings, by, sizes)


@pytest.mark.parametrize(
    ("path", "value", "by", "after"),
    [
        ("train.max_steps", 18_000, 1, 20_000), ("train.max_steps", 18_000, -10, 2000),
        (EPOCHS, 3.0, 1, 4.0), (EPOCHS, 1.0, -1, 0.5), (EPOCHS, 3.0, 10, 13.0),
        (EVERY, "1200 steps", -1, "1000 steps"), (EVERY, "1200 steps", -10, "120 steps"),
        (EVERY, "1 epoch", 1, "2 epochs"), (EVERY, "30m", 1, "45m"), (EVERY, "24h", 1, "never"),
        (EVERY, "never", 1, "never"), (EVERY, "never", -1, "1 epoch"),
        ("schedule.patience", None, 1, 1), ("schedule.patience", 1, -1, None),
        ("schedule.save_only_best", False, 1, True), ("schedule.keep_checkpoints", 1, -1, 1),
        ("train.micro_batch_size", 4, 1, 8), ("train.micro_batch_size", 16, 1, 16), ("data.max_length", 1024, -1, 768),
        ("window.length", None, 1, "1h"), ("window.length", "2h", 1, "2h30m"), ("window.length", "30m", -1, None),
        ("window.margin", "0s", 1, "1m"), ("window.margin", "1m", -1, "0s"),
    ],
)  # fmt: skip
def test_arrows_go_along_values_that_people_take(path: str, value: object, by: int, after: object) -> None:
    assert field_value(path, value, by) == after


def test_a_deadline_moves_by_minutes_and_keeps_how_it_is_written() -> None:
    assert field_value("window.deadline", "18:40", 1) == "18:45"
    assert field_value("window.deadline", "2030-05-01 00:00", -1) == "2030-04-30 23:55"


def test_rows_end_in_all_of_them_and_steps_between_in_never() -> None:
    sizes = RunSizes(total_steps=500, epoch_steps=100, eval_rows=512)
    assert field_value("data.eval_rows", None, -1, sizes=sizes) == 500
    assert field_value("data.eval_rows", 500, 1, sizes=sizes) is None
    assert field_value(EVERY, "400 steps", 10, sizes=sizes) == "500 steps"
    assert field_value(EVERY, "500 steps", 1, sizes=sizes) == "never"
    assert field_value(EVERY, "never", -1, sizes=sizes) == "500 steps"


def test_every_rung_is_a_value_that_the_configuration_takes() -> None:
    settings = with_values(BASE, {"data.eval": "/e", "window.length": "3h"}, "test")
    sizes = RunSizes(total_steps=18_000, epoch_steps=500, eval_rows=512)
    for field in fields_of(settings):
        for by in (-10, -3, -1, 1, 2, 10):
            value = adjusted(field, settings, by, sizes)
            assert value_at(Draft(base=settings).edit({field.path: value}).settings, field.path) == value


def test_a_run_without_evaluation_data_has_no_settings_for_it() -> None:
    paths = [field.path for field in fields_of(Settings(), evaluates=False)]
    assert EVERY not in paths and "schedule.patience" not in paths and EPOCHS in paths
