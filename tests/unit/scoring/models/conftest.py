import csv
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from scoring.models.rfm import Summary, summarize

settings.register_profile("no deadline", deadline=None)  # a busy machine is no fault of the models
settings.load_profile("no deadline")

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # sets an option that pandas no longer knows
    import lifetimes  # noqa: F401  (an oracle for several tests)

FILE = Path(__file__).parents[4] / "deploy/local/data/cdnow_sample.csv"


@pytest.fixture(scope="session")
def cdnow() -> Summary:
    """The CDNOW 1/10 sample as the papers cut it: first purchases to 1997-03-31, seen until 1997-09-30."""
    with FILE.open(newline="") as lines:
        purchases = list(csv.DictReader(lines))
    return summarize(
        [row["customer"] for row in purchases],
        np.array([row["date"] for row in purchases], dtype="datetime64[D]"),
        [float(row["amount_usd"]) for row in purchases],
        np.datetime64("1997-09-30", "D"),
    )
