"""Rendering: what the commands show, as tables for people and JSON for machines."""

import json
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from commands.invocation import Oarlock


def show_scores(oarlock: "Oarlock", reply: dict[str, Any], most: int) -> None:
    model, scores = reply["model"], reply["scores"]
    seen = f"seen from {reply['as_of'][:10]} (n = {len(scores):,})"
    title = f"risk of leaving within {model['horizon_days']} days, {seen}"
    table = new_table("account", "risk", "band", "MRR", "at risk", "main drivers (points)", title=title)
    for one in scores[:most]:
        lines = [f"{points(driver['points'])} {driver['text']}" for driver in one["drivers"]]
        revenue = [money(one["revenue"][key]) for key in ("mrr", "at_risk")]
        cells = [one["account_id"], f"{one['risk']:.1%}", one["band"], *revenue, "\n".join(lines)]
        table.add_row(*cells, end_section=True)
    oarlock.console.print(table)
    for one in reply["not_scored"][:most]:
        oarlock.console.print(f"{one['account_id']} has no risk: {one['reason']}.", markup=False)
    oarlock.console.print(f"Base {scores[0]['base']:.1%}; base and all points add up to the risk." if scores else "")
    oarlock.console.print("Not causal: drivers say what a risk is made of, not what would change it.")


def show_explained(oarlock: "Oarlock", one: dict[str, Any]) -> None:
    title = f"{one['account_id']}: risk {one['risk']:.1%} = base {one['base']:.1%} and these points ({one['status']})"
    table = new_table("points", "family", "signal", "value", "typical", title=title)
    from serving.scoring import shown

    for driver in [*one["drivers"], *one["protective"]]:
        table.add_row(points(driver["points"]), driver["family"], "", "", "", style="bold")
        for signal in driver["signals"]:
            values = [shown(signal[key], signal["unit"]) for key in ("value", "typical")]
            table.add_row(points(signal["points"]), "", signal["label"], *values)
    oarlock.console.print(table)


def new_table(*columns: str, title: str | None = None) -> Any:
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def points(points: float) -> str:
    return f"{points * 100:+.2f}"


def money(amount: float | None) -> str:
    return "" if amount is None else f"{amount:,.0f}"


def print_json(content: Any) -> None:
    click.echo(json.dumps(content, indent=1, default=str))
