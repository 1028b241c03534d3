"""Rendering: what the commands show, as tables for people and JSON for machines."""

import json
import math
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from cli.context import Oarlock
    from training.pipelines.reproduce import Reproduced
    from training.registry.version_list import Line


LEAST_SHOWN = 0.00005  # what would be written as 0.01 points or more


def show_scores(oarlock: "Oarlock", reply: dict[str, Any], count: int) -> None:
    """Show the scores of a reply, which are all or the riskiest of so many."""
    model, scores = reply["model"], reply["scores"]
    seen = f"seen from {reply['as_of'][:10]} (n = {count:,})"
    title = f"risk of leaving within {model['horizon_days']} days, {seen}"
    table = new_table("account", "risk", "band", "MRR", "at risk", "main drivers (points)", title=title)
    for one in scores:
        lines = [f"{points(driver['points'])} {driver['text']}" for driver in one["drivers"]]
        revenue = [money(one["revenue"][key]) for key in ("mrr", "at_risk")]
        cells = [one["account_id"], f"{one['risk']:.1%}", one["band"], *revenue, "\n".join(lines)]
        table.add_row(*cells, end_section=True)
    oarlock.console.print(table)
    for one in reply["not_scored"]:
        oarlock.console.print(f"{one['account_id']} has no risk: {one['reason']}.", markup=False)
    oarlock.console.print(f"Base {scores[0]['base']:.1%}; base and all points add up to the risk." if scores else "")
    oarlock.console.print("Not causal: drivers say what a risk is made of, not what would change it.")


def show_explained(oarlock: "Oarlock", one: dict[str, Any]) -> None:
    title = f"{one['account_id']}: risk {one['risk']:.1%} = base {one['base']:.1%} and these points ({one['status']})"
    table = new_table("points", "family", "signal", "value", "typical", title=title)
    from serving.scoring.driver_text import format_value

    for driver in [*one["drivers"], *one["protective"]]:
        table.add_row(points(driver["points"]), driver["family"], "", "", "", style="bold")
        told = [one for one in driver["signals"] if abs(one["points"]) >= LEAST_SHOWN]
        for signal in told:
            values = [format_value(signal[key], signal["unit"]) for key in ("value", "typical")]
            table.add_row(points(signal["points"]), "", signal["label"], *values)
        rest = driver["points"] - sum(one["points"] for one in told)
        if len(told) < len(driver["signals"]):
            table.add_row(points(rest), "", f"{len(driver['signals']) - len(told)} more", "", "", style="dim")
    oarlock.console.print(table)


def show_card(oarlock: "Oarlock", markdown: str) -> None:
    from rich.markdown import Markdown

    oarlock.console.print(Markdown(markdown))


def show_duel(oarlock: "Oarlock", duel: dict[str, Any]) -> None:
    number, champion = duel["challenger"], duel["champion"]
    oarlock.console.print(f"\nVersion {number} against version {champion}: [bold]{duel['verdict']}[/bold]")
    for reason in duel["reasons"]:
        oarlock.console.print(f"- {reason}", markup=False)
    if not duel["figures"]:
        return
    title = f"{duel['snapshots']:,} snapshots of the same past days, {duel['churned']:,} churned"
    table = new_table("", f"version {number}", f"version {champion}", "difference", title=title)
    for name, one in duel["figures"].items():
        table.add_row(name.replace("_", " "), f"{one['challenger']:.4f}", f"{one['champion']:.4f}", _span(one))
    for name, one in duel["segments"].items():
        n = f"{name}: {one['churned']:,} of {one['snapshots']:,} churned"
        told = f"log loss, {n}" if one["judged"] else f"log loss, {n}, too few to judge"
        loss = one["log_loss"]
        table.add_row(told, f"{loss['challenger']:.4f}", f"{loss['champion']:.4f}", _span(loss))
    oarlock.console.print(table)
    flips = duel["flips"]
    if flips:
        worth = f"{flips['accounts']} accounts worth a call on {flips['as_of']}"
        oarlock.console.print(f"{flips['flipped']} of {worth} have another main family.", markup=False)


def show_roster(oarlock: "Oarlock", lines: "list[Line]") -> None:
    table = new_table("version", "age", "made", "churned", "AUC", "log loss", "last duel")
    for one in lines:
        number = f"[bold]{one.number} {one.alias}[/bold]" if one.alias else str(one.number)
        figures = [_figure(value) for value in one.figures.values()]
        duel = f"{one.duel['verdict']}\nagainst {one.duel['against']}" if one.duel else ""
        size = f"{one.churned:,}\nof {one.snapshots:,}"
        table.add_row(number, f"{one.age_days} days", one.made, size, *figures, duel)
    oarlock.console.print(table)
    for event in sorted((event for one in lines for event in one.reigns), key=lambda event: event.at):
        oarlock.console.print(f"{event.at[:16]}  version {event.number} {event.how}: {event.why}", markup=False)


def show_reproduced(oarlock: "Oarlock", found: "Reproduced") -> None:
    what = {True: "the same to the byte", False: "not the same"}
    if found.could_not:
        oarlock.console.print(f"Version {found.number} could not be made again: {found.could_not}", markup=False)
    else:
        risks = f"its risks on {found.snapshots:,} snapshots {what[found.same_risks]}"
        oarlock.console.print(f"Version {found.number} made again: booster {what[found.same_booster]}, {risks}.")
    for one in found.changed:
        oarlock.console.print(f"- {one}", markup=False)
    if any(one.what.startswith("setting ") for one in found.changed):
        oarlock.console.print("It was made again with the settings that its run holds.")


def new_table(*columns: str, title: str | None = None) -> Any:
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _span(compared: dict[str, Any]) -> str:
    difference = compared["difference"]
    return f"{difference['value']:+.4f} [{difference['low']:+.4f}, {difference['high']:+.4f}]"


def _figure(interval: tuple[float, float, float] | None) -> str:
    return "" if interval is None else f"{interval[0]:.3f}\n{interval[1]:.3f}-{interval[2]:.3f}"


def points(points: float) -> str:
    return f"{points * 100:+.2f}"


def money(amount: float | None) -> str:
    return "" if amount is None else f"{amount:,.0f}"


def print_json(content: Any) -> None:
    try:
        text = json.dumps(content, indent=1, default=str, allow_nan=False)
    except ValueError:  # JSON has no word for what is not a number
        text = json.dumps(_with_nulls(content), indent=1, default=str)
    click.echo(text)


def _with_nulls(content: Any) -> Any:
    """The same with null for every number that is none."""
    if isinstance(content, dict):
        return {name: _with_nulls(one) for name, one in content.items()}
    if isinstance(content, list | tuple):
        return [_with_nulls(one) for one in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content
