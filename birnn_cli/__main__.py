"""`birnn`, and `python -m birnn_cli`."""

import io
import os
import sys


def main() -> None:
    """Run the command line and exit with its code."""
    # They are None if the caller closed them: what is written then goes nowhere.
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: PTH123, SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: PTH123, SIM115
    try:
        if isinstance(sys.stdout, io.TextIOWrapper):  # a character that its encoding lacks is escaped
            sys.stdout.reconfigure(errors="backslashreplace")
        from birnn_cli.cli.app import app

        app(prog_name="birnn")
    except KeyboardInterrupt:  # Ctrl-C before a command has begun, while Python still imports
        sys.exit(130)
    except SystemExit as end:
        from birnn_cli.training.distributed import is_launched, leave

        if is_launched():
            leave(end.code if isinstance(end.code, int) else int(end.code is not None))
        raise


if __name__ == "__main__":
    main()
