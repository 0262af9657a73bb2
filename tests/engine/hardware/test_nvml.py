from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from speedtui.engine.units import GIB

Reading = Callable[..., dict[str, Any]]


def test_two_devices_are_read_in_engine_units(read_devices: Reading) -> None:
    answer = read_devices()
    assert [device["index"] for device in answer["devices"]] == [0, 1]
    assert answer["sample"][0] == {
        "index": 0,
        "name": "Stand-in 80",
        "utilization": 0.41,
        "memory_used_bytes": 1 * GIB,
        "memory_total_bytes": 79 * GIB,
        "power_watts": 350.5,
        "power_limit_watts": 700.0,
        "temperature_celsius": 60,
        "sm_clock_mhz": 1900,
        "memory_clock_mhz": 2600,
        "throttled": False,
        "power_capped": False,
    }
    assert answer["sample"][1]["throttled"] is True
    assert answer["notes"] == []
    assert (answer["driver"], answer["cuda"]) == ("999.10", [12, 4])


def test_a_call_that_the_driver_lacks_costs_only_its_own_value(read_devices: Reading) -> None:
    answer = read_devices("OLD_DRIVER")
    sample = answer["sample"][0]
    assert sample["power_limit_watts"] is sample["sm_clock_mhz"] is sample["memory_clock_mhz"] is None
    assert sample["utilization"] == 0.41
    assert sample["memory_total_bytes"] == 80 * GIB
    assert answer["notes"] == [
        "Power: not supported by Stand-in 80.",
        "Power limit: this driver library has no function for it.",
        "SM clock: this driver library has no function for it.",
        "Memory clock: this driver library has no function for it.",
    ]


def test_a_power_cap_is_told_apart_from_what_holds_a_device_back(read_devices: Reading) -> None:
    first, second = read_devices("POWER_CAPPED")["sample"]
    assert (first["throttled"], first["power_capped"]) == (False, True), "any healthy device at full load"
    assert (second["throttled"], second["power_capped"]) == (True, True)


def test_idle_and_chosen_clocks_are_no_throttling(read_devices: Reading) -> None:
    assert [sample["throttled"] for sample in read_devices("OLD_DRIVER")["sample"]] == [False, False]


def test_a_device_lost_while_sampling_is_one_state_and_not_a_note_for_each_value(read_devices: Reading) -> None:
    answer = read_devices("LOSES_SECOND")
    first, second = answer["again"]
    assert first["utilization"] == 0.41 and "lost" not in first
    assert {name for name, value in second.items() if value is not None} == {"index", "name", "lost"}
    assert (second["name"], second["lost"]) == ("Stand-in 80", "GPU is lost")
    assert answer["notes"] == []


def test_without_a_driver_library_there_are_no_devices_and_a_note(read_without_driver: Reading) -> None:
    answer = read_without_driver()
    assert answer["devices"] == answer["sample"] == []
    assert answer["notes"] == ["No NVIDIA device is seen: there is no NVIDIA driver library (libnvidia-ml.so.1)."]
    assert answer["described"][0]["kind"] == "cpu"


def test_a_library_whose_init_fails_gives_no_devices_and_its_reason(read_devices: Reading) -> None:
    answer = read_devices("INIT_FAILS")
    assert answer["devices"] == []
    assert answer["notes"] == ["No NVIDIA device is seen: Driver Not Loaded."]


@pytest.mark.parametrize("setting", ["1", "GPU-bbbb", " 1,7,0"])
def test_one_visible_device_becomes_device_zero(read_devices: Reading, setting: str) -> None:
    answer = read_devices(CUDA_VISIBLE_DEVICES=setting)
    assert [device["index"] for device in answer["devices"]] == [0]
    assert [sample["utilization"] for sample in answer["sample"]] == [0.42]
    assert answer["hidden"] == 1


def test_devices_come_in_the_order_that_is_asked_for(read_devices: Reading) -> None:
    samples = read_devices(CUDA_VISIBLE_DEVICES="1,0")["sample"]
    assert [(sample["index"], sample["utilization"]) for sample in samples] == [(0, 0.42), (1, 0.41)]


@pytest.mark.parametrize("setting", ["", "-1", "none"])
def test_hidden_devices_are_not_read_and_a_note_says_so(read_devices: Reading, setting: str) -> None:
    answer = read_devices(CUDA_VISIBLE_DEVICES=setting)
    assert answer["sample"] == []
    assert answer["hidden"] == 2
    assert answer["notes"] == [f"CUDA_VISIBLE_DEVICES={setting!r} hides every GPU (2 in this machine)."]
    assert answer["described"][0]["kind"] == "cpu"


def test_a_mig_slice_is_read_by_its_uuid(read_devices: Reading) -> None:
    assert [s["utilization"] for s in read_devices(CUDA_VISIBLE_DEVICES="MIG-cccc2222")["sample"]] == [0.42]
    assert read_devices(CUDA_VISIBLE_DEVICES="MIG-other")["sample"] == []


def test_a_device_that_may_not_be_opened_is_left_out(read_devices: Reading) -> None:
    answer = read_devices("SECOND_CLOSED")
    assert len(answer["devices"]) == 1
    assert answer["notes"] == ["GPU 1 of this machine cannot be opened: Insufficient Permissions."]


def test_different_devices_are_warned_about_unless_their_order_is_fixed(read_devices: Reading) -> None:
    assert "CUDA_DEVICE_ORDER=PCI_BUS_ID" in read_devices("MIXED")["notes"][0]
    assert read_devices("MIXED", CUDA_DEVICE_ORDER="PCI_BUS_ID")["notes"] == []


def test_the_driver_library_is_shut_down_as_often_as_it_was_loaded(read_devices: Reading) -> None:
    answer = read_devices("COUNTS_SHUTDOWNS")
    assert answer["after_close"] == []
    assert answer["stderr"].split() == ["shutdown"] * 3  # the reader itself, and the two questions after it


def test_a_search_is_sized_by_the_first_visible_device(read_devices: Reading) -> None:
    answer = read_devices()
    assert answer["memory"] == 79 * GIB
    assert answer["described"] == answer["devices"]
    assert answer["torch"] is False
