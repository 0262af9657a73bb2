"""A configuration where it leaves the machine."""

from __future__ import annotations

import msgspec

from speedtui.engine.config.recorded import shareable
from speedtui.engine.config.settings import DataSettings, ModelSettings, NotifySettings, Settings

SECRET = "curl -d @- https://hooks.example.org/T0/B0/secret"


def tree(command: str | None) -> dict[str, object]:
    plain: dict[str, object] = msgspec.to_builtins(
        Settings(model=ModelSettings(path="m"), data=DataSettings(train="t"), notify=NotifySettings(command=command))
    )
    return plain


def test_what_alerts_are_sent_by_stays_here_and_everything_else_is_told() -> None:
    whole = tree(SECRET)
    shared = shareable(whole)
    assert "secret" not in repr(shared) and whole == tree(SECRET)
    assert {name for name in whole if whole[name] != shared[name]} == {"notify"}
    assert shareable(tree(None)) == tree(None) and shareable({}) == {}
