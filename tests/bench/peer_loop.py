"""A small training loop that wandb logs, or TraceML traces: what the peers of the screen have to show.

python peer_loop.py wandb|traceml SECONDS [DIR]
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import nn
from torch.utils.data import DataLoader

WORDS, TOKENS, ROWS, WIDTH = 512, 64, 16, 128
PAUSE_SECONDS = 0.1
"""A step; together with its work about as many steps a second as the demo's model makes."""


def train(seconds: float, step_of: Callable[[], AbstractContextManager[object]], log: Callable[[float, float], None],
          model: nn.Module) -> None:  # fmt: skip
    """`log`: is given the loss and the seconds of each step."""
    torch.set_num_threads(1)
    optimizer = torch.optim.AdamW(model.parameters())
    rows = torch.randint(0, WORDS, (4096, TOKENS))
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for batch in DataLoader(rows, batch_size=ROWS):  # type: ignore[arg-type]
            began = time.perf_counter()
            with step_of():
                loss = nn.functional.cross_entropy(model(batch).flatten(0, 1), batch.flatten())
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            log(loss.item(), time.perf_counter() - began)
            time.sleep(PAUSE_SECONDS)
            if time.monotonic() > end:
                return


def main() -> None:
    """Trains until it is killed or the time is over."""
    how, seconds = sys.argv[1], float(sys.argv[2])
    model = nn.Sequential(nn.Embedding(WORDS, WIDTH), nn.Linear(WIDTH, WORDS), nn.ReLU(), nn.Linear(WORDS, WORDS))
    if how == "traceml":
        import traceml_ai

        traceml_ai.init(mode="auto")
        train(seconds, lambda: traceml_ai.trace_step(model), lambda loss, took: None, model)
    else:
        import wandb

        run = wandb.init(project="speedtui-bench", mode="offline", dir=sys.argv[3],
                         settings=wandb.Settings(silent=True, console="off", disable_git=True))  # fmt: skip
        train(
            seconds, nullcontext,
            lambda loss, took: run.log(
                {"loss": loss, "step_seconds": took, "tokens_per_second": ROWS * TOKENS / took}
            ), model,
        )  # fmt: skip


if __name__ == "__main__":
    main()
