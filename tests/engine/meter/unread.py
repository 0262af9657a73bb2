"""A profiler that records and then has nothing to give, as where CUPTI fails."""

from __future__ import annotations

from typing import Any

import pytest
import torch


def unread_profiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch's profiles end as they should, and fail when they have."""
    ended = torch.profiler.profile.stop

    def stop(profile: Any) -> None:
        ended(profile)
        raise RuntimeError("CUPTI_ERROR_UNKNOWN")

    monkeypatch.setattr(torch.profiler.profile, "stop", stop)
