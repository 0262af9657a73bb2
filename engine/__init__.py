"""The engine: measures, predicts, plans and runs. It knows no screen."""

from __future__ import annotations

TYPE_CHECKING = False  # typing's own would be an import, and this package is imported before everything else
if TYPE_CHECKING:
    from speedtui.engine.plan.optimize import OptimizedPlan, optimize_for_dataset

__all__ = ["OptimizedPlan", "optimize_for_dataset"]


def __getattr__(name: str) -> object:
    """What a script imports from here, loaded when it is asked for."""
    if name in __all__:
        from speedtui.engine.plan import optimize

        return getattr(optimize, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
