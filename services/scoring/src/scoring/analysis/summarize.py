"""`scoring summarize`: from purchases to one row per customer."""

import argparse
import sys
from pathlib import Path

import numpy as np

from scoring.analysis import files
from scoring.analysis.arguments import day
from scoring.analysis.table import Instants
from scoring.models import rfm

DESCRIPTION = """\
Counts, for each customer, the purchases up to and with the day --until. x: days with a purchase after the
first day; t_x, T: weeks from the first day to the last purchase and to --until; mean_amount: what was spent
on the x days, divided by x; first: the first day. Days are in UTC where the file names offsets."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.description = DESCRIPTION
    parser.add_argument("--transactions", type=Path, required=True, help="CSV: customer,date,amount")
    parser.add_argument("--until", type=day, required=True, metavar="DATE", help="the last day that counts")
    parser.add_argument("--output", type=Path, required=True, help="CSV: customer,x,t_x,T,mean_amount,first")


def run(arguments: argparse.Namespace) -> int:
    """Write the rows, and tell how many purchases and customers come later."""
    told = files.read_transactions(arguments.transactions)
    days = told.instant.astype("datetime64[D]")
    found = rfm.summarize(told.customer, days, told.amount, arguments.until)
    later = int((days > np.datetime64(arguments.until)).sum())
    if later:
        newcomers = len(told.labels) - len(found.customer)
        print(
            f"left out: {later} purchases after {arguments.until}, {newcomers} customers new since then",
            file=sys.stderr,
        )
    rows, customer = found.rows, found.customer.astype(np.int64)
    age = np.rint(rows.T / rfm.DAY).astype("timedelta64[D]")
    first: Instants = np.asarray(np.datetime64(arguments.until, "D") - age)
    files.write_csv(
        arguments.output,
        {
            "customer": [told.labels[place] for place in customer],
            "x": rows.x.astype(np.int64),
            "t_x": rows.t_x,
            "T": rows.T,
            "mean_amount": np.where(rows.x > 0, found.mean_amount, np.nan),
            "first": first.astype(str).tolist(),
        },
    )
    return 0
