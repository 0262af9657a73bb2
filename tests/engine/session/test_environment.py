"""A worker's environment: what the engine adds, and what is left to who set it."""

from __future__ import annotations

import pytest

from speedtui.engine.jobs.result import ALLOCATOR, ALLOCATOR_NAMES, worker_environment


def test_a_gpus_memory_grows_in_segments_for_every_worker() -> None:
    made = worker_environment({"HOME": "/root"})
    assert made[ALLOCATOR] == "expandable_segments:True"
    assert made["HOME"] == "/root"


@pytest.mark.parametrize("name", ALLOCATOR_NAMES)
def test_who_has_set_the_allocator_in_any_of_its_names_is_left_alone(name: str) -> None:
    own = {name: "max_split_size_mb:128"}
    made = worker_environment(own)
    assert {key: made[key] for key in ALLOCATOR_NAMES if key in made} == own


def test_what_is_set_already_stays() -> None:
    assert worker_environment({"PYTHONUNBUFFERED": "0"})["PYTHONUNBUFFERED"] == "0"
