"""Keys that work on every screen."""

from __future__ import annotations

from speedtui.tui.keys.key import Key
from speedtui.tui.keys.situations import busy, several_runs

SCREENS, RUNS = "the four screens", "next, previous open run"
MOVE, ENDS, PANES = "move", "top, bottom", "next, previous pane"
MATCHES, RATE = "next, previous match", "redraw less, more often"
STOP, LOOKS = "stop safely, kill (asks)", "next theme, mouse on/off"

EVERYWHERE = (
    Key(id="screen.monitor", keys="1", shown="1", action="show_screen('monitor')", together=SCREENS,
        help="go to the Monitor"),
    Key(id="screen.trials", keys="2", shown="2", action="show_screen('trials')", together=SCREENS,
        help="go to the Trials"),
    Key(id="screen.plan", keys="3", shown="3", action="show_screen('plan')", together=SCREENS,
        help="go to the Plan"),
    Key(id="screen.advisor", keys="4", shown="4", action="show_screen('advisor')", together=SCREENS,
        help="go to the Advisor"),
    Key(id="runs.list", keys="5", shown="5", action="runs", help="all runs: attach, or look"),
    Key(id="runs.next", keys="full_stop", shown=".", action="next_run(1)", allowed=several_runs, together=RUNS,
        help="the next open run"),
    Key(id="runs.previous", keys="comma", shown=",", action="next_run(-1)", allowed=several_runs, together=RUNS,
        help="the previous open run"),
    Key(id="pane.next", keys="tab", shown="tab", action="screen.pane(1)", together=PANES, help="the next pane"),
    Key(id="pane.previous", keys="shift+tab", shown="⇧tab", action="screen.pane(-1)", together=PANES,
        help="the pane before"),
    Key(id="pane.zoom", keys="z", shown="z", action="screen.zoom", help="zoom the pane, and back"),
    Key(id="move.up", keys="up,k", shown="↑ k", action="screen.move(-1)", together=MOVE,
        help="up; in events, newer ones"),
    Key(id="move.down", keys="down,j", shown="↓ j", action="screen.move(1)", together=MOVE,
        help="down; in events, older ones"),
    Key(id="move.top", keys="g,home", shown="g", action="screen.move_to('top')", together=ENDS,
        help="to the top; also home"),
    Key(id="move.bottom", keys="G,end", shown="G", action="screen.move_to('bottom')", together=ENDS,
        help="to the bottom; also end"),
    Key(id="filter.open", keys="slash", shown="/", action="screen.filter", help="filter rows or events"),
    Key(id="filter.next", keys="n", shown="n", action="screen.match(1)", together=MATCHES,
        help="the next row that matches"),
    Key(id="filter.previous", keys="N", shown="N", action="screen.match(-1)", together=MATCHES,
        help="the row before that matches"),
    Key(id="back", keys="escape", shown="esc", action="screen.back", help="back: filter, zoom, marks"),
    Key(id="run.stop", keys="s", shown="s", action="stop_safely", label="stop safely", short="stop", allowed=busy,
        together=STOP, live=True, help="stop safely: save, then end"),
    Key(id="run.kill", keys="K", shown="K", action="kill", allowed=busy, together=STOP, help="kill the worker (asks)"),
    Key(id="run.profile", keys="p", shown="p", action="profiles", label="profile",
        help="profile of the next run"),
    Key(id="copy", keys="y", shown="y", action="copy", help="copy what the cursor is on"),
    Key(id="rate.slower", keys="left_square_bracket", shown="[", action="rate(1)", label="rate", together=RATE,
        help="redraw less often"),
    Key(id="rate.faster", keys="right_square_bracket", shown="]", action="rate(-1)", label="rate", together=RATE,
        help="redraw more often"),
    Key(id="screen.freeze", keys="f", shown="f", action="freeze", help="freeze; the run goes on"),
    Key(id="screen.theme", keys="T", shown="T", action="next_theme", together=LOOKS, help="the next theme"),
    Key(id="screen.mouse", keys="M", shown="M", action="mouse", together=LOOKS, help="mouse on or off"),
    Key(id="screen.redraw", keys="ctrl+l", shown="ctrl+l", action="redraw", help="draw everything again"),
    Key(id="screen.suspend", keys="ctrl+z", shown="ctrl+z", action="suspend", over_dialogs=True,
        help="to the shell; fg comes back"),
    Key(id="screen.palette", keys="colon,ctrl+p", shown=":", action="command_palette", label="commands",
        short="cmd", help="commands by name; ctrl+p"),
    Key(id="help", keys="question_mark", shown="?", action="help", label="help", help="this help"),
    Key(id="leave", keys="q", shown="q", action="leave", label="quit", help="leave; asks if a run lives"),
)  # fmt: skip
