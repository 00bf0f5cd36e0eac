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
        from birnn_cli.cli.app import run

        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):  # a plain character for one that its encoding lacks
                stream.reconfigure(errors="plain")

        run()
    except KeyboardInterrupt:  # Ctrl-C before a command has begun, while Python still imports
        sys.exit(130)
    except SystemExit as end:
        if "TORCHELASTIC_RUN_ID" not in os.environ:
            raise
        # A process of `torchrun`: Python's own exit now and then ends in an abort there, since Gloo's
        # threads, which may still hold tensors, are stopped while they wait for the interpreter.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(end.code if isinstance(end.code, int) else int(end.code is not None))


if __name__ == "__main__":
    main()
