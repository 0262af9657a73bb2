"""What the Advisor says of precision that nobody tried."""

from __future__ import annotations

from typing import Any

from speedtui.engine.advise.offers import Here, Offer, offers
from speedtui.engine.advise.strategy import ATTENTION, BF16, LIGER, TF32, change_name, risk_of
from speedtui.engine.config.paths import with_values
from speedtui.engine.config.settings import DataSettings, ModelSettings, Settings

GOOD = Settings(model=ModelSettings(path="tiny"), data=DataSettings(train="t.jsonl", text="text"))


def offered(*, cuda: bool = True, **values: Any) -> dict[str, Offer]:
    settings = with_values(GOOD, {name.replace("__", "."): value for name, value in values.items()}, "test")
    here = Here(settings=settings, cuda=cuda, cores=4, padding=None, shares={})
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
