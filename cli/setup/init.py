"""The command that drafts a mapping and a settings file for a folder of files."""

import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from cli.context import FILE, JSON, CliContext
from cli.output import Columns, OutputTable, format_percent, print_json

if TYPE_CHECKING:
    from features.discovery.database_tables import DatabaseAddress
    from features.discovery.stored_objects import BucketAddress
    from features.drafting.draft import Draft
    from features.drafting.draft_context import DraftRequest
    from features.drafting.selects.decisions import Answer, Decide, Question
    from features.drafting.table_profile import TableProfile

    Origin = Path | DatabaseAddress | BucketAddress

AnyCommand = TypeVar("AnyCommand", bound=Callable[..., object])
MAPPING = "mapping.toml"
SHOWN_MISSING = 3
PROFILE_COLUMNS: Columns = {
    **{"table": "id", "source": "id", "rows": "number", "accounts": "number", "from": "id", "to": "id"},
    **{"longest gap": "number", "duplicates": "number", "missing": "text"},
}
INVALID_ROWS = {"quarantine": "they are set aside and counted", "error": "stop, until the export is corrected"}
DATABASE_SCHEMES, BUCKET_SCHEME = ("postgresql://", "postgres://"), "s3://"


class _FolderOrAddress(click.ParamType):
    """A folder, or the address of a Postgres database or a bucket, which a path would not keep as it is."""

    name = "folder"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Path | str:
        """The address as it is, or the path of the folder."""
        del param, ctx
        text = str(value)
        return text if text.startswith((*DATABASE_SCHEMES, BUCKET_SCHEME)) else Path(text)


DRAFT_OPTIONS = (
    click.argument("folder", type=_FolderOrAddress(), metavar="FOLDER|URL"),
    click.option(
        "--output", type=FILE, help="The folder to write to; by default FOLDER, or for a URL the present one."
    ),
    click.option("--password-env", metavar="NAME", help="The environment variable with a database's password."),
    click.option("--endpoint", metavar="URL", help="The store of an s3:// address, if that is not AWS."),
    click.option("--yes", is_flag=True, help="Take every default, and list what was assumed."),
    click.option("--answer", "answers", multiple=True, metavar="KEY=CHOICE", help="Answer a question beforehand."),
    click.option(
        "--from",
        "vendors",
        metavar="NAMES",
        help="Combine ready mappings, such as stripe,zendesk.",
    ),
    click.option(
        "--match",
        "matches",
        multiple=True,
        metavar="NAME=COLUMN",
        help="The column of a vendor that has the account's id.",
    ),
    click.option("--force", is_flag=True, help="Overwrite the files of an earlier init."),
)


def draft_options(command: AnyCommand) -> AnyCommand:
    """Give a command the options that say what is drafted, in their order."""
    for option in reversed(DRAFT_OPTIONS):
        command = option(command)
    return command


@click.command(short_help="Draft a mapping and settings for your files or database.")
@draft_options
@JSON
@click.pass_obj
def init(  # noqa: PLR0913 - a parameter per option
    context: CliContext,
    folder: Path | str,
    output: Path | None,
    *,
    password_env: str | None,
    endpoint: str | None,
    yes: bool,
    answers: tuple[str, ...],
    vendors: str | None,
    matches: tuple[str, ...],
    force: bool,
) -> None:
    """Look at the files of a folder or bucket, or the tables of a database, and write a mapping and settings for them.

    It recognises the tables, profiles them, and writes every guess with its evidence as a comment. What it cannot tell
    it asks; --yes takes the defaults and lists them, and a question without a default has to be answered.

    With --from, the tables are those of ready mappings of vendors, whose exports are in the folder or in a folder of
    the vendor's name below it.

    \b
    Example: oarlock init data
    Example: oarlock init data --from stripe,zendesk --match zendesk=external_id
    Example: oarlock init data --yes --answer dates.contracts=day_first
    Example: oarlock init postgresql://reader@db.internal/crm --password-env CRM_PASSWORD
    Example: oarlock init s3://acme-export/crm --endpoint https://minio.internal:9000
    """
    options = DraftOptions(yes, answers, force, vendors=vendors, matches=matches)
    origin = to_origin(folder, password_env, endpoint)
    draft = write_draft(context, origin, output or default_output(origin), options)
    if context.as_json:
        print_json(_to_json(draft))


class DraftOptions:
    """How questions are answered, whether files may be overwritten, and which ready mappings are combined."""

    def __init__(
        self, yes: bool, answers: Sequence[str], force: bool, *, vendors: str | None = None, matches: Sequence[str] = ()
    ) -> None:
        if matches and not vendors:
            raise click.UsageError("--match is for ready mappings: pass --from, too.")
        self.yes, self.force = yes, force
        self.answers = dict(_split_pair("--answer", answer) for answer in answers)
        self.vendors = [name.strip() for name in vendors.split(",")] if vendors else []
        self.matches = dict(_split_pair("--match", match) for match in matches)


def write_draft(context: CliContext, origin: "Origin", output: Path, options: DraftOptions) -> "Draft":
    """Draft, write both files, use them from now on, and print what was found out. Raises ConfigError, DataError."""
    from configs.clock import now
    from configs.files import atomic_write
    from features.drafting.draft_context import DraftRequest

    settings_file = find_settings_file(origin, output)
    files = {output / MAPPING: "mapping", settings_file: "settings"}
    _refuse_overwriting(list(files), options.force)
    with context.progress("init") as progress, tempfile.TemporaryDirectory() as scratch:
        progress("reading", 0, 1)
        folder, address = (origin, None) if isinstance(origin, Path) else (output, origin)
        draft = _draft(DraftRequest(folder, output / MAPPING, now(), Path(scratch), address), options)
    output.mkdir(parents=True, exist_ok=True)
    for file, content in files.items():
        with atomic_write(file) as temporary:
            temporary.write_text(getattr(draft, content), "utf-8")
    context.use_config(settings_file)
    if not context.as_json:
        _show(context, draft, list(files))
    _check(context, draft, settings_file, _decide(options))
    return draft


def _draft(request: "DraftRequest", options: DraftOptions) -> "Draft":
    """A draft from ready mappings if some are named, else from what the tables look like."""
    from features.drafting.draft import draft_files
    from features.ready.ready_draft import ReadyRequest, draft_ready_mapping

    if options.vendors and request.address:
        raise click.UsageError("--from is for exports in a folder, not for a database or a bucket.")
    if options.vendors:
        return draft_ready_mapping(request, ReadyRequest(options.vendors, options.matches), _decide(options))
    return draft_files(request, _decide(options))


def to_origin(folder: Path | str, password_env: str | None, endpoint: str | None) -> "Origin":
    """What is drafted for: a folder, a database with the variable of its password, or a bucket with its store."""
    from features.discovery.database_tables import DatabaseAddress
    from features.discovery.stored_objects import BucketAddress

    is_bucket = isinstance(folder, str) and folder.startswith(BUCKET_SCHEME)
    if password_env and (is_bucket or isinstance(folder, Path)):
        raise click.UsageError("--password-env is for the address of a database.")
    if endpoint and not is_bucket:
        raise click.UsageError("--endpoint is for an address such as s3://BUCKET/PREFIX.")
    if isinstance(folder, Path):
        return folder
    return BucketAddress(folder, endpoint) if is_bucket else DatabaseAddress(folder, password_env)


def default_output(origin: "Origin") -> Path:
    """Where the files are written to: the folder itself, or for a database the present one."""
    return origin if isinstance(origin, Path) else Path()


def find_settings_file(origin: "Origin", output: Path) -> Path:
    """The settings file of a folder or database: it has its name, which is that of its models."""
    from features.discovery.source_files import source_name

    return output / f"{source_name(origin.resolve().name if isinstance(origin, Path) else origin.name)}.toml"


def _check(context: CliContext, draft: "Draft", settings_file: Path, decide: "Decide") -> None:
    """Validate what was drafted; invalid rows are set aside if that is decided. Raises OarlockError."""
    from features.drafting.mapping_file import with_quarantine
    from features.drafting.selects.decisions import Question
    from features.ingestion.validation import InvalidRows
    from features.publishing.open_dataset import open_dataset

    try:
        open_dataset(context.settings, context.state)
    except InvalidRows as error:
        evidence = "; ".join(map(str, error.violations))
        question = Question(
            "invalid_rows", "Set aside the rows outside the contract?", evidence, INVALID_ROWS, "quarantine"
        )
        answer = decide(question)
        draft.decisions.answers.append(answer)
        context.echo(f"{answer}")
        if answer.choice == "error":
            raise
        settings_file.write_text(with_quarantine(draft.settings, str(answer)), "utf-8")
        context.use_config(settings_file)
        open_dataset(context.settings, context.state)
    context.echo("`oarlock validate` passes.")


def _refuse_overwriting(files: Sequence[Path], force: bool) -> None:
    from configs.errors import ConfigError

    existing = next((file for file in files if file.exists()), None)
    if existing and not force:
        raise ConfigError(
            f"{existing} exists already.", "Pass --force to overwrite it, or --output for another folder."
        )


def _split_pair(option: str, pair: str) -> tuple[str, str]:
    key, mark, choice = pair.partition("=")
    if not mark:
        raise click.UsageError(f"{option} {pair}: write two words with an = between them.")
    return key.strip(), choice.strip()


def _decide(options: DraftOptions) -> "Decide":
    from features.drafting.selects.decisions import Answer

    def decide(question: "Question") -> "Answer":
        if question.key in options.answers:
            return Answer(question, _checked(question, options.answers[question.key]), is_assumed=False)
        if options.yes and question.default is not None:
            return Answer(question, question.default, is_assumed=True)
        if options.yes or not sys.stdin.isatty():
            raise _unanswered(question)
        return _ask(question)

    return decide


def _checked(question: "Question", choice: str) -> str:
    from configs.errors import ConfigError

    if question.choices and choice not in question.choices:
        raise ConfigError(f"'{choice}' is no answer to {question.key}.", f"Answer {' or '.join(question.choices)}.")
    return choice


def _unanswered(question: "Question") -> Exception:
    from configs.errors import ConfigError

    choices = "; ".join(f"{choice}: {meaning}" for choice, meaning in question.choices.items())
    yes = ", or take the defaults with --yes" if question.default else ""
    return ConfigError(
        f"{question.text} Evidence: {question.evidence}.",
        f"Pass --answer {question.key}=CHOICE{yes}. {choices}".strip(),
    )


def _ask(question: "Question") -> "Answer":
    from features.drafting.selects.decisions import Answer

    click.echo(f"\n{question.text}\n  Evidence: {question.evidence}.", err=True)
    for choice, meaning in question.choices.items():
        click.echo(f"  {choice}: {meaning}", err=True)
    kind = click.Choice(list(question.choices)) if question.choices else None
    choice = click.prompt("  Answer", default=question.default, type=kind, err=True)
    return Answer(question, choice, is_assumed=False)


def _show(context: CliContext, draft: "Draft", files: Sequence[Path]) -> None:
    table = OutputTable(PROFILE_COLUMNS)
    for profile in draft.tables:
        table.add(*_profile_cells(profile))
    table.print(context)
    for name, reason in draft.unused.items():
        context.echo(f"Not used: {name}, {reason}.")
    _show_unmapped(context, draft, files[1])
    for finding in draft.decisions.notes:
        context.echo(f"Note: {finding}.")
    for answer in draft.decisions.answers:
        context.echo(f"{answer}")
    proposal = draft.proposal
    context.echo(
        f"Proposed: mode {proposal.mode}, horizon {proposal.horizon_days} days, lead {proposal.lead_days}, grace"
        f" {proposal.grace_days}, capacity {proposal.capacity}."
    )
    for name, reason in proposal.reasons.items():
        context.echo(f"  {name}: {reason}.")
    if proposal.problem:
        context.echo(f"Training will be refused: {proposal.problem}")
    context.echo(f"Wrote {files[0]} and {files[1]}. Read their comments once.")


def _show_unmapped(context: CliContext, draft: "Draft", settings_file: Path) -> None:
    """Print the columns that no table reads, by source, and where those of accounts are declared."""
    for source in dict.fromkeys(column.source for column in draft.unmapped):
        columns = [
            f"{column.column} ({column.kind})" if column.kind else column.column
            for column in draft.unmapped
            if column.source == source
        ]
        context.echo(f"Not mapped: {source}: {', '.join(columns)}.")
    if any(column.kind for column in draft.unmapped):
        context.echo(f"Those with a kind can be signals: {settings_file} has their declarations as comments.")


def _profile_cells(profile: "TableProfile") -> list[str]:
    days = [f"{instant:%Y-%m-%d}" if instant else "" for instant in (profile.first, profile.last)]
    gap = f"{profile.gap_days} days from {profile.gap_from:%Y-%m-%d}" if profile.gap_from else ""
    emptiest = sorted(profile.missing.items(), key=lambda item: -item[1])[:SHOWN_MISSING]
    missing = ", ".join(f"{name} {format_percent(share)}" for name, share in emptiest)
    numbers = f"{profile.rows:,}", f"{profile.accounts:,}"
    return [profile.table, profile.source, *numbers, *days, gap, f"{profile.duplicates:,}", missing]


def _to_json(draft: "Draft") -> dict[str, object]:
    return {
        "tables": [asdict(profile) for profile in draft.tables],
        "notes": [asdict(note) for note in draft.decisions.notes],
        "answers": [
            {"key": a.question.key, "choice": a.choice, "assumed": a.is_assumed, "evidence": a.question.evidence}
            for a in draft.decisions.answers
        ],
        "unused": dict(draft.unused),
        "unmapped": [asdict(column) for column in draft.unmapped],
        "proposal": asdict(draft.proposal),
    }
