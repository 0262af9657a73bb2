"""Links the three folders below one `speedtui`, so that an editable install has the import names of a wheel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class EditableLinks(BuildHookInterface):  # type: ignore[type-arg]
    """Acts only for `pip install -e`; a wheel maps the folders by itself."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version != "editable":
            return
        package = Path(self.root, "build", "editable", "speedtui")
        package.mkdir(parents=True, exist_ok=True)
        for folder in ("engine", "tui", "profiles"):
            link = package / folder
            if not link.is_symlink():
                link.symlink_to(Path("..", "..", "..", folder), target_is_directory=True)
