"""A grid of settings, one `setting = value, value` a line, with the candidates it makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from speedtui.engine.config.settings import Scalar
from speedtui.engine.state import TrialRow
from speedtui.tui.candidates.grid import read_grid
from speedtui.tui.screens.edit import LinesScreen


class GridScreen(LinesScreen[list[dict[str, Scalar]]]):
    """Comes back with the settings of each new candidate, or None."""

    PLACEHOLDER = "setting = value, value"
    SAVES = "adds them"

    def __init__(
        self, lines: Sequence[str], names: Sequence[str], config: Mapping[str, Any], present: Sequence[TrialRow]
    ) -> None:
        """`present`: the candidates that need not be added again."""
        super().__init__("Add a grid of candidates", lines, names, config)
        self._present = tuple(present)

    def read(self, lines: Sequence[str]) -> tuple[list[dict[str, Scalar]], str]:
        return read_grid(lines, self._config, self._present)
