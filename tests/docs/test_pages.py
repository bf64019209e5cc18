"""Pages and program do not drift apart: links lead somewhere, commands and targets exist, every command and key has its page."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from pydantic import BaseModel

from orchestration.cli.app import app
from resources.connectors.sdk import feed
from tests.docs.how_to import steps

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")]
)
COMMAND = typer.main.get_command(app)


def _children(command: Any) -> dict[str, Any]:
    """Commands below a group; none of a command that does something."""
    children: dict[str, Any] = getattr(command, "commands", {})
    return children


def _id(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _slug(heading: str) -> str:
    """The anchor that a heading gets."""
    return re.sub(r"[^\w\- ]", "", heading.replace("`", "").strip().lower()).replace(" ", "-")


def _prose(text: str) -> str:
    """A page without its code blocks."""
    return re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=_id)
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for target in re.findall(r"\[[^\]]*\]\(([^)\s]+)\)", _prose(page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        linked = (page.parent / name).resolve() if name else page
        if not linked.exists():
            broken.append(target)
        elif anchor and linked.suffix == ".md":
            headings = re.findall(r"^#+ (.+)$", _prose(linked.read_text(encoding="utf-8")), re.MULTILINE)
            if anchor not in map(_slug, headings):
                broken.append(target)
    assert broken == []


def test_every_page_is_linked_from_the_readme() -> None:
    """Decisions have an index of their own."""
    linked = re.findall(r"\]\((docs/[^)#]+\.md)\)", (ROOT / "README.md").read_text(encoding="utf-8"))
    pages = {_id(page) for page in PAGES if page.is_relative_to(ROOT / "docs")}
    assert {page for page in pages if not page.startswith("docs/decisions/")} - set(linked) == set()
    index = (ROOT / "docs" / "decisions" / "README.md").read_text(encoding="utf-8")
    assert [page.name for page in (ROOT / "docs" / "decisions").glob("0*.md") if f"]({page.name})" not in index] == []


def _commands(text: str) -> Iterator[list[str]]:
    """The words after `etalon` in each command that a page names, in code spans and in blocks."""
    spans = re.findall(r"`(etalon [^`\n]+)`", _prose(text))
    lines = [
        line
        for block in re.findall(r"^```\w*\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
        for line in block.splitlines()
    ]
    written = re.findall(r"^(?:\.venv/bin/)?(etalon .+)$", "\n".join(lines), re.MULTILINE)
    for command in [*spans, *written]:
        yield shlex.split(command.partition(" #")[0].rstrip(";"))[1:]


@pytest.mark.parametrize("page", PAGES, ids=_id)
def test_commands_exist_with_their_options(page: Path) -> None:
    for words in _commands(page.read_text(encoding="utf-8")):
        command, rest = COMMAND, list(words)
        while _children(command) and rest and not rest[0].startswith("-"):
            assert rest[0] in _children(command), f"there is no command `etalon {' '.join(words)}`"
            command = _children(command)[rest.pop(0)]
        options = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)} | {
            "--help"
        }
        unknown = {word.partition("=")[0] for word in rest if word.startswith("--")} - options
        assert not unknown, f"`etalon {' '.join(words)}` has no {', '.join(sorted(unknown))}"


def _leaves(command: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Every command that does something, by its words."""
    for child, below in _children(command).items():
        yield from _leaves(below, f"{name} {child}".strip())
    if not _children(command):
        yield name, command


def test_every_command_is_on_a_page() -> None:
    named = {" ".join(words) for page in PAGES for words in _commands(page.read_text(encoding="utf-8"))}
    assert [
        leaf for leaf, _ in _leaves(COMMAND) if not any(f"{words} ".startswith(f"{leaf} ") for words in named)
    ] == []


def test_every_command_shows_an_example() -> None:
    assert [leaf for leaf, command in _leaves(COMMAND) if f"etalon {leaf}" not in (command.help or "")] == []


@pytest.mark.parametrize("page", PAGES, ids=_id)
def test_make_targets_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    text = page.read_text(encoding="utf-8")
    named = set(re.findall(r"`make ([a-z]+)", text)) | set(re.findall(r"^make ([a-z]+)", text, re.MULTILINE))
    assert named <= targets


def test_every_key_of_a_feed_is_explained() -> None:
    text = (ROOT / "docs" / "feeds.md").read_text(encoding="utf-8")
    words = set(re.findall(r"\w+", " ".join(re.findall(r"`([^`\n]+)`", text))))
    models = [model for model in vars(feed).values() if isinstance(model, type) and issubclass(model, BaseModel)]
    assert {name for model in models for name in model.model_fields} - words == set()


def test_how_to_blocks_are_marked_as_the_test_reads_them() -> None:
    """A marker with a spelling mistake would be skipped in silence."""
    for page in (ROOT / "docs" / "how-to").glob("*.md"):
        text = page.read_text(encoding="utf-8")
        assert len(re.findall(r"^<!--", text, re.MULTILINE)) == len(list(steps(text))), page.name
