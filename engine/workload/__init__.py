"""What is trained: a model, its data and its loss. Importing this package loads neither torch nor transformers."""

from __future__ import annotations

from speedtui.engine.workload.base import DataFacts, Recipe, Report, Workload

__all__ = ["DataFacts", "Recipe", "Report", "Workload"]
