"""A recording: how fast it is shown, and from where."""

from __future__ import annotations

from speedtui.tui.keys.key import Key
from speedtui.tui.keys.situations import replaying

REPLAY = (
    Key(id="replay.faster", keys="plus", shown="+", action="replay_speed(1)", label="faster", scope="replay",
        allowed=replaying, help="play twice as fast"),
    Key(id="replay.slower", keys="minus", shown="-", action="replay_speed(-1)", scope="replay",
        allowed=replaying, help="play half as fast"),
    Key(id="replay.back", keys="left", shown="←", action="replay_seek(-1)", label="back", scope="replay",
        allowed=replaying, help="back by 2 %; H by 10 %"),
    Key(id="replay.on", keys="right", shown="→", action="replay_seek(1)", label="on", scope="replay",
        allowed=replaying, help="on by 2 %; L by 10 %"),
    Key(id="replay.far_back", keys="H,shift+left", shown="H", action="replay_seek(-5)", scope="replay",
        allowed=replaying, help="back by 10 %"),
    Key(id="replay.far_on", keys="L,shift+right", shown="L", action="replay_seek(5)", scope="replay",
        allowed=replaying, help="on by 10 %"),
    Key(id="replay.begin", keys="home", shown="home", action="replay_seek(-1000)", scope="replay",
        allowed=replaying, help="to its beginning"),
    Key(id="replay.end", keys="end", shown="end", action="replay_seek(1000)", scope="replay",
        allowed=replaying, help="to its end"),
)  # fmt: skip
