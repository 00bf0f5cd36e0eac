"""The command line: its commands as a table of contents."""

from typing import Annotated

import typer

from birnn_cli.cli.evaluate import evaluate
from birnn_cli.cli.export import export
from birnn_cli.cli.info import info
from birnn_cli.cli.options import option
from birnn_cli.cli.predict import predict
from birnn_cli.cli.train import train
from birnn_cli.version import __version__

app = typer.Typer(
    epilog="Examples:  birnn train  ·  birnn eval --all  ·  birnn predict digit.png  ·  "
    "birnn predict scans/ --json",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    no_args_is_help=True,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"birnn {__version__}")
        raise typer.Exit


@app.callback()
def birnn(
    version: Annotated[
        bool, option("Show the version.", "--version", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """A bidirectional LSTM reads an image of a digit row by row and says which digit it is."""


app.command()(train)
app.command("eval")(evaluate)
app.command()(predict)
app.command()(info)
app.command()(export)
