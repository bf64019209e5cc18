"""What every command shows with: the consoles, tables, durations, and progress of a run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from assets.progress import Progress as News
from assets.progress import Reporter

console = Console()
errors = Console(stderr=True)


def table(title: str, *columns: str, right: tuple[str, ...] = ()) -> Table:
    """An empty table; ``right`` names the columns of numbers."""
    made = Table(title=title, title_justify="left", title_style="bold", header_style="bold")
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return made


def mark(is_ok: bool | None) -> str:
    """A word, not only a colour. None is good to know, neither right nor wrong."""
    if is_ok is None:
        return "[dim]info[/]"
    return "[green]ok[/]" if is_ok else "[bold red]failed[/]"


@contextmanager
def showing_progress() -> Iterator[Reporter]:
    """A reporter that shows one bar per step; without a terminal, one line per step."""
    if not errors.is_terminal:
        yield _one_line_per_step()
        return
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.fields[step]}", style="bold"),
        BarColumn(bar_width=20),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        console=errors,
        transient=True,
    ) as bars:
        tasks: dict[str, int] = {}

        def report(news: News) -> None:
            if news.step not in tasks:
                for finished in tasks.values():
                    bars.update(bars.task_ids[finished], visible=False)
                tasks[news.step] = len(tasks)
                bars.add_task("", step=news.step, total=None)
            bars.update(
                bars.task_ids[tasks[news.step]],
                description=escape(news.detail),
                completed=news.done,
                total=news.total or None,
            )

        yield report


def _one_line_per_step() -> Reporter:
    told: set[str] = set()

    def report(news: News) -> None:
        if news.step not in told:
            told.add(news.step)
            errors.print(f"{news.step}: {news.detail}".rstrip(": "), markup=False, highlight=False)

    return report
