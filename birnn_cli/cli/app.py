"""The command line: its commands as a table of contents."""

import sys
from typing import Annotated, Any

import typer
from typer._click.exceptions import UsageError
from typer.core import TyperCommand

from birnn_cli.cli import console
from birnn_cli.cli.evaluate import evaluate
from birnn_cli.cli.exits import ExitCode
from birnn_cli.cli.export import export
from birnn_cli.cli.info import info
from birnn_cli.cli.options import flag
from birnn_cli.cli.predict import predict
from birnn_cli.cli.train import train
from birnn_cli.version import __version__


class Command(TyperCommand):
    """A command whose help has its options under headings; to draw panels, Typer loads half of Rich."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the options under the headings that they name, in the order in which those come up."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            heading = getattr(param, "rich_help_panel", None)
            heading = heading or ("Arguments" if param.param_type_name == "argument" else "Options")
            if record := param.get_help_record(ctx):
                sections.setdefault(heading, []).append(record)
        for heading, records in sections.items():
            with formatter.section(heading):
                formatter.write_dl(records)


app = typer.Typer(
    rich_markup_mode=None,
    epilog="Examples:\n\nbirnn train\n\nbirnn eval --all\n\nbirnn predict digit.png\n\n"
    "birnn predict scans/ --json",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    pretty_exceptions_enable=False,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"birnn {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def birnn(
    context: typer.Context,
    version: Annotated[
        bool, flag("Show the version.", "--version", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """A bidirectional LSTM reads an image of a digit row by row and says which digit it is."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), nl=False)
        raise typer.Exit(ExitCode.USAGE)


app.command(cls=Command)(train)
app.command("eval", cls=Command)(evaluate)
app.command(cls=Command)(predict)
app.command(cls=Command)(info)
app.command(cls=Command)(export)


def run() -> None:
    """Run the command line and exit; what its parser refuses is one line on stderr, like any error."""
    try:
        # Typer's own reports take a panel of five lines.
        code = app(prog_name="birnn", standalone_mode=False)
    except UsageError as error:
        path = error.ctx.command_path if error.ctx else "birnn"
        if isinstance(error, typer.BadParameter) and error.message:
            message = f"{error.param.opts[0]}: " if error.param else ""
            message += error.message
        else:
            text = error.format_message().rstrip(".")
            message = f"{text[0].lower()}{text[1:]}: see {path} --help"
        console.note(f"{path}: {message}")
        code = error.exit_code
    sys.exit(code or 0)
