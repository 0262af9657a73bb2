"""The data of several configurations of one model, each made once."""

from __future__ import annotations

import dataclasses

import msgspec

from speedtui.engine.config.settings import Settings
from speedtui.engine.workload.base import Report, Workload
from speedtui.engine.workload.load import reload_data


class DataCache:
    """Gives a workload of the data that some settings name, without a model.

    It may outlive the model that came with the first of them, which must not stay in memory for its sake while the
    next one is loaded.
    """

    def __init__(self, workload: Workload, settings: Settings, report: Report) -> None:
        """`workload`: as these settings made it."""
        self._first = _without_model(workload)
        self._report = report
        self._made = {_key(settings): self._first}
        self._uncut: list[tuple[Settings, Workload]] = []
        self._note(self._first, settings)

    def get(self, settings: Settings) -> Workload:
        """The data of these settings, which differ in what is made of the files at most.

        Raises:
            DataError, ConfigError: they name data that cannot be used.
        """
        key = _key(settings)
        if key not in self._made:
            self._made[key] = self._same(settings) or self._make(settings)
        return self._made[key]

    def _same(self, settings: Settings) -> Workload | None:
        """What was made with another maximum length, where neither that nor this one cuts anything."""
        asked = settings.data.max_length
        for made_with, workload in self._uncut:
            data = msgspec.structs.replace(made_with.data, max_length=asked)
            same = _key(msgspec.structs.replace(made_with, data=data)) == _key(settings)
            if same and _longest(workload) <= asked:
                return workload
        return None

    def _make(self, settings: Settings) -> Workload:
        made = reload_data(self._first, settings, self._report)
        self._note(made, settings)
        return made

    def _note(self, workload: Workload, settings: Settings) -> None:
        if workload.lengths is not None and not workload.packed and _longest(workload) < settings.data.max_length:
            self._uncut.append((settings, workload))


def _without_model(workload: Workload) -> Workload:
    """The data alone; a recipe's own way to answer goes too, since it may hold the model that it was made with."""
    import torch

    return dataclasses.replace(workload, model=torch.nn.Module(), generate=None)


def _key(settings: Settings) -> bytes:
    """What decides the data."""
    drawn = settings.data.packing or settings.data.validation_share
    return msgspec.json.encode((settings.data, settings.train.seed if drawn else None))


def _longest(workload: Workload) -> int:
    """Tokens of the longest sample, training and evaluation, source and target each by itself."""
    sides = [workload.lengths, workload.target_lengths]
    sides += [getattr(workload.eval_dataset, name, None) for name in ("lengths", "target_lengths")]
    return max((int(side.max()) for side in sides if side is not None and len(side)), default=0)
