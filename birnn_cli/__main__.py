"""`birnn`, and `python -m birnn_cli`."""

import io
import os
import sys


def main() -> None:
    """Run the command line; Ctrl-C while it still imports ends quietly too."""
    # Closed by the caller, they are None: what is told then goes nowhere.
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: PTH123, SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: PTH123, SIM115
    try:
        if isinstance(sys.stdout, io.TextIOWrapper):  # what its encoding lacks becomes an escape
            sys.stdout.reconfigure(errors="backslashreplace")
        from birnn_cli.cli.app import app

        app(prog_name="birnn")
    except KeyboardInterrupt:
        sys.exit(130)
    except SystemExit as end:
        from birnn_cli.training.distributed import is_launched, leave

        if is_launched():
            leave(end.code if isinstance(end.code, int) else int(end.code is not None))
        raise


if __name__ == "__main__":
    main()
