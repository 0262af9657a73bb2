"""Keys that work on every screen."""

from __future__ import annotations

from speedtui.tui.keys.key import Key
from speedtui.tui.keys.situations import busy, several_runs

EVERYWHERE = (
    Key(id="screen.monitor", keys="1", shown="1", action="show_screen('monitor')", help="the Monitor"),
    Key(id="screen.trials", keys="2", shown="2", action="show_screen('trials')", help="the Trials"),
    Key(id="screen.plan", keys="3", shown="3", action="show_screen('plan')", help="the Plan"),
    Key(id="screen.advisor", keys="4", shown="4", action="show_screen('advisor')", help="the Advisor"),
    Key(id="runs.list", keys="5", shown="5", action="runs", help="all runs: attach to one, or look at it"),
    Key(id="runs.next", keys="full_stop", shown=".", action="next_run(1)", allowed=several_runs,
        help="the next open run"),
    Key(id="runs.previous", keys="comma", shown=",", action="next_run(-1)", allowed=several_runs,
        help="the previous open run"),
    Key(id="run.profile", keys="p", shown="p", action="profiles", label="profile",
        help="profiles side by side; the next run takes one"),
    Key(id="run.stop", keys="s", shown="s", action="stop_safely", label="stop safely", allowed=busy,
        help="end safely: finish the step, save, write the files"),
    Key(id="run.kill", keys="K", shown="K", action="kill", allowed=busy,
        help="kill the worker (asks); a study starts it again"),
    Key(id="move.up", keys="up,k", shown="↑ k", action="screen.move(-1)", help="up: a row, or towards newer events"),
    Key(id="move.down", keys="down,j", shown="↓ j", action="screen.move(1)", help="down: a row, or older events"),
    Key(id="move.top", keys="g,home", shown="g", action="screen.move_to('top')", help="to the top"),
    Key(id="move.bottom", keys="G,end", shown="G", action="screen.move_to('bottom')", help="to the bottom"),
    Key(id="pane.next", keys="tab", shown="tab", action="screen.pane(1)",
        help="the next pane; shift+tab the one before"),
    Key(id="pane.previous", keys="shift+tab", shown="⇧tab", action="screen.pane(-1)", help="the pane before"),
    Key(id="pane.zoom", keys="z", shown="z", action="screen.zoom", help="the pane alone on the screen, and back"),
    Key(id="filter", keys="slash", shown="/", action="screen.filter", help="filter rows or events; esc takes it away"),
    Key(id="filter.next", keys="n", shown="n", action="screen.match(1)", help="the next row that matches"),
    Key(id="filter.previous", keys="N", shown="N", action="screen.match(-1)", help="the one before"),
    Key(id="back", keys="escape", shown="esc", action="screen.back",
        help="back: zoom, filter or selection is taken away"),
    Key(id="copy", keys="y", shown="y", action="copy", help="copy what the cursor is on, through the terminal too"),
    Key(id="rate.slower", keys="left_square_bracket", shown="[", action="rate(1)", help="redraw less often"),
    Key(id="rate.faster", keys="right_square_bracket", shown="]", action="rate(-1)", help="redraw more often"),
    Key(id="screen.freeze", keys="f", shown="f", action="freeze", help="freeze the screen; the run goes on"),
    Key(id="screen.theme", keys="T", shown="T", action="next_theme", help="the next theme"),
    Key(id="screen.mouse", keys="M", shown="M", action="mouse", help="mouse on or off"),
    Key(id="screen.redraw", keys="ctrl+l", shown="ctrl+l", action="redraw", help="draw everything again"),
    Key(id="screen.palette", keys="colon,ctrl+p", shown=":", action="command_palette",
        help="all commands by name; also ctrl+p"),
    Key(id="help", keys="question_mark", shown="?", action="help", label="help", help="this help; esc closes it"),
    Key(id="leave", keys="q", shown="q", action="leave", label="quit", help="leave; asks when something runs"),
)  # fmt: skip
