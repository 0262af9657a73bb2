"""Records a person's whole way through speedtui in a real terminal, from the first file to the replay, keyboard only.

python -m tests.data.walk OUT_FILE

Each wait is for what a person would wait for, words on the screen. A key that does not do what it should fails the
recording, which is why this is a check as well as a picture. It takes about four minutes on a quiet machine.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pyte

from speedtui.engine.demo.corpus import write_corpus
from tests.data.cast import CHUNK_SECONDS, COLUMNS, ROWS, SPEEDTUI, TERM, Cast, end_workers, record_into
from tests.tui.pseudo_terminal import Terminal

REPOSITORY = str(Path(__file__).parents[2])
SHOWN_FOLDER = "/srv/speedtui".ljust(len(REPOSITORY), "-")[: len(REPOSITORY)]
"""What is shown in its place: as long, since the screen is drawn cell by cell."""
TITLE = "speedtui: from a data file to a trained model, to a deadline"
PROMPT = "gpu-box$ "
TYPING_SECONDS = 0.04
"""Between two letters: fast enough not to bore, slow enough to be seen."""
LOOK_SECONDS = 1.3
"""At what a key shows."""
READ_SECONDS = 2.5
"""At what takes reading."""
LONGEST_SECONDS = 90.0
"""What takes longer is not going to come."""
ENTER, ESCAPE, UP, DOWN, LEFT, RIGHT, CLEAR_LINE = "\r", "\x1b", "\x1b[A", "\x1b[B", "\x1b[D", "\x1b[C", "\x15"

TRAIN_ROWS, EVAL_ROWS = 320, 32
"""20 steps of 16 an epoch."""
CONFIG = """\
[model]
architecture = { model_type = "llama", hidden_size = 128, intermediate_size = 256, num_hidden_layers = 4, \
num_attention_heads = 4, vocab_size = 2000 }
[data]
train = "train.jsonl"
eval = "eval.jsonl"
prompt = "prompt"
response = "response"
max_length = 96
[train]
epochs = 2
method = "full"
learning_rate = 2e-3
[window]
length = "5m"
margin = "30s"
[schedule]
eval_every = "1 epoch"
[search]
mode = "minimal"
batches = 10
"""


class Walk:
    """A terminal with a shell in it, what it shows, and fingers."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._screen = pyte.Screen(COLUMNS, ROWS)
        self._stream = pyte.Stream(self._screen)
        self._taken_in = 0
        self._said = ""
        """By the terminal since the last line was entered."""
        self.cast = Cast(terminal)

    def look(self, seconds: float = LOOK_SECONDS) -> None:
        """Watches for a while."""
        self.cast.watch(seconds)
        for _, kind, text in self.cast.events[self._taken_in :]:
            if kind == "o":
                self._stream.feed(text)
                self._said += text
        self._taken_in = len(self.cast.events)

    def key(self, key: str, shows: str = "", *, until: str = "", look: float = LOOK_SECONDS) -> None:
        """Presses a key; `shows` is a place to jump to in a player, `until` what has to be seen then."""
        self.cast.press(key, shows)
        if until:
            self.until(until)
        self.look(look)

    def keys(self, text: str) -> None:
        """Writes, as fast as a person does."""
        for letter in text:
            self.cast.press(letter)
            self.look(TYPING_SECONDS)

    def line(self, text: str, shows: str = "") -> None:
        """A command for the shell."""
        self.keys(text)
        self.look(LOOK_SECONDS / 2)
        self._said = ""
        self.cast.press(ENTER, shows)

    def until(self, text: str) -> None:
        """Watches until it is seen.

        Raises:
            TimeoutError: it never was; says what was seen instead.
        """
        waited = 0.0
        while text not in "\n".join(self._screen.display):
            self.look(CHUNK_SECONDS * 5)
            waited += CHUNK_SECONDS * 5
            if waited > LONGEST_SECONDS:
                raise TimeoutError(f"{text!r} was not seen. The screen:\n" + "\n".join(self._screen.display))

    def until_prompt(self) -> None:
        """Watches until the shell asks for the next command."""
        waited = 0.0
        while PROMPT not in self._said:
            self.look(CHUNK_SECONDS * 5)
            waited += CHUNK_SECONDS * 5
            if waited > LONGEST_SECONDS:
                raise TimeoutError("the shell did not come back. The screen:\n" + "\n".join(self._screen.display))
        self.look(READ_SECONDS)


def tries(walk: Walk) -> None:
    """Candidates added, mistyped, combined, run, compared, sorted and filtered."""
    walk.line("speedtui", "speedtui")
    walk.until("waiting")
    walk.look(READ_SECONDS)
    walk.key("a", "a candidate", until="Add a candidate")
    walk.key(CLEAR_LINE, look=0.3)
    walk.keys("train.micro_batch_sze = 1")
    walk.until("did you mean")
    walk.look(READ_SECONDS)
    walk.key(CLEAR_LINE, look=0.3)
    walk.keys("train.micro_batch_size = 1")
    walk.until("effective batch 16")
    walk.key(ENTER, until="mb1 ga16")
    walk.key("A", "a grid", until="Add a grid")
    walk.key(CLEAR_LINE, look=0.3)
    walk.keys("train.learning_rate = 1e-3, 4e-3")
    walk.until("2 candidates")
    walk.key(ENTER, until="7 waiting")
    walk.key("r", "one trial", until="1 ok", look=READ_SECONDS)
    walk.key("R", "all trials")
    walk.key("1", "the Monitor of a study", look=READ_SECONDS)
    walk.key("2", "Trials")
    walk.until("○ idle")
    walk.look(READ_SECONDS)
    walk.key(" ", "compare", look=0.4)
    walk.key(" ", look=0.4)
    walk.key("m", until="Compare 2", look=READ_SECONDS)
    walk.key(ESCAPE, look=0.5)
    walk.key(ESCAPE)
    walk.key("o", "sort", until="sort")
    walk.key("/", "filter", look=0.4)
    walk.keys("mb8")
    walk.key(ENTER)
    walk.key(ESCAPE)


def plans(walk: Walk) -> None:
    """Profiles measured and switched, a schedule with its finish, the next run written down and started."""
    walk.key("3", "Plan", until="Next run")
    walk.key("R", "plan", until="planning")
    walk.until("R plan again")
    walk.look(READ_SECONDS)
    walk.key("p", "profiles", until="Profile of the next run")
    for _ in range(4):
        walk.key(UP, look=0.3)
    for _ in range(4):
        walk.key(DOWN)
    for _ in range(3):
        walk.key(UP, look=0.4)
    walk.key(ENTER, "the next run takes fast", until="● fast", look=READ_SECONDS)
    walk.key(ENTER, "epochs", until="epochs =")
    walk.key(CLEAR_LINE, look=0.3)
    walk.keys("epochs = 30")
    walk.key(ENTER, until="30▸")
    walk.key(DOWN, look=0.4)
    walk.key(RIGHT, "the next run's evaluations", look=0.5)
    walk.key(RIGHT)
    walk.key("g", "what still fits", until="most", look=READ_SECONDS)
    walk.key(ESCAPE)
    walk.key("w", "written down", until="Written for the next run", look=READ_SECONDS)
    walk.key(ENTER)
    walk.key("p", until="Profile of the next run")
    walk.key("t", "train", until="loading")


def trains(walk: Walk) -> None:
    """The Monitor: deadline, phases, commands, the schedule of the run in progress."""
    walk.until("MEASURING")
    walk.until("steps/h")
    walk.until("spare")
    walk.look(READ_SECONDS * 2)
    walk.key("e", "evaluate now", until="evaluate", look=READ_SECONDS)
    walk.key("c", "save now", until="checkpoint", look=READ_SECONDS)
    walk.key("m", "a mark", until="Mark this moment")
    walk.keys("checkpoint here")
    walk.key(ENTER, until="marked")
    walk.key(" ", "pause", until="paused", look=READ_SECONDS)
    walk.key(" ", "go on", until="training")
    walk.key("x", "the last ten minutes")
    walk.key("x", "the last minute")
    walk.key("x", look=0.4)
    walk.key("S", "the schedule", until="eval_every")
    walk.key(CLEAR_LINE, look=0.3)
    walk.keys("eval_every = 100 steps")
    walk.key(ENTER, until="Change which run")
    walk.key("t", "of this run", until="every 100 steps", look=READ_SECONDS)
    walk.key("4", "Advisor", look=READ_SECONDS)
    walk.key("?", "help", look=READ_SECONDS)
    walk.key("?", look=0.4)
    walk.key("1", look=0.4)
    walk.key("5", "runs", until="Runs", look=READ_SECONDS)
    walk.key(ESCAPE, look=0.4)


def comes_back(walk: Walk) -> None:
    """Left, attached again, stopped safely."""
    walk.key("q", "leave", until="detach")
    walk.key("d", "detach")
    walk.until_prompt()
    walk.line("speedtui attach", "attach")
    walk.until("ON TRACK")
    walk.look(READ_SECONDS * 2)
    walk.key("s", "stop safely", until="go on")
    walk.key("s", "stop safely", until="STOPPED", look=READ_SECONDS)
    walk.key("q")
    walk.until_prompt()


def headless(walk: Walk) -> None:
    """The same job without a screen: what would not be done in time ends while there is time to save."""
    walk.line(
        "clear; speedtui train --config runs/*tune*/next.toml --window 25s --margin 2s --json | cut -c 1-90", "json"
    )
    walk.until_prompt()


def replays(walk: Walk) -> None:
    """A recorded run, faster, ahead, held and to its end."""
    walk.line("clear; speedtui replay $(ls runs | grep train | head -n 1) --speed 4", "replay")
    walk.until("training")
    walk.look(READ_SECONDS)
    walk.key("+", "faster")
    walk.key("L", "ahead", look=0.5)
    walk.key("L")
    walk.key(" ", "held", until="paused")
    walk.key(" ", look=0.5)
    walk.key("\x1b[F", "its end", until="STOPPED", look=READ_SECONDS)
    walk.key("q")
    walk.until_prompt()


def record(folder: Path) -> Cast:
    """The whole way, in an empty folder with a data file and a configuration."""
    write_corpus(folder / "train.jsonl", TRAIN_ROWS, seed=1)
    write_corpus(folder / "eval.jsonl", EVAL_ROWS, seed=2)
    (folder / "speedtui.toml").write_text(CONFIG, encoding="utf-8")
    os.chdir(folder)
    path = f"{Path(SPEEDTUI).parent}:{os.environ['PATH']}"
    shell = ["/bin/bash", "--norc", "--noprofile"]
    terminal = Terminal(shell, COLUMNS, ROWS, {"TERM": TERM, "PS1": PROMPT, "PATH": path, "HISTFILE": ""})
    try:
        walk = Walk(terminal)
        walk.until(PROMPT.strip())
        walk.line("cat speedtui.toml", "the configuration")
        walk.until_prompt()
        for stretch in (tries, plans, trains, comes_back, headless, replays):
            stretch(walk)
    finally:
        terminal.kill()
        end_workers(folder / "runs")
    return walk.cast


def recorded(root: Path) -> Cast:
    """In a folder of its own, without the place of this repository in it."""
    work = root / "finetune"
    work.mkdir()
    cast = record(work)
    cast.events = [(moment, kind, text.replace(REPOSITORY, SHOWN_FOLDER)) for moment, kind, text in cast.events]
    return cast


if __name__ == "__main__":
    sys.exit(record_into(sys.argv[1:], __doc__, recorded, TITLE))
