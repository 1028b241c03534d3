"""The verbs of the models: train one, hold it against another, promote it or go back, and say whether to trust it."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.context import AS_JSON, Oarlock
from cli.output import print_json, show_card, show_roster

NOT_THE_SAME = 8

if TYPE_CHECKING:
    pass

MOST_TRIALS = 1_000


@click.command()
@click.argument("version", type=int, required=False)
@click.option("--force", is_flag=True, help="Promote a model that has not earned it; needs --reason.")
@click.option("--reason", default="", help="Why; kept with the promotion.")
@click.pass_obj
def promote(oarlock: Oarlock, version: int | None, force: bool, reason: str) -> None:
    """Make a version (the newest where none is named) the champion that answers from now on.

    \b
    Example: oarlock promote 3
    """
    from configs.clock import now
    from serving.scoring.champion_pointer import prepare_bundle, sync_champion
    from training.registry.mlflow_registry import open_registry
    from training.registry.promotion import FORCED, Decision
    from training.registry.promotion import promote as run
    from training.registry.version import CHAMPION

    if force and not reason:
        raise click.UsageError("--force needs --reason.")
    registry = open_registry(oarlock.state, oarlock.settings.name)
    chosen = registry.newest() if version is None else registry.get(version)
    # Its bundle first: where that is refused the alias never moves.
    prepare_bundle(oarlock.state, registry, chosen)
    promoted = run(registry, chosen, Decision(now(), reason, force))
    sync_champion(oarlock.state, registry)
    if chosen.alias == CHAMPION:
        oarlock.console.print(f"Version {chosen.number} of {chosen.name} is champion already.")
        return
    overruled = registry.past()[-1].how == FORCED
    oarlock.audit("overridden" if overruled else "promoted", f"{promoted.name} {promoted.number}", reason=reason)
    oarlock.console.print(f"Version {promoted.number} of {promoted.name} is champion.")


@click.command()
@click.argument("version", type=int, required=False)
@click.option("--cuts", type=(float, float, float), help="From which risk on an account is watch, high, critical.")
@click.option("--calls", type=(int, int, int), help="How many accounts are watch or above, high or above, critical.")
@click.pass_obj
def rebands(
    oarlock: Oarlock,
    version: int | None,
    cuts: tuple[float, float, float] | None,
    calls: tuple[int, int, int] | None,
) -> None:
    """Release a version (the champion where none is named) with bands of its own; every risk stays as it is.

    \b
    Example: oarlock rebands --calls 400 150 50
    """
    from training.pipelines.recalibrate import bands_of, reband
    from training.registry.mlflow_registry import open_registry

    if bool(cuts) == bool(calls):
        raise click.UsageError("Say --cuts or --calls.")
    registry = open_registry(oarlock.state, oarlock.settings.name)
    parent = registry.champion() if version is None else registry.get(version)
    bands = bands_of(oarlock.settings, oarlock.state, parent, (cuts, calls))
    made = reband(oarlock.settings, oarlock.state, parent, bands)
    told = ", ".join(f"{name} from {cut:.2%}" for name, cut in bands.model_dump().items())
    oarlock.console.print(f"Version {made.number} has the risks of version {parent.number} and its own bands: {told}.")


@click.command()
@click.option("--reason", default="", help="Why; kept with the rollback.")
@click.pass_obj
def rollback(oarlock: Oarlock, reason: str) -> None:
    """Give the place back to the version that was champion before; again goes one further back.

    \b
    Example: oarlock rollback --reason "complaints about the drivers"
    """
    from configs.clock import now
    from serving.scoring.champion_pointer import sync_champion
    from training.registry.mlflow_registry import open_registry
    from training.registry.promotion import Decision
    from training.registry.promotion import rollback as run

    registry = open_registry(oarlock.state, oarlock.settings.name)
    former, champion = run(registry, Decision(now(), reason))
    sync_champion(oarlock.state, registry)
    oarlock.audit("rolled_back", f"{champion.name} {champion.number}", reason=reason, former=former.number)
    oarlock.console.print(f"Version {champion.number} is champion again, in place of version {former.number}.")


@click.command()
@AS_JSON
@click.pass_obj
def models(oarlock: Oarlock, as_json: bool) -> None:
    """Show every version: alias, age, key figures, its last duel, and how it came to be champion.

    \b
    Example: oarlock models
    """
    oarlock.speaks_json = as_json
    from configs.clock import now
    from training.registry.mlflow_registry import open_registry
    from training.registry.version_list import roster

    found = roster(open_registry(oarlock.state, oarlock.settings.name), now())
    if as_json:
        print_json({"versions": [asdict(one) for one in found]})
    else:
        show_roster(oarlock, found)


@click.command()
@click.argument("version", type=int, required=False)
@click.option("--html", type=click.Path(path_type=Path), help="Write it as one page with pictures to this file.")
@AS_JSON
@click.pass_obj
def card(oarlock: Oarlock, version: int | None, html: Path | None, as_json: bool) -> None:
    """Show the model card of a version (the newest where none is named).

    \b
    Example: oarlock card 3 --html card.html
    """
    oarlock.speaks_json = as_json
    from configs.files import replacing
    from training.registry.mlflow_registry import open_registry
    from training.reports.model_card import model_card
    from training.reports.model_card_html import card_page, read_pictures

    registry = open_registry(oarlock.state, oarlock.settings.name)
    chosen = registry.newest() if version is None else registry.get(version)
    evaluation = registry.evaluation(chosen)
    if html:
        with replacing(html) as temporary, registry.pictures(chosen) as folder:
            page = card_page(evaluation, read_pictures(folder), registry.duel(chosen))
            temporary.write_text(page, "utf-8")
        oarlock.console.print(f"{html.resolve()} holds the card of version {chosen.number}.", markup=False)
    if as_json:
        print_json(evaluation)
    elif not html:
        show_card(oarlock, model_card(evaluation))
