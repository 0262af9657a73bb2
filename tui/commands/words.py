"""Plain progress lines: what happened, and every few seconds how far the training is and when it will be done."""

from __future__ import annotations

import time
from datetime import datetime

from speedtui.engine import events as e
from speedtui.engine.clean import clean
from speedtui.engine.output import say
from speedtui.engine.plan_types import Advice
from speedtui.engine.state.evaluations_checkpoints import ToldLever
from speedtui.engine.state.event_words import describe
from speedtui.engine.state.wall import WallFollower
from speedtui.engine.units import format_figure, format_seconds, format_span, zone_beside

STEP_LINE_SECONDS = 5.0
"""Between two plain lines about a training."""
PROGRESS_LINE_SECONDS = 2.0
"""Between two about anything else that takes long."""
STILL_LINE_SECONDS = 30.0
"""Between two that say the same: something is still at work, and got no further."""
HOUR = 3600.0


class Words:
    """Turns events into lines on stdout, each opened by its time of day."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._wall = WallFollower(time.time())
        self._training: e.TrainingStarted | None = None
        self._total_steps = 0
        self._step = 0
        self._eta: e.EtaUpdated | None = None
        self._verdict: e.Verdict | None = None
        self._lever: Advice | None = None
        self._next_line: dict[str, float] = {}
        self._told = ToldLever()
        self._at: dict[str, tuple[str, float]] = {}
        """How far each thing was told to be, and when."""

    def write(self, line: bytes, event: e.AnyEvent) -> None:
        """Writes the event's line, if it has one that is due."""
        text = self.text(event)
        if text is not None and not self._quiet:
            say(clean(f"{datetime.fromtimestamp(self._wall.at(event.t)):%H:%M:%S} {text}"))

    def text(self, event: e.AnyEvent) -> str | None:
        """The event's line without the time; None for one that has none or is not due."""
        self._wall.see(event)
        match event:
            case e.TrainingStarted():
                self._training, self._total_steps, self._step = event, event.total_steps, event.first_step
            case e.TrainingFinished():
                self._training = None
            case e.LeversFound():
                self._lever = next((lever for lever in event.levers if lever.kind != "not_finite"), None)
            case e.EtaUpdated():
                return self._estimated(event)
            case e.ProgressMade():
                return self._progress(event)
            case e.StepCompleted():
                return self._stepped(event)
            case e.SettingsChanged():
                last_step = event.values.get("train.max_steps")
                self._total_steps = last_step if isinstance(last_step, int) else self._total_steps
        described = describe(event)
        if self._told.again(event) or described is None:
            return None
        level, text = described
        return text if level == "info" else f"{level}: {text}"

    def _due(self, what: str, seconds: float) -> bool:
        now = time.monotonic()
        if now < self._next_line.get(what, 0.0):
            return False
        self._next_line[what] = now + seconds
        return True

    def _progress(self, event: e.ProgressMade) -> str | None:
        """In a training with the position and the finish, since an evaluation may take longer than many steps."""
        training = self._training is not None and self._step > 0
        if not self._due("step" if training else event.what, STEP_LINE_SECONDS if training else PROGRESS_LINE_SECONDS):
            return None
        done = f"{event.what}: {event.done / event.total:.0%} of {event.total}" if event.total else event.what
        if event.left_seconds is not None:
            done += f", done {self._clock(event.t, event.left_seconds)}, in about {format_span(event.left_seconds)}"
        if training:
            return "  ".join([self._position(), done, *self._outlook(event.t)])
        now, (before, told_at) = time.monotonic(), self._at.get(event.what, ("", 0.0))
        if done == before and now - told_at < STILL_LINE_SECONDS:
            return None
        self._at[event.what] = done, now
        return done

    def _stepped(self, event: e.StepCompleted) -> str | None:
        if event.trial is not None:
            return None
        self._step = event.step
        if not self._due("step", STEP_LINE_SECONDS):
            return None
        loss = "not finite" if event.nonfinite else format_figure(event.loss)
        seconds = event.seconds / event.steps
        measured = self._eta.steps_per_hour if self._eta is not None else None
        rate = measured if measured is not None else HOUR / seconds if seconds > 0 else None
        pace = [f"{rate:,.0f} steps/h"] if rate is not None else []
        return "  ".join(
            [self._position(), f"loss {loss}", f"{format_seconds(seconds)}/step", *pace, *self._outlook(event.t)]
        )

    def _position(self) -> str:
        share = f" {self._step / self._total_steps:.0%}" if self._total_steps else ""
        return f"step {self._step}/{self._total_steps}{share}"

    def _outlook(self, t: float) -> list[str]:
        """Elapsed and what is known of the finish, at the run's time `t`."""
        pieces = [f"elapsed {format_span(t)}"]
        eta = self._eta
        if eta is None or eta.p50_seconds is None:
            return pieces
        remaining = max(eta.p50_seconds - (t - eta.t), 0.0)
        pieces += [f"remaining {format_span(remaining)}", f"done {self._clock(t, remaining)}"]
        return [*pieces, verdict_words(eta, self._lever)] if eta.verdict is not None else pieces

    def _clock(self, t: float, remaining: float) -> str:
        """Time of day of the finish, with the day where it is another one."""
        at, of = self._wall.at(t), self._wall.at(t + remaining)
        now, finish = datetime.fromtimestamp(at), datetime.fromtimestamp(of)
        form = "%H:%M" if finish.date() == now.date() else "%a %H:%M"
        return f"{finish:{form}}{zone_beside(of, at)}"

    def _estimated(self, event: e.EtaUpdated) -> str | None:
        """A line at once where the verdict is another one."""
        self._eta = event
        if event.verdict in (None, "measuring", self._verdict):
            return None
        self._verdict = event.verdict
        if event.verdict != "late":
            self._lever = None
        done = f", done {self._clock(event.t, event.p50_seconds)}" if event.p50_seconds is not None else ""
        text = f"now {verdict_words(event, None)}{done}"
        return text if event.verdict == "on_track" else f"warning: {text}"


def verdict_words(eta: e.EtaUpdated, lever: Advice | None) -> str:
    """`ON TRACK, 27m 10s to spare`; where it is late, what would help most."""
    word = str(eta.verdict).replace("_", " ").upper() if eta.verdict != "measuring" else "measuring"
    spare = eta.spare_seconds
    if spare is None or eta.verdict == "measuring":
        return word
    if eta.verdict != "late":
        return f"{word}, {format_span(spare)} to spare" if spare >= 0 else f"{word}, {format_span(-spare)} over"
    gain = f" saves {format_span(lever.gain_seconds)}" if lever is not None and lever.gain_seconds else ""
    return f"{word} by {format_span(max(-spare, 0.0))}" + (f": {lever.lever}{gain}" if lever is not None else "")
