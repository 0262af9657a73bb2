"""Keeps the libraries' own progress bars off the terminal: speedtui reports progress itself."""

from __future__ import annotations


def quiet_libraries() -> None:
    """Turns off the progress bars of transformers, the hub's client and datasets in this process."""
    import logging as python_logging

    import datasets
    from transformers.utils import logging

    # The hub's client with it.
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # transformers leaves it bare
    datasets.disable_progress_bars()
    # it says at every 8-bit product that it casts what it is given
    python_logging.getLogger("bitsandbytes").setLevel(python_logging.ERROR)
