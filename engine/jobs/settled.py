"""What the settings leave to the model, settled before anything is tried, predicted or remembered with it."""

from __future__ import annotations

from speedtui.engine.context.context import JobContext


def settle_attention(context: JobContext) -> None:
    """Replaces `model.attention` "auto" by what the model is run with, and says so where that is not sdpa.

    Importing this module loads no torch; calling it does.
    """
    from speedtui.engine.workload.attention import with_own_attention

    settled = with_own_attention(context.settings)
    own = settled.model.attention
    if own != context.settings.model.attention and own != "sdpa":
        context.notice(f"model.attention is {own}: the model does not support sdpa")
    context.settings = settled
