"""The runs that are open on this screen: the one in front, the one whose trials are listed, the one that plans."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from speedtui.engine.runs import RunFolder
from speedtui.engine.session.base import Session
from speedtui.tui.runs.open_run import OpenRun


class OpenRuns:
    """Holds the sessions that are followed; each runs in a thread of its own, started by `follow`."""

    def __init__(
        self, session: Session, follow: Callable[[OpenRun], None], *, read_only: bool = False
    ) -> None:  # fmt: skip
        """`follow` starts a thread that runs the session; `read_only`: nobody follows commands of the first run."""
        self._follow = follow
        self.front = OpenRun(session, read_only=read_only)
        """The run on the Monitor."""
        self.study = self.front
        """The run whose trials are listed: the front one, or the study that it was promoted from."""
        self.planning: OpenRun | None = None
        """The run that makes the plan on the Plan; None while the front run's own plan is shown."""
        self.open: list[OpenRun] = [self.front]
        """In the order in which they were opened; those that only plan are not among them."""

    @property
    def all(self) -> list[OpenRun]:
        """Every one that is followed, once each."""
        others = [self.planning] if self.planning is not None else []
        return list(dict.fromkeys([*self.open, self.front, self.study, *others]))

    def start(self) -> None:
        """Follows the first one."""
        self._follow(self.front)

    def add(self, session: Session, *, keep_study: bool = False, read_only: bool = False) -> OpenRun:
        """Brings another run to the front; `keep_study`: the trials listed stay those of the study before;
        `read_only`: nobody follows commands of it."""
        following = OpenRun(session, read_only=read_only)
        self.open.append(following)
        self._follow(following)
        self.bring(following, keep_study=keep_study)
        return following

    def bring(self, following: OpenRun, *, keep_study: bool = False) -> None:
        """Shows an open run."""
        self.front = following
        if not keep_study:
            self.study = following
        self.planning = None

    def step(self, by: int) -> None:
        """The next open run, or the previous one."""
        at = self.open.index(self.front)
        self.bring(self.open[(at + by) % len(self.open)])

    def close(self, following: OpenRun) -> None:
        """Lets an open run go, which goes on without this screen; the one before it comes to the front.

        The last open one stays: a screen shows a run.
        """
        if len(self.open) == 1:
            return
        at = self.open.index(following)
        self.open.remove(following)
        following.session.detach()
        if self.front is following:
            self.bring(self.open[max(0, at - 1)])
        elif self.study is following:
            self.study = self.front

    @property
    def own(self) -> OpenRun | None:
        """A run that was started from here and goes on: what becomes of it is asked before the screen is left."""
        mine = [one for one in (self.front, *self.open) if one.own and not one.ended]
        return next((one for one in mine if one.state().status.busy), mine[0] if mine else None)

    def plan(self, session: Session) -> OpenRun:
        """Follows a run that makes a plan; the one before is let go."""
        if self.planning is not None and not self.planning.ended:
            self.planning.session.detach()
        self.planning = OpenRun(session)
        self._follow(self.planning)
        return self.planning

    def opened(self, folder: RunFolder) -> OpenRun | None:
        """The open one that shows this run."""
        path = folder.path.resolve()
        return next((one for one in self.open if Path(one.session.folder.path).resolve() == path), None)

    def let_go(self) -> None:
        """However the screen ends, sessions that still run are let go, so that their threads return."""
        for following in self.all:
            if not following.ended:
                following.session.detach()
