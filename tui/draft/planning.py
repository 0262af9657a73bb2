"""What is done with the next run: profiles taken, values typed, goals sought, written, saved, planned again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from speedtui.engine.config.paths import setting_paths, value_at
from speedtui.engine.config.settings import Scalar
from speedtui.engine.config.typed import typed_setting
from speedtui.engine.errors import SpeedtuiError
from speedtui.engine.profile.profile import ALLOWED_SETTINGS, ALLOWED_TABLES, EFFECTIVE_BATCH, MICRO_BATCH, Baseline
from speedtui.tui.draft.draft import WHERE, Draft, Value, laid_over
from speedtui.tui.draft.fields import DraftField
from speedtui.tui.draft.front_draft import change, draft_editor, look
from speedtui.tui.draft.next_run import NextRun
from speedtui.tui.draft.schedule_edit import train_command, write_next
from speedtui.tui.notifications import tell_error
from speedtui.tui.protocols import AppUse, ShownRuns
from speedtui.tui.screens.confirm import Question, QuestionChoice, say
from speedtui.tui.values import Edited, ParseLines, format_value, value_words

GOAL_KEYS = {"evals": "v", "epochs": "p", "steps": "s"}
GOAL_LABELS = {"evals": "most evaluations", "epochs": "most epochs", "steps": "most steps"}


def set_values(app: AppUse, values: Mapping[str, Value]) -> None:
    """Edits these settings by path."""
    change(app, lambda draft: draft.edit(values))


def take_option(app: AppUse, name: str) -> None:
    """The next run takes a profile, a trial's settings, or its own again."""
    shown = look(app)
    line = next((one for one in shown.lines if one.option.name == name), None) if shown is not None else None
    if line is None:
        return
    profile = "" if line.option.kind == "run" else name
    change(app, lambda draft: draft.take(profile, line.option.values))


def type_value(app: AppUse, field: DraftField) -> None:
    """Asks for a value, checked while it is typed."""
    # Imported when it is needed: input fields take 30 ms that the first paint need not wait for.
    from speedtui.tui.screens.edit import EditScreen

    editor = draft_editor(app)
    if editor.draft is None:
        return
    value = value_at(editor.draft.settings, field.path)
    line = f"{field.path} = {'' if value is None else format_value(value)}".rstrip()

    def edited(values: dict[str, Scalar] | None) -> None:
        if values is not None:
            set_values(app, {path: value if value != "" else None for path, value in values.items()})

    app.push_screen(EditScreen("Of the next run", [line], draft_check(editor.draft), setting_paths()), edited)


def draft_check(draft: Draft) -> ParseLines:
    """Reads `setting = value` lines as edits of the draft, with the configuration's own messages."""

    def check(lines: Sequence[str]) -> Edited:
        values = dict(typed_setting(line, WHERE) for line in lines if line.strip())
        edited = draft.edit(values)
        before, after = draft.settings, edited.settings
        changed = [
            f"{path} {value_words(value_at(before, path))} → {value_words(value_at(after, path))}"
            for path in values
            if value_at(before, path) != value_at(after, path)
        ]
        # An empty text stands for a setting that is taken away: the dialog's values are never None.
        taken = {path: "" if value is None else value for path, value in values.items()}
        return Edited(taken, ", ".join(changed) or "as it is now: nothing is changed")

    return check


def seek_goal(app: AppUse) -> None:
    """Asks what there is to be the most of; takes it."""
    shown = look(app)
    goals = [goal for goal in shown.goals if goal.values] if shown is not None else []
    if not goals:
        app.notify(_no_goal(shown), severity="warning")
        return

    def chosen(answer: str | None) -> None:
        for goal in goals:
            if goal.what == answer:
                set_values(app, goal.values)

    choices = [QuestionChoice(goal.what, GOAL_KEYS[goal.what], GOAL_LABELS[goal.what], goal.text) for goal in goals]
    app.push_screen(Question("The most that still fits", "Everything else stays as it is.", choices), chosen)


def _no_goal(shown: NextRun | None) -> str:
    if shown is None or shown.estimate is None:
        return "Nothing is known of the next run's time yet: R plans it."
    if shown.window is None:
        return "There is no window to fit into: set `finish by` first."
    return "Nothing fits this window any more: shorten the run, or lengthen the window."


def write(app: AppUse) -> None:
    """Writes the next run's configuration, and says where it is and what trains with it."""
    path = written(app)
    if path is not None:
        app.push_screen(say("Written for the next run", f"{path}\nTrain with it:\n{train_command(path)}"))


def written(app: AppUse, *, always: bool = False) -> Path | None:
    """The file with the next run's configuration; None where there is nothing to write or it cannot be.

    `always`: even where it is the same as this run's.
    """
    shown = look(app)
    if shown is None:
        app.notify("There is no configuration yet.", severity="warning")
        return None
    draft = shown.draft
    if not draft.diff() and not always:
        app.notify("Nothing is changed: the next run is like this one.")
        return None
    try:
        app.front.session.folder.require_obeyed()
        return write_next(app.front.session.folder.path, draft.base, draft.values(), note=_note(app, draft))
    except SpeedtuiError as error:
        tell_error(app, error)
        return None


def _note(app: ShownRuns, draft: Draft) -> str:
    """What the file differs in."""
    run = app.front.state().run or app.front.session.folder.path.name
    profile = f", with {draft.profile}" if draft.profile else ""
    lines = [f"{path}: {value_words(before)} -> {value_words(after)}" for path, before, after in draft.diff()]
    return "\n".join([f"The run after {run}{profile}. It differs from it in:", *(f"  {line}" for line in lines)])


def save_as_profile(app: AppUse) -> None:
    """Asks for a name and keeps the next run's settings under it."""
    from speedtui.tui.candidates.saving import check_name, keep_profile
    from speedtui.tui.screens.name import NameScreen

    shown = look(app)
    if shown is None:
        return

    def named(name: str | None) -> None:
        values, baseline = profile_values(shown.draft), _baseline(app, shown)
        if name is not None and keep_profile(app, name, _description(app, shown), values, baseline):
            draft_editor(app).read_profiles()
            app.drawing.now()

    app.push_screen(NameScreen("Save the next run's settings as a profile", check_name), named)


def _description(app: ShownRuns, shown: NextRun) -> str:
    return f"made after run {app.front.state().run}" + (f" from {shown.draft.profile}" if shown.draft.profile else "")


def profile_values(draft: Draft) -> dict[str, Scalar]:
    """What differs and a profile can say, with both batch sizes: neither is to follow from another run's."""
    train = draft.settings.train
    sizes: dict[str, Scalar] = {EFFECTIVE_BATCH: train.effective_batch_size, MICRO_BATCH: train.micro_batch_size}
    allowed = {
        path: value
        for path, value in draft.values().items()
        if value is not None and (path.partition(".")[0] in ALLOWED_TABLES or path in ALLOWED_SETTINGS)
    }
    return {**sizes, **allowed}


def _baseline(app: ShownRuns, shown: NextRun) -> Baseline:
    """What was measured with these settings."""
    option, devices = shown.option, app.front.state().devices
    if option is None or not option.measured:
        return Baseline()
    return Baseline(
        tokens_per_second=option.tokens_per_second, memory_bytes=option.peak_bytes,
        device=devices[0].name if devices else "",
    )  # fmt: skip


def plan_again(app: AppUse) -> None:
    """Plans the next run's settings; asks whether to measure where the device is free."""
    if app.options.plan is None:
        app.notify("No plan can be made from here: `speedtui plan` makes one.", severity="warning")
        return
    planning = app.runs.planning
    if (planning is not None and not planning.ended) or (app.front.state().job == "plan" and not app.front.ended):
        app.notify("A plan is being made already.")
        return
    if not app.front.ended:
        start_plan(app, measure=False)
        app.notify("This run has the device: the plan rests on earlier runs and predictions.")
        return

    def answered(answer: str | None) -> None:
        if answer is not None:
            start_plan(app, measure=answer == "measure")

    app.push_screen(
        Question("Plan the next run", "Each profile is resolved against this device, the data and the window.", [
            QuestionChoice("measure", "m", "measure", "probe each profile: takes the device for some minutes"),
            QuestionChoice("predict", "n", "do not measure", "rest on earlier runs and predictions: takes seconds"),
        ]),
        answered,
    )  # fmt: skip


def start_plan(app: AppUse, *, measure: bool) -> None:
    """Starts it beside the run in front."""
    shown = look(app)
    if shown is None or app.options.plan is None:
        return
    draft = shown.draft
    try:
        session = app.options.plan(laid_over(draft.base, draft.layers.edits), measure)
    except SpeedtuiError as error:
        tell_error(app, error)
        return
    app.runs.plan(session)
    app.drawing.now()
