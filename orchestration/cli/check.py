"""`etalon check SYSTEM`: the proof of concept before going live. Reads a sample, writes nothing, keeps nothing."""

from __future__ import annotations

import typer
from rich.markup import escape

from orchestration.cli.environment import open_runtime
from orchestration.cli.terminal import console, mark, showing_progress, table
from orchestration.proof import Proof, prove


def check(
    system: str = typer.Argument(help="The system, by its code in retailer.yaml.", metavar="SYSTEM"),
    batches: int = typer.Option(1, min=1, help="How many batches (pages, files) of each stream to read."),
) -> None:
    """Prove that a system can be read: connect, tell what the key may do, read a sample of every stream through the
    contracts, list the blind spots. Nothing is written, kept, or moved.

    \b
    Exit code: 0 everything answered and fits; 1 something did not; 2 the configuration is wrong.

    \b
    Examples:
      etalon check shop_fr
      etalon check erp --batches 3
    """
    with showing_progress() as report:
        proof = prove(open_runtime(report), system, batches=batches)
    show_proof(system, proof)
    if not proof.is_good:
        raise typer.Exit(1)


def show_proof(system: str, proof: Proof) -> None:
    """Access, then samples, then what cannot be seen, then the verdict."""
    access = table(f"Access to {system}", "what", "", "detail")
    for line in proof.access:
        access.add_row(escape(line.subject), mark(line.is_ok), escape(line.detail))
    console.print(access)
    samples = table("Sample of each stream", "stream", "announced", "read", "fit", "refused", "why refused, or what went wrong",
                    right=("announced", "read", "fit", "refused"))  # fmt: skip
    for sample in proof.samples:
        announced = "–" if sample.announced_qty is None else str(sample.announced_qty)
        samples.add_row(
            sample.stream,
            announced,
            str(sample.read_qty),
            str(sample.fitting_qty),
            str(sample.refused_qty),
            f"[bold red]{escape(sample.error)}[/]" if sample.error else escape("; ".join(sample.reasons)),
        )
    console.print(samples)
    blind = [(stream, spot) for stream, spots in proof.blind_spots.items() for spot in spots]
    if blind:
        spots = table("What it cannot see", "stream", "blind spot")
        for stream, spot in blind:
            spots.add_row(stream, escape(spot))
        console.print(spots)
    if proof.is_good and any(sample.refused_qty for sample in proof.samples):
        console.print("[bold green]It can be read[/]; the refused rows would wait in quarantine.")
    elif proof.is_good:
        console.print("[bold green]It can be read.[/]")
    else:
        console.print("[bold red]It cannot be read as it is.[/]")
