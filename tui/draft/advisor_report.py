"""The Advisor as a file: report.md beside the run."""

from __future__ import annotations

from speedtui.engine.advise.strategy import AdvisorStrategy
from speedtui.engine.clean import clean, clean_lines
from speedtui.engine.errors import RunFolderError
from speedtui.engine.files import write_whole
from speedtui.tui.draft.front_draft import difference
from speedtui.tui.drawing.text import clock
from speedtui.tui.frame import Frame
from speedtui.tui.panes.advisor_detail import change_text
from speedtui.tui.panes.advisor_pane import AdvisorPicture, state_span
from speedtui.tui.panes.advisor_table import evidence_text, peak_text, saves_text, speed_text
from speedtui.tui.protocols import AppUse

REPORT = "report.md"
HEAD = ("strategy", "change", "speed-up", "peak", "risk", "evidence", "saves", "state")


def write_report(app: AppUse, frame: Frame, shown: AdvisorPicture) -> None:
    """Writes it beside the run in front and says where, or says why not."""
    path = app.front.session.folder.path / REPORT
    try:
        app.front.session.folder.require_obeyed()
        write_whole(path, report_text(frame, shown, difference(app)))
    except RunFolderError as error:
        app.notify(error.in_one, severity="error")
    except OSError as error:
        app.notify(f"{path}: cannot be written: {error.strerror or error}", severity="error")
    else:
        app.notify(f"Written: {path}")


def report_text(frame: Frame, shown: AdvisorPicture, following: str) -> str:
    """Markdown: diagnosis, the strategies as a table, what was measured together, and what the next run takes.

    `following`: that as lines of the configuration file; empty where it has the same settings.
    """
    run, found = frame.run, shown.diagnosis
    parts = [clean(f"# Advice on run {run.run}, {clock(run.now, run.started_at)}")]
    if found.bottleneck:
        facts = (
            f"bottleneck: {found.bottleneck}" + (f" ({found.reason})" if found.reason else ""), ", ".join(found.shares),
            f"waste: {', '.join(found.waste)}" if found.waste else "", found.headroom, ", ".join(found.limit),
            f"from {found.basis}" if found.basis else "",
        )  # fmt: skip
        parts.append("\n".join(clean(f"- {fact}") for fact in facts if fact))
    parts.append("\n".join([_cells(HEAD), _cells(["---"] * len(HEAD)), *(_strategy(one, shown) for one in shown.rows)]))
    if shown.advised.stack:
        parts.append("## Measured together\n\n" + "\n".join(_stack(shown)))
    parts.append("## The next run\n\n" + (f"```toml\n{following}\n```" if following else "The same settings."))
    return clean_lines("\n\n".join(parts)) + "\n"


def _strategy(strategy: AdvisorStrategy, shown: AdvisorPicture) -> str:
    return _cells([
        strategy.name, f"`{change_text(strategy)}`", speed_text(strategy), peak_text(strategy), strategy.risk,
        evidence_text(strategy), saves_text(strategy), state_span(strategy, shown).text,
    ])  # fmt: skip


def _cells(texts: tuple[str, ...] | list[str]) -> str:
    return "| " + " | ".join(clean(text).replace("|", "\\|") for text in texts) + " |"


def _stack(shown: AdvisorPicture) -> list[str]:
    rows = [_cells(["configuration", "seconds a step", "beside the first", "trial"]), _cells(["---"] * 4)]
    for step in shown.advised.stack:
        ratio = f"{step.gain.ratio:.2f}×" if step.gain is not None else "1.00×"
        name = f"+ {', '.join(step.added)}" if step.added else step.label
        rows.append(_cells([name, f"{step.step_seconds:.3f}", ratio, f"#{step.trial}"]))
    return rows
