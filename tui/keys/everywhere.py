"""Keys that work on every screen, and those of a recording, which do so too."""

from __future__ import annotations

from functools import partial

from speedtui.tui.keys.key import Key
from speedtui.tui.keys.situations import busy, replaying, several_runs

SCREENS, RUNS = "the four screens", "next, previous open run"
MOVE, ENDS, PANES = "move", "top, bottom", "next, previous pane"
MATCHES, RATE = "next, previous match", "redraw less, more often"
STOP, LOOKS = "stop safely, kill (asks)", "next theme, mouse on/off"

EVERYWHERE = (
    Key("screen.monitor", "1", "show_screen('monitor')", "go to the Monitor", together=SCREENS),
    Key("screen.trials", "2", "show_screen('trials')", "go to the Trials", together=SCREENS),
    Key("screen.plan", "3", "show_screen('plan')", "go to the Plan", together=SCREENS),
    Key("screen.advisor", "4", "show_screen('advisor')", "go to the Advisor", together=SCREENS),
    Key("runs.list", "5", "runs", "all runs: attach, or look"),
    Key("runs.next", "full_stop", "next_run(1)", "the next open run", together=RUNS, allowed=several_runs),
    Key("runs.previous", "comma", "next_run(-1)", "the previous open run", together=RUNS, allowed=several_runs),
    Key("pane.next", "tab", "screen.pane(1)", "the next pane", together=PANES),
    Key("pane.previous", "shift+tab", "screen.pane(-1)", "the pane before", together=PANES),
    Key("pane.zoom", "z", "screen.zoom", "zoom the pane, and back"),
    Key("move.up", "up,k", "screen.move(-1)", "up; in events, newer ones", shown="↑ k", together=MOVE),
    Key("move.down", "down,j", "screen.move(1)", "down; in events, older ones", shown="↓ j", together=MOVE),
    Key("move.top", "g,home", "screen.move_to('top')", "to the top; also home", together=ENDS),
    Key("move.bottom", "G,end", "screen.move_to('bottom')", "to the bottom; also end", together=ENDS),
    Key("filter.open", "slash", "screen.filter", "filter rows or events"),
    Key("filter.next", "n", "screen.match(1)", "the next row that matches", together=MATCHES),
    Key("filter.previous", "N", "screen.match(-1)", "the row before that matches", together=MATCHES),
    Key("back", "escape", "screen.back", "back: filter, zoom, marks"),
    Key("run.stop", "s", "stop_safely", "stop safely: save, then end", label="stop safely", short="stop", together=STOP,
        allowed=busy, live=True),
    Key("run.kill", "K", "kill", "kill the worker (asks)", together=STOP, allowed=busy),
    Key("run.profile", "p", "profiles", "profile of the next run", label="profile"),
    Key("copy", "y", "copy", "copy what the cursor is on"),
    Key("rate.slower", "left_square_bracket", "rate(1)", "redraw less often", label="rate", together=RATE),
    Key("rate.faster", "right_square_bracket", "rate(-1)", "redraw more often", label="rate", together=RATE),
    Key("screen.freeze", "f", "freeze", "freeze; the run goes on"),
    Key("screen.theme", "T", "next_theme", "the next theme", together=LOOKS),
    Key("screen.mouse", "M", "mouse", "mouse on or off", together=LOOKS),
    Key("screen.redraw", "ctrl+l", "redraw", "draw everything again"),
    Key("screen.suspend", "ctrl+z", "suspend", "to the shell; fg comes back", over_dialogs=True),
    Key("screen.palette", "colon,ctrl+p", "command_palette", "commands by name; ctrl+p", label="commands", short="cmd"),
    Key("help", "question_mark", "help", "this help", label="help"),
    Key("leave", "q", "leave", "leave; asks if a run lives", label="quit"),
)  # fmt: skip

of_recording = partial(Key, scope="replay", allowed=replaying)

REPLAY = (
    of_recording("replay.faster", "plus", "replay_speed(1)", "play twice as fast", label="faster"),
    of_recording("replay.slower", "minus", "replay_speed(-1)", "play half as fast"),
    of_recording("replay.back", "left", "replay_seek(-1)", "back by 2 %; H by 10 %", label="back"),
    of_recording("replay.on", "right", "replay_seek(1)", "on by 2 %; L by 10 %", label="on"),
    of_recording("replay.far_back", "H,shift+left", "replay_seek(-5)", "back by 10 %"),
    of_recording("replay.far_on", "L,shift+right", "replay_seek(5)", "on by 10 %"),
    of_recording("replay.begin", "home", "replay_seek(-1000)", "to its beginning"),
    of_recording("replay.end", "end", "replay_seek(1000)", "to its end"),
)  # fmt: skip
