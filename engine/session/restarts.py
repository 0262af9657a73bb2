"""Whether a training whose worker was lost is started again."""

from __future__ import annotations

from speedtui.engine import events as e


class Restarts:
    """Counts the restarts in a row that led nowhere.

    A worker that saved a checkpoint after the step it began with led somewhere: the next one begins later, so that
    even a training that always dies comes to an end. Having made steps alone is not enough: one that dies at the same
    step each time would make the same steps for ever.
    """

    def __init__(self, most: int) -> None:
        """`most`: in a row; 0 for never."""
        self._most = most
        self._used = 0
        self._first_step: int | None = None
        self._saved_step = 0

    @property
    def wanted(self) -> bool:
        """Whether there are to be any."""
        return self._most > 0

    def observe(self, event: e.AnyEvent) -> None:
        """Takes in what the worker got done."""
        match event:
            case e.RunStarted():
                self._first_step, self._saved_step = None, 0
            case e.TrainingStarted() if self._first_step is None:  # a worker may make its trainer anew
                self._first_step = event.first_step
            case e.CheckpointSaved():
                self._saved_step = max(self._saved_step, event.step)

    def another(self) -> bool:
        """Whether to replace the worker that was lost; one more is then counted."""
        if self._first_step is not None and self._saved_step > self._first_step:
            self._used = 0
        if self._used >= self._most:
            return False
        self._used += 1
        return True
