"""Train, score and read from Python: what the three commands do, in a few lines.

python examples/library.py examples/digits/*
"""

import sys
from pathlib import Path

import birnn_cli as birnn


def main(pictures: list[str]) -> None:
    """Learn from drawn digits for some seconds, then score the network and have it read pictures."""
    run = birnn.train(dataset="strokes", readout="pool", samples=50_000)

    model = birnn.load(run.folder)
    scores = model.evaluate("strokes", samples=1000)
    low, high = scores.ci95
    print(f"{scores.correct} of {scores.n} drawn test digits right ({low:.1%} to {high:.1%})")

    for prediction in model.predict(pictures):
        name = Path(prediction.source.path).name
        print(name, prediction.status, prediction.label, prediction.probability)


if __name__ == "__main__":
    main(sys.argv[1:])
