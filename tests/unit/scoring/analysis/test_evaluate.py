"""`scoring evaluate`: from files to metrics and a page."""

import argparse
import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from scoring.analysis.evaluate import add_arguments, run
from scoring.analysis.files import BadFile
from tests.unit.scoring.models.worlds import BEGIN, pareto_nbd_world

DATES = {"calibration-end": "2024-09-30", "holdout-end": "2025-03-31", "calibrate-origin": "2024-06-01"}


def evaluate(folder: Path, *more: str, **dates: str) -> int:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    given = DATES | {name.replace("_", "-"): value for name, value in dates.items()}
    words = [word for name, value in given.items() for word in (f"--{name}", value)]
    return run(
        parser.parse_args(
            [
                "--transactions",
                str(folder / "tx.csv"),
                "--output",
                str(folder / "metrics.json"),
                *words,
                *more,
            ]
        )
    )


def metrics(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "metrics.json").read_text())
    return found


def write(path: Path, head: str, rows: list[str]) -> None:
    path.write_text("\n".join([head, *rows, ""]))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    bought = pareto_nbd_world(300, 4)
    rows = [f"c{who},{day},10" for who, day in zip(bought.customer, bought.day, strict=True)]
    write(tmp_path / "tx.csv", "customer,date,amount", rows)
    complaints = [f"c{who},2024-0{who % 5 + 3}-11,,,major" for who in range(20)]
    complaints += [f"c{who},2024-05-11,2024-05-20,recovered,minor" for who in range(20, 30)]
    write(tmp_path / "complaints.csv", "customer,opened,resolved,outcome,severity", complaints)
    return tmp_path


def test_every_model_is_measured_raw_and_calibrated(folder: Path) -> None:
    assert evaluate(folder) == 0
    found = metrics(folder)
    assert list(found) == ["pareto-nbd", "bg-nbd", "mbg-nbd"]
    for one in found.values():
        for how in ("raw", "calibrated"):
            assert {"rmse", "mae", "auc", "brier", "ece", "bias"} <= set(one[how])
            assert 0 < one[how]["brier"] < 0.25
        assert one["n"] == 300
        assert one["observed"]["churned"] == round(one["observed"]["churn_rate"] * 300)
        low, high = one["expected"]["churn_rate_interval_90"]
        assert low < one["expected"]["churn_rate"] < high
    assert set(found["pareto-nbd"]["parameters"]) == {"r", "alpha", "s", "beta"}
    assert not found["pareto-nbd"]["prior_driven"]


def test_with_complaints_the_model_that_knows_them_is_measured_too(folder: Path) -> None:
    assert evaluate(folder, "--complaints", str(folder / "complaints.csv")) == 0
    one = metrics(folder)["pareto-nbd-complaints"]
    why_not = "fewer than 200 complaints"
    assert one["complaints"] == {
        "complaints": 30, "effect": "prior", "signs_of_life": False, "p_value": None, "p_assumed": None,
        "why_not": why_not,
    }  # fmt: skip
    assert {"gamma_open", "gamma_mishandled", "gamma_recovered"} <= set(one["parameters"])


def test_of_few_complaints_the_effect_is_the_one_assumed(folder: Path) -> None:
    told = []
    for effect in ("1.5 2 0.3", "0 0 0"):
        given = ["--complaints", str(folder / "complaints.csv"), "--assumed-effect", *effect.split()]
        assert evaluate(folder, *given) == 0
        found = metrics(folder)
        told.append(found["pareto-nbd-complaints"]["raw"]["brier"])
    assert told[1] == pytest.approx(found["pareto-nbd"]["raw"]["brier"]), "no effect: the plain model"
    assert told[0] != pytest.approx(told[1])


def test_the_calibrator_learns_nothing_of_what_comes_after(folder: Path) -> None:
    evaluate(folder)
    before = metrics(folder)
    lines = (folder / "tx.csv").read_text().splitlines()
    write(folder / "tx.csv", lines[0], [line for line in lines[1:] if line.split(",")[1] <= "2024-09-30"])
    evaluate(folder)
    for kind, one in metrics(folder).items():
        assert one["parameters"] == before[kind]["parameters"]
        assert one["calibration"]["calibrator"] == before[kind]["calibration"]["calibrator"]
        assert one["raw"]["auc"] is None
        assert "everybody churned" in one["raw"]["undetermined"]["auc"]


def test_the_origin_asked_for_gives_way_to_one_that_looks_as_far_ahead(folder: Path) -> None:
    evaluate(folder, calibrate_origin="2024-09-01")
    told = metrics(folder)["pareto-nbd"]["calibration"]
    assert (told["asked_origin"], told["origin"], told["until"]) == ("2024-09-01", "2024-06-12", "2024-09-30")
    evaluate(folder, calibrate_origin="2024-03-01", holdout_end="2024-11-30")
    told = metrics(folder)["pareto-nbd"]["calibration"]
    assert (told["origin"], told["until"]) == ("2024-03-01", "2024-05-01")
    assert told["horizon_weeks"] == metrics(folder)["pareto-nbd"]["period"]["horizon_weeks"]


@pytest.mark.parametrize(
    ("dates", "said"),
    [
        ({"holdout_end": "2024-09-30"}, "--holdout-end 2024-09-30: is not after"),
        ({"calibrate_origin": "2024-09-30"}, "--calibrate-origin 2024-09-30: is not before"),
        ({"calibration_end": "2020-01-02", "calibrate_origin": "2020-01-01"}, "no purchase up to that day"),
        ({"calibrate_origin": "2019-12-31"}, "--calibrate-origin 2019-12-31: "),
    ],
)
def test_dates_that_make_no_sense_are_named(
    folder: Path, capsys: pytest.CaptureFixture[str], dates: dict[str, str], said: str
) -> None:
    assert evaluate(folder, **dates) == 2
    assert said in capsys.readouterr().err
    assert not (folder / "metrics.json").exists()


def test_a_period_that_the_file_may_not_cover_is_told(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(folder) == 0
    assert "taken for lost" not in capsys.readouterr().err
    assert evaluate(folder, holdout_end="2026-09-30") == 0
    assert "--holdout-end 2026-09-30, was not written down" in capsys.readouterr().err


def test_what_is_no_date_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        evaluate(folder, holdout_end="31.3.2025")
    assert "is not a date like 1997-09-30" in capsys.readouterr().err


def test_a_bad_file_names_line_column_and_rule(folder: Path) -> None:
    write(folder / "tx.csv", "customer,date,amount", ["a,2024-01-01,-3"])
    with pytest.raises(BadFile, match=r"tx\.csv, line 2, column amount"):
        evaluate(folder)


@pytest.mark.parametrize("buyers", [1, 40])
def test_few_customers_are_said_to_be_driven_by_the_prior(folder: Path, buyers: int) -> None:
    days = [BEGIN + timedelta(days=7 * who) for who in range(buyers)]
    write(folder / "tx.csv", "customer,date,amount", [f"{who},{day},5" for who, day in enumerate(days)])
    assert evaluate(folder, "--report", str(folder / "report.html")) == 0
    one = metrics(folder)["pareto-nbd"]
    assert one["prior_driven"]
    assert one["calibrated"]["undetermined"]
    assert "too few for parameters of" in (folder / "report.html").read_text()


def test_the_report_is_one_page_that_needs_nothing_else(folder: Path) -> None:
    page_file = folder / "report.html"
    complaints = ("--complaints", str(folder / "complaints.csv"))
    assert evaluate(folder, "--report", str(page_file), *complaints) == 0
    page = page_file.read_text()
    assert page.count("<svg") == 6
    assert not re.search(r"""(src|href)=["'](?!#)""", page.replace("xlink:", ""))
    assert not re.search(r"https?://(?!www\.w3\.org|purl\.org|creativecommons\.org)", page)
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    links = re.findall(r'href="#([^"]+)"', page) + re.findall(r"url\(#([^)]+)\)", page)
    assert links
    assert set(links) <= set(ids)
    for words in (
        "Pareto/NBD with complaints",
        "had been forecast",
        "The models compared",
        "Purchases per week",
    ):
        assert words in page
