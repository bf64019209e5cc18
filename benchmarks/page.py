"""Puts the figures of a JSON file into docs/benchmarks.md, between its markers, and draws cost against size beside it."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from benchmarks.machine import COMMIT
from benchmarks.results import told_of_goal

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
CHART = Path("images") / "cost-against-size.svg"
_PAGE = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"
_OURS, _THEIRS = "Étalon", "baseline"
_OURS_COLOUR = "#1d4ed8"
_COLOURS = (
    "#f59e0b",
    "#dc2626",
    "#16a34a",
    "#9333ea",
    "#0891b2",
    "#a16207",
    "#db2777",
    "#65a30d",
    "#57534e",
    "#ea580c",
)


def page_with(text: str, document: Mapping[str, Any], *, has_chart: bool) -> str:
    """The page's text with the measured part made anew. Raises ValueError without its two markers."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page needs the lines {BEGIN} and {END}")
    return "".join([before, BEGIN, "\n\n", measured_part(document, has_chart=has_chart), "\n", END, after])


def measured_part(document: Mapping[str, Any], *, has_chart: bool) -> str:
    """Machine, goals, figures, chart and what was measured when, as Markdown."""
    parts = [
        "Machine: " + ", ".join(f"{name} {value}" for name, value in document["machine"].items()) + ".",
        "### Goals\n\n" + _table(("what", "size", "goal", "reached", ""), _goals(document["lines"])),
        "### Figures\n\n"
        + _table(
            ("what", "size", "rows", "CPU-s", "rows/CPU-s", "wall s", "peak MB", "CPU, times ours"),
            [row for line in document["lines"] for row in _figures(line)],
            right_from=2,
        ),
    ]
    if has_chart:
        parts.append(f"### Cost against size\n\n![CPU-seconds against rows]({CHART.as_posix()})")
    if details := list(_details(document["lines"])):
        parts.append("### What each told\n\n" + "\n".join(details))
    parts.append("### Measured how\n\n" + _table(("command", "when", "commit"), _origins(document["lines"])))
    parts += [f"Versions: {told}." for told in sorted({_versions(line) for line in document["lines"]})]
    return "\n\n".join(parts) + "\n"


def curves(lines: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Points of the chart: name, side, rows, cpu_s. Only of what was measured at two sizes or more."""
    points = []
    for line in lines:
        for side, measured in ((_OURS, line), *((baseline["name"], baseline) for baseline in line["baselines"])):
            points.append(
                {"name": line["name"], "side": side, "rows": measured["rows"], "cpu_s": measured["cpu_s_min"]}
            )
    sizes: dict[str, set[int]] = {}
    for line in lines:
        sizes.setdefault(line["name"], set()).add(line["rows"])
    return [point for point in points if len(sizes[point["name"]]) > 1]


def chart_svg(points: Sequence[Mapping[str, Any]]) -> str:
    """One small chart for each benchmark, both axes logarithmic: a straight line at 45 degrees is a cost that grows with size."""
    import altair as alt
    import vl_convert

    sides = [_OURS, *sorted({point["side"] for point in points} - {_OURS})]
    base = alt.Chart(alt.InlineData(values=[dict(point) for point in points])).encode(
        x=alt.X(
            "rows:Q", scale=alt.Scale(type="log", nice=False), title="rows", axis=alt.Axis(format="~s", tickCount=4)
        ),
        y=alt.Y("cpu_s:Q", scale=alt.Scale(type="log"), title="CPU-seconds", axis=alt.Axis(format="~g", tickCount=5)),
        color=alt.Color(
            "side:N",
            title=None,
            scale=alt.Scale(domain=sides, range=[_OURS_COLOUR, *islice(cycle(_COLOURS), len(sides) - 1)]),
            legend=alt.Legend(orient="bottom", columns=3, labelLimit=260),
        ),
    )
    chart = (
        alt.layer(base.mark_line(), base.mark_point(filled=True, size=30))
        .properties(width=230, height=160)
        .facet(facet=alt.Facet("name:N", title=None), columns=3)
        .resolve_scale(x="independent", y="independent")
        .configure(background="white", font="system-ui, sans-serif")
    )
    return str(vl_convert.vegalite_to_svg(chart.to_dict()))


def main() -> None:
    """Run it from the command line."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("figures", type=Path, help="what benchmarks.run wrote with --out")
    parser.add_argument("--page", type=Path, default=_PAGE, help="the page (default docs/benchmarks.md)")
    arguments = parser.parse_args()
    document = json.loads(arguments.figures.read_text(encoding="utf-8"))
    points = curves(document["lines"])
    if points:
        picture = arguments.page.parent / CHART
        picture.parent.mkdir(parents=True, exist_ok=True)
        picture.write_text(chart_svg(points), encoding="utf-8")
    text = page_with(arguments.page.read_text(encoding="utf-8"), document, has_chart=bool(points))
    arguments.page.write_text(text, encoding="utf-8")
    sys.stdout.write(f"{arguments.page}: {len(document['lines'])} lines\n")


def _goals(lines: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, ...]]:
    for line in lines:
        for goal in line["goals"]:
            wanted, _, reached = told_of_goal(goal).partition(": ")
            value, _, verdict = reached.rpartition(", ")
            yield line["name"], line["size"], wanted, value, verdict


def _figures(line: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    yield _figure(line, f"**{line['name']}**", "")
    for baseline in line["baselines"]:
        yield _figure(baseline, baseline["name"], f"{baseline['cpu_s_min'] / line['cpu_s_min']:.1f}")


def _figure(measured: Mapping[str, Any], name: str, ratio: str) -> tuple[str, ...]:
    return (
        name,
        measured["size"],
        f"{measured['rows']:,}",
        f"{measured['cpu_s_min']:.2f}",
        f"{measured['rows_per_cpu_s']:,.0f}",
        f"{measured['wall_s_min']:.2f}",
        f"{measured['peak_rss_mb']:.0f}",
        ratio,
    )


def _details(lines: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """What a job told of its cheapest run: quantities, stages, percentiles."""
    for line in lines:
        for measured in (line, *line["baselines"]):
            told = min(measured["runs"], key=lambda run: run["cpu_s"])["told"]
            if told:
                listed = ", ".join(
                    f"{name} {value:,}" if isinstance(value, int) else f"{name} {value}" for name, value in told.items()
                )
                yield f"- **{measured['name']}**, {measured['size']}: {listed}"


def _origins(lines: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    return sorted({(f"`{line['command']}`", line["measured_at"], line["versions"][COMMIT]) for line in lines})


def _versions(line: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {version}" for name, version in line["versions"].items() if name != COMMIT)


def _table(
    headings: Sequence[str], rows: Iterator[tuple[str, ...]] | Sequence[tuple[str, ...]], right_from: int = 9
) -> str:
    rule = ["---:" if column >= right_from else "---" for column in range(len(headings))]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (headings, rule, *rows))


if __name__ == "__main__":
    main()
