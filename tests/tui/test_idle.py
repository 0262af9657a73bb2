"""What a pilot waits for is all that a key brings about, by whatever way, and it is drawn."""

from __future__ import annotations

import asyncio
import threading
from typing import ClassVar

from textual.app import App, ComposeResult
from textual.widgets import Label

LINKS = 40


class Chained(App[None]):
    """A key that leads to another thing again and again: by messages, after drawing, from a task and from a thread."""

    BINDINGS: ClassVar = [("c", "chain", "")]

    def __init__(self) -> None:
        super().__init__()
        self.done: list[str] = []
        self.may_end = threading.Event()

    def compose(self) -> ComposeResult:
        yield Label("begun", id="last")

    async def action_chain(self, link: int = 0) -> None:
        if link < LINKS:
            self.done.append(str(link))
            ways = (self.call_later, self.call_after_refresh, self.call_next, self.screen.call_later)
            ways[link % len(ways)](self.action_chain, link + 1)
            return
        await self.query_one("#last").remove()
        await self.screen.mount(Label("ended", id="last"))
        self.run_worker(self.by_a_task(), exit_on_error=False)
        self.run_worker(self.by_a_thread, thread=True, exit_on_error=False)

    async def by_a_task(self) -> None:
        await asyncio.to_thread(self.may_end.wait)
        self.done.append("task")

    def by_a_thread(self) -> None:
        self.may_end.wait()
        self.call_from_thread(self.done.append, "thread")


async def test_a_key_is_waited_for_to_its_last_consequence() -> None:
    app = Chained()
    app.may_end.set()
    async with app.run_test(size=(40, 10)) as pilot:
        await pilot.press("c")
        assert app.done[:LINKS] == [str(link) for link in range(LINKS)]
        assert {"task", "thread"} <= set(app.done)
        assert "ended" in "".join(segment.text for line in app.screen._compositor.render_strips() for segment in line)


async def test_a_new_size_is_taken_up() -> None:
    app = Chained()
    async with app.run_test(size=(40, 10)) as pilot:
        for width in (50, 60, 70):
            await pilot.resize_terminal(width, 20)
            await pilot.pause()
            assert app.screen.size == (width, 20)
            assert app.query_one("#last").region.y == 0
