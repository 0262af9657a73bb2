"""What the documents say of the code is what the code is."""

from __future__ import annotations

from pathlib import Path

from speedtui.engine.config.described import settings_page

ROOT = Path(__file__).parent.parent


def test_the_page_of_the_settings_is_the_one_they_write() -> None:
    assert (ROOT / "docs/settings.md").read_text("utf-8") == settings_page(), "run `make docs`"
