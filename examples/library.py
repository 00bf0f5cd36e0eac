"""Train, score and read from Python: what the three commands do, in a few lines.

python examples/library.py examples/digits/*
"""

import sys
from pathlib import Path

from birnn_cli import evaluation, prediction
from birnn_cli.data import datasets
from birnn_cli.runs import checkpoint
from birnn_cli.training.options import TrainOptions, open_session
from birnn_cli.training.run import Session


def main(pictures: list[str]) -> None:
    """Learn from drawn digits for some seconds, then score the network and have it read."""
    request = TrainOptions(dataset="strokes", overrides={"readout": "pool", "samples": 50_000})
    run = open_session(request, report=lambda done, total: None, warn=print)
    assert isinstance(run, Session)
    for step in run.steps():
        if step.batch is not None and step.step % 100 == 0:
            print(f"step {step.step}: loss {step.batch.loss:.3f}, accuracy {step.batch.accuracy:.1%}")

    network = checkpoint.load(run.folder / checkpoint.FILE_NAME)
    data = datasets.open_data_set("strokes", datasets.default_data_dir())
    scores = evaluation.score(network, data, "test", 1000, progress=lambda done, total: None)
    low, high = scores.ci95
    print(f"{scores.correct} of {scores.n} drawn test digits right ({low:.1%} to {high:.1%})")

    for answer in prediction.predict(network, prediction.find_pictures(pictures)):
        best = answer.top[0] if answer.top else None
        print(Path(answer.source.path).name, answer.status, best)


if __name__ == "__main__":
    main(sys.argv[1:])
