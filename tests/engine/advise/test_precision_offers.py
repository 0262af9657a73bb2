"""What the Advisor says of precision that nobody tried."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from speedtui.engine.advise.context import AdviceContext
from speedtui.engine.advise.strategy import ATTENTION, BF16, FP16, LIGER, TF32, change_name, risk_of
from speedtui.engine.advise.untried import here_of
from speedtui.engine.advise.worth_trying import Here, UntriedChange, offers
from speedtui.engine.config.capability import Capability
from speedtui.engine.config.paths import with_values
from speedtui.engine.config.settings import DataSettings, ModelSettings, Settings
from speedtui.engine.events import Device
from speedtui.engine.state import fold
from tests.engine.events_of_a_run import started

GOOD = Settings(model=ModelSettings(path="tiny"), data=DataSettings(train="t.jsonl", text="text"))


def offered(*, cuda: bool = True, capability: Capability | None = (9, 0), **values: Any) -> dict[str, UntriedChange]:
    settings = with_values(GOOD, {name.replace("__", "."): value for name, value in values.items()}, "test")
    here = Here(settings=settings, cuda=cuda, capability=capability if cuda else None, cores=4, padding=None, shares={})
    return {offer.path: offer for offer in offers(here, None, {})}


def test_what_auto_leaves_alone_is_named_with_the_setting_that_allows_it() -> None:
    for path in (BF16, TF32):
        assert 'search.numerics = "may change"' in offered(search__mode="auto")[path].why
        assert "numerics" not in offered(search__mode="auto", search__numerics="may change")[path].why
        assert "numerics" not in offered(search__mode="quick")[path].why


def test_it_is_told_that_the_numbers_change() -> None:
    for path in (BF16, "train.fp16", TF32, LIGER):
        assert risk_of(path, False, True) == "numbers"
    assert change_name(TF32, False, True) == "TF32 on" and change_name(LIGER, False, True) == "liger kernels on"


def test_what_gains_nothing_here_is_not_offered() -> None:
    assert TF32 not in offered(cuda=False)
    for values in ({"train__bf16": True}, {"train__fp16": True}, {"model__dtype": "bfloat16"}):
        assert not {BF16, TF32} & offered(**values).keys()


def test_flash_attention_needs_half_precision_by_weights_or_by_autocast() -> None:
    def met(**values: Any) -> bool | None:
        return next(need.met for need in offered(**values)[ATTENTION].needs if "float16" in need.text)

    assert met() is False
    assert met(train__bf16=True) is met(train__fp16=True) is met(model__dtype="bfloat16") is True
    assert ATTENTION not in offered(train__bf16=True, model__attention="flash_attention_3")


@pytest.mark.parametrize(
    ("capability", "expected"),
    [
        ((6, 1), set()),
        ((7, 0), {FP16, LIGER}),
        ((7, 5), {FP16, LIGER}),
        ((8, 0), {BF16, TF32, LIGER, ATTENTION}),
        ((9, 0), {BF16, TF32, LIGER, ATTENTION}),
        (None, {BF16, TF32, LIGER, ATTENTION}),
    ],
)
def test_a_device_is_offered_what_it_has_the_units_for(capability: Capability | None, expected: set[str]) -> None:
    found = offered(capability=capability)
    assert found.keys() & {BF16, FP16, TF32, LIGER, ATTENTION} == expected
    known = None if capability is None else True
    for path in expected & {BF16, FP16, TF32}:
        assert [need.met for need in found[path].needs] == [known]
    assert found.keys() & {BF16, FP16, TF32, LIGER} <= offered(capability=capability, model__quantize="nf4").keys()


def test_liger_is_for_models_of_transformers_on_a_gpu_and_says_who_tries_it() -> None:
    assert LIGER not in offered(cuda=False)
    assert LIGER not in offered(train__liger=True)
    recipe = {"model__kind": "python", "model__recipe": "r.py:build", "model__path": None}
    assert LIGER not in offered(**recipe)
    assert "search.knobs" in offered(search__mode="auto")[LIGER].why
    assert "search.knobs" not in offered(search__mode="quick")[LIGER].why


def test_what_a_device_has_is_read_from_its_run() -> None:
    found = []
    for devices in ([], [Device(index=0, kind="cuda", name="Tesla T4", memory_bytes=None, capability=(7, 5))]):
        state = fold([started(devices=devices, config=msgspec.to_builtins(GOOD))])
        here = here_of(AdviceContext(state, state))
        found.append((here.cuda, here.capability, FP16 in {offer.path for offer in offers(here, None, {})}))
    assert found == [(False, None, False), (True, (7, 5), True)]
