"""Commands that write a page to a file, to hand on: it needs no service and no network."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.context import ACCOUNT, DAY, FILE, JSON, CliContext

if TYPE_CHECKING:
    from features.store.revenue_table import RevenueHistory
    from serving.accounts.portfolio import Portfolio
    from serving.handlers.context import ServiceContext

AS_OF = click.option("--as-of", type=DAY, help="A past day, as it was served by its end; now by default.")
SINCE = click.option("--since", type=DAY, help="The day to compare with; a week before by default.")
HTML = click.option("--html", "file", type=FILE, required=True, help="The file to write.")


@click.group(short_help="Write a page to a file, to hand on.")
def report() -> None:
    """Write a page of the service to one HTML file, which can be read offline and printed.

    \b
    Example: oarlock report account 1024 --html 1024.html
    """


@report.command()
@click.argument("account", type=ACCOUNT)
@AS_OF
@SINCE
@HTML
@click.pass_obj
def account(context: CliContext, account: str, as_of: datetime | None, since: datetime | None, file: Path) -> None:
    """Write why an account is flagged, since when, what changed and what to do.

    \b
    Example: oarlock report account 1024 --html 1024.html
    """
    from features.store.publication import read_publication
    from serving.handlers.score import ScoringRequest
    from serving.load.pending_reply import PendingReply
    from serving.pages.account.account_page import account_page_values
    from serving.pages.rendering import render_offline
    from serving.schemas.page_queries import AccountQuery
    from serving.telemetry.request_ids import new_request_id
    from serving.views.account_view import view_account

    service = open_service(context)
    if as_of is None:
        compute_portfolio(service)
    service.events.open(read_publication(service.state)["content_version"])
    query = AccountQuery(as_of=as_of and as_of.date(), since=since and since.date())
    view = view_account(service, account, query, ScoringRequest(new_request_id(), "viewed", PendingReply()))
    values = account_page_values(view, None)
    _write(context, file, render_offline("account.html.jinja", values, warning=_warning(context)))


@report.command()
@AS_OF
@SINCE
@click.option("--owner", help="Only accounts of this owner.")
@click.option("--segment", help="Only this segment.")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True, help="How many accounts to list.")
@HTML
@click.pass_obj
def portfolio(  # noqa: PLR0913, PLR0917 - a parameter per option
    context: CliContext,
    as_of: datetime | None,
    since: datetime | None,
    owner: str | None,
    segment: str | None,
    limit: int,
    file: Path,
) -> None:
    """Write who carries the revenue at risk, with the totals and their change.

    \b
    Example: oarlock report portfolio --owner "Chloe Martin" --html chloe.html
    """
    from serving.pages.portfolio.portfolio_page import portfolio_values
    from serving.pages.rendering import render_offline
    from serving.schemas.page_queries import PortfolioQuery
    from serving.views.portfolio_view import view_past_portfolio, view_portfolio

    service = open_service(context)
    past_day, since_day = as_of and as_of.date(), since and since.date()
    query = PortfolioQuery(owner=owner, segment=segment, limit=limit, as_of=past_day, since=since_day)
    if query.as_of is not None:
        view = view_past_portfolio(service, query.as_of, query)
    else:
        view = view_portfolio(service, compute_portfolio(service), query)
    _write(context, file, render_offline("portfolio.html.jinja", portfolio_values(view), warning=_warning(context)))


@report.command()
@click.option("--as-of", type=DAY, help="The day up to which the tables are read; the published day by default.")
@click.option("--months", type=click.Choice(["3", "6", "12"]), default="12", show_default=True, help="The period.")
@click.option("--segment", help="Only this segment.")
@click.option("--owner", help="Only accounts of this owner.")
@click.option("--channel", help="Only this acquisition channel.")
@click.option("--html", "file", type=FILE, help="The file to write.")
@JSON
@click.pass_obj
def retention(context: CliContext, as_of: datetime | None, file: Path | None, **filters: str | None) -> None:
    """Write what became of the recurring revenue: gross and net retention, by group, month and reason.

    \b
    Example: oarlock report retention --html retention.html
    """
    from cli.output import print_json
    from serving.pages.rendering import render_offline
    from serving.pages.retention.retention_document import retention_document
    from serving.pages.retention.retention_page import retention_values
    from serving.schemas.page_queries import RetentionQuery
    from serving.views.retention_view import view_retention

    _require_target(context, file)
    query = RetentionQuery.model_validate({**filters, "as_of": as_of and as_of.date()})
    portfolio = None if as_of is not None else _find_portfolio(context)
    view = view_retention(_read_revenue(context, as_of), portfolio, query, context.settings)
    if file is not None:
        _write(context, file, render_offline("retention.html.jinja", retention_values(view), warning=_warning(context)))
    if context.as_json:
        print_json(retention_document(view))


@report.command()
@click.option("--html", "file", type=FILE, help="The file to write.")
@JSON
@click.pass_obj
def outcomes(context: CliContext, file: Path | None) -> None:
    """Write what became of accounts whose risks were served: flags that were right, missed and false, by quarter.

    \b
    Example: oarlock report outcomes --html outcomes.html
    """
    from cli.output import print_json
    from monitoring.outcomes.outcome_report import report_outcomes
    from serving.ledger.served_outcomes import write_outcomes
    from serving.pages.rendering import render_offline
    from serving.pages.retention.outcomes_page import outcomes_values

    _require_target(context, file)
    result = report_outcomes(context.settings, context.state, context.recover_ledger(), context.known_until)
    write_outcomes(context.state.outcomes, result)
    if file is not None:
        _write(context, file, render_offline("outcomes.html.jinja", outcomes_values(result), warning=_warning(context)))
    if context.as_json:
        print_json(result.document())


def _require_target(context: CliContext, file: Path | None) -> None:
    if file is None and not context.as_json:
        raise click.UsageError("Name a file with --html, or ask for --json.")


def _read_revenue(context: CliContext, as_of: datetime | None) -> "RevenueHistory":
    """The published revenue, or that of another day from the raw tables as they were known then."""
    from features.publishing.past_revenue import build_past_revenue
    from features.store.revenue_table import read_revenue_table

    if as_of is None:
        return read_revenue_table(context.state.revenue_table)
    return build_past_revenue(context.settings, context.state, as_of)


def _find_portfolio(context: CliContext) -> "Portfolio | None":
    """The portfolio of the published day; None if no model was promoted."""
    from configs.errors import NoChampion

    try:
        return compute_portfolio(open_service(context))
    except NoChampion:
        return None


@report.command()
@click.option("--since", type=DAY, help="Show the runs of the days from this one on; a year by default.")
@HTML
@click.pass_obj
def monitoring(context: CliContext, since: datetime | None, file: Path) -> None:
    """Write whether the risks can be trusted, why, since when, and what to do, from the stored runs of monitor.

    \b
    Example: oarlock report monitoring --html monitoring.html
    """
    from configs.clock import now
    from serving.pages.monitoring_page import monitoring_values
    from serving.pages.rendering import render_offline
    from serving.views.monitoring_view import view_monitoring

    view = view_monitoring(context.database, since and since.date(), now())
    _write(context, file, render_offline("monitoring.html.jinja", monitoring_values(view), warning=_warning(context)))


def _warning(context: CliContext) -> str | None:
    """Why the risks of the champion say nothing; None if they do, or before the first promotion."""
    from configs.errors import NoChampion
    from serving.scoring.champion_pointer import read_pointer

    try:
        return read_pointer(context.state).warning
    except NoChampion:
        return None


def open_service(context: CliContext) -> "ServiceContext":
    """What reports are made from."""
    from serving.handlers.context import open_context

    return open_context(context.state, context.open_scorer(), context.recover_ledger())


def compute_portfolio(service: "ServiceContext") -> "Portfolio":
    """The portfolio, for which this process waits."""
    from serving.accounts.portfolio import Portfolio

    current = service.portfolios.current()
    return current if isinstance(current, Portfolio) else current.result()


def _write(context: CliContext, file: Path, page: str) -> None:
    from configs.files import atomic_write

    with atomic_write(file) as temporary:
        temporary.write_text(page, "utf-8")
    context.echo(f"{file.resolve()} is written.")
