"""Other people's ways to find the largest micro-batch, each on the same model, sample and real limit; run in a process.

`python finders.py NAME FOLDER LENGTH LIMIT_BYTES` prints one JSON line; a name is one of FINDERS or `confirm 6`. Each
starts with the model in memory; seconds are those of the search alone, with importing the library that does it.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from speedtui.engine.meter.limit import CpuLimit
from speedtui.engine.meter.memory import release_memory
from speedtui.engine.workload.failures import is_out_of_memory

CPU = torch.device("cpu")
START = 128
"""Where accelerate begins unless told otherwise."""
MOST = 256
"""No finder goes beyond."""


class Attempts:
    """Two optimizer steps on rows of one length, one token of them padding, under the limit."""

    def __init__(self, folder: str, length: int, limit_bytes: int, device: torch.device = CPU) -> None:
        from transformers import AutoModelForCausalLM

        self.device = device
        self.model: nn.Module = AutoModelForCausalLM.from_pretrained(folder).to(device).train()
        self.length = length
        self.limit_bytes = limit_bytes
        self.weights = sum(p.numel() * p.element_size() for p in self.model.parameters())
        self.tried: list[tuple[int, bool]] = []
        self._quietly(self.steps, 1)  # threads and code that the first step brings in are not the limit's

    def batch(self, size: int) -> dict[str, torch.Tensor]:
        """`input_ids`, `attention_mask`, `labels`: (size, length), int64; the last row is one token shorter."""
        ids = torch.full((size, self.length), 5)
        mask = torch.ones_like(ids)
        labels = ids.clone()
        if size > 1:
            mask[-1, -1], labels[-1, -1] = 0, -100
        batch = {"input_ids": ids, "attention_mask": mask, "labels": labels}
        return {name: tensor.to(self.device) for name, tensor in batch.items()}

    def steps(self, size: int) -> None:
        """What a training would do with its longest samples."""
        optimizer = torch.optim.AdamW(self.model.parameters(), lr=0.0, fused=True)
        for _ in range(2):
            optimizer.zero_grad()
            self.model(**self.batch(size)).loss.backward()
            optimizer.step()
        optimizer.zero_grad()

    def under_limit(self, size: int) -> None:
        """Raises the allocator's own error where it does not fit."""
        self.model.zero_grad()
        release_memory(self.device)
        try:
            with self.limit():
                self.steps(size)
        except RuntimeError as error:
            self.tried.append((size, not is_out_of_memory(error)))
            raise
        self.tried.append((size, True))

    def limit(self) -> AbstractContextManager[None]:
        """Meanwhile the allocator raises beyond it."""
        if self.device.type == "cpu":
            return CpuLimit(self.limit_bytes, resident_bytes=self.weights, first=False)
        return device_limit(self.device, self.limit_bytes)

    def fits(self, size: int) -> bool:
        return self._quietly(self.under_limit, size)

    def _quietly(self, attempt: Callable[[int], None], size: int) -> bool:
        try:
            attempt(size)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            return False
        return True


@contextmanager
def device_limit(device: torch.device, limit_bytes: int) -> Iterator[None]:
    """Of what this process may take of a GPU."""
    total = torch.cuda.get_device_properties(device).total_memory
    torch.cuda.set_per_process_memory_fraction(min(1.0, limit_bytes / total), device)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, device)


def bisection(attempts: Attempts) -> int:
    """Between 1 and MOST, one attempt each."""
    low, high = 1, MOST
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if attempts.fits(middle) else (low, middle - 1)
    return low


def accelerate_finder(attempts: Attempts) -> int:
    from accelerate.utils.memory import find_executable_batch_size

    @find_executable_batch_size(starting_batch_size=START)
    def run(batch_size: int) -> int:
        attempts.under_limit(batch_size)
        return batch_size

    return int(run())


def lightning_power(attempts: Attempts) -> int:
    return _lightning(attempts, "power")


def lightning_binsearch(attempts: Attempts) -> int:
    return _lightning(attempts, "binsearch")


def _lightning(attempts: Attempts, mode: str) -> int:
    import logging
    import warnings

    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    import lightning

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.batch_size = 2
            self.model = attempts.model

        def training_step(self, batch: torch.Tensor, index: int) -> torch.Tensor:
            size = len(batch)
            if not attempts.tried or attempts.tried[-1][0] != size:
                attempts.tried.append((size, False))
            attempts.tried[-1] = (size, False)  # until the step has come to an end
            loss: torch.Tensor = self.model(**attempts.batch(size)).loss
            return loss

        def on_train_batch_end(self, outputs: Any, batch: torch.Tensor, index: int) -> None:
            attempts.tried[-1] = (len(batch), True)

        def train_dataloader(self) -> Any:
            return torch.utils.data.DataLoader(torch.zeros(MOST * 8), batch_size=self.batch_size)

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.AdamW(self.parameters(), lr=0.0, fused=True)

    module = Module()
    finder = lightning.pytorch.callbacks.BatchSizeFinder(mode=mode, max_trials=12)
    trainer = lightning.Trainer(
        accelerator="gpu" if attempts.device.type == "cuda" else "cpu", devices=1, max_steps=1, logger=False,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False, callbacks=[finder],
    )  # fmt: skip
    release_memory(attempts.device)
    with attempts.limit():
        try:
            trainer.fit(module)
        except RuntimeError as error:  # the fit after the search, with the size it found
            if not is_out_of_memory(error):
                raise
            attempts.tried.append((module.batch_size, False))
    return module.batch_size


def confirm(attempts: Attempts, size: int) -> int:
    """Only what was predicted; a half of it for as long as it does not fit."""
    while size > 1 and not attempts.fits(size):
        size //= 2
    return size


FINDERS = {
    "bisection": bisection,
    "accelerate": accelerate_finder,
    "lightning power": lightning_power,
    "lightning binsearch": lightning_binsearch,
}


def main(name: str, folder: str, length: int, limit_bytes: int) -> None:
    attempts = Attempts(folder, length, limit_bytes)
    began = time.perf_counter()
    kind, _, size = name.partition(" ")
    found = confirm(attempts, int(size)) if kind == "confirm" else FINDERS[name](attempts)
    seconds = time.perf_counter() - began
    burst = sum(not fitted for _, fitted in attempts.tried)
    print(json.dumps({"found": found, "attempts": len(attempts.tried), "out_of_memory": burst,
                      "seconds": round(seconds, 2), "tried": attempts.tried}))  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1], str(Path(sys.argv[2])), int(sys.argv[3]), int(sys.argv[4]))
