"""`scoring summarize | fit | predict` as an analyst uses them: files in, files out."""

import csv
import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scoring.analysis.cli import main
from scoring.models import bg_nbd, clv, complaint_clock, gamma_gamma, mbg_nbd, pareto_nbd
from scoring.models.complaint_clock import Clock
from scoring.models.complaint_effect import PRIOR_GAMMA, Gamma
from scoring.models.complaints import Schedules
from tests.unit.scoring.models.complaint_worlds import NO_HARM, Kind, simulate

CDNOW = Path(__file__).parents[4] / "deploy/local/data/cdnow_sample.csv"
COMPLAINTS = "customer,opened,resolved,outcome,severity"


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """CDNOW's purchases, summarized until 1997-09-30."""
    folder = tmp_path_factory.mktemp("cdnow")
    with CDNOW.open(newline="") as source, (folder / "tx.csv").open("w", newline="") as target:
        writer = csv.writer(target)
        writer.writerow(["customer", "date", "amount"])
        writer.writerows((row["customer"], row["date"], row["amount_usd"]) for row in csv.DictReader(source))
    made = ["--transactions", str(folder / "tx.csv"), "--output", str(folder / "rfm.csv")]
    assert main(["summarize", *made, "--until", "1997-09-30"]) == 0
    for model in ("pareto-nbd", "bg-nbd", "mbg-nbd", "gamma-gamma"):
        assert fit(folder, model, "none") == 0
    return folder


def fit(folder: Path, model: str, prior: str = "published", *more: str, rfm: str = "rfm.csv") -> int:
    files = ["--input", str(folder / rfm), "--output", str(folder / f"{model}.json")]
    return main(["fit", "--model", model, "--prior", prior, *files, *more])


def predict(folder: Path, model: str, *more: str, rfm: str = "rfm.csv", horizon: str = "39") -> int:
    files = ["--input", str(folder / rfm), "--output", str(folder / "scores.csv")]
    return main(["predict", "--model", str(folder / f"{model}.json"), *files, "--horizon", horizon, *more])


def model(folder: Path, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / f"{name}.json").read_text())
    return found


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as lines:
        return list(csv.DictReader(lines))


def column(path: Path, name: str) -> Any:
    return np.array([float(row[name] or "nan") for row in rows(path)])


def few(folder: Path, text: str, name: str = "rfm.csv") -> Path:
    (folder / name).write_text(text)
    return folder / name


def test_purchases_become_a_row_per_customer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    few(
        tmp_path,
        "date,amount,customer\n2024-01-01,10,b\n2024-01-15T23:59:00Z,20.5,b\n2024-01-15T01:00,4.5,b\n"
        "2024-01-20T23:30:00-05:00,7,a\n2024-03-01,1,b\n2024-03-01,1,c\n",
        "tx.csv",
    )
    files = ["--transactions", str(tmp_path / "tx.csv"), "--output", str(tmp_path / "rfm.csv")]
    assert main(["summarize", *files, "--until", "2024-01-29"]) == 0
    assert rows(tmp_path / "rfm.csv") == [
        {"customer": "b", "x": "1", "t_x": "2.0", "T": "4.0", "mean_amount": "25.0", "first": "2024-01-01"},
        {"customer": "a", "x": "0", "t_x": "0.0", "T": str(8 / 7), "mean_amount": "", "first": "2024-01-21"},
    ]
    assert "2 purchases after 2024-01-29, 1 customers" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "parameters", "log_likelihood"),
    [
        ("pareto-nbd", {"r": 0.553, "alpha": 10.578, "s": 0.606, "beta": 11.669}, -9594.976),
        ("bg-nbd", {"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}, -9582.429),
        ("mbg-nbd", {"r": 0.525, "alpha": 6.183, "a": 0.891, "b": 1.614}, -9582.136),
        ("gamma-gamma", {"p": 6.25, "q": 3.744, "gamma": 15.444}, -4055.918),
    ],
)
def test_the_published_fits_come_out_of_the_command_line(
    work: Path, name: str, parameters: dict[str, float], log_likelihood: float
) -> None:
    found = model(work, name)
    assert found["model"] == name
    assert found["parameters"] == pytest.approx(parameters, abs=6e-4)
    assert found["log_likelihood"] == pytest.approx(log_likelihood, abs=1e-3)
    assert found["standard_errors"].keys() == parameters.keys()
    assert all(error > 0 for error in found["standard_errors"].values())
    assert found["n"] == (946 if name == "gamma-gamma" else 2357)
    assert (found["converged"], found["prior"], found["prior_driven"]) == (True, "none", False)


@pytest.mark.parametrize(
    ("name", "module"), [("pareto-nbd", pareto_nbd), ("bg-nbd", bg_nbd), ("mbg-nbd", mbg_nbd)]
)
def test_forecasts_are_those_of_the_library(work: Path, name: str, module: Any) -> None:
    more = ["--spend", str(work / "gamma-gamma.json"), "--margin", "0.4", "--yearly-discount", "0.15"]
    assert predict(work, name, *more) == 0
    told, rfm = work / "scores.csv", work / "rfm.csv"
    assert list(rows(told)[0]) == [
        "customer",
        "p_alive",
        "expected_purchases",
        "p_no_purchase",
        "churn",
        "clv",
    ]
    assert [row["customer"] for row in rows(told)] == [row["customer"] for row in rows(rfm)]
    p = module.Params(**model(work, name)["parameters"])
    spend = gamma_gamma.Params(**model(work, "gamma-gamma")["parameters"])
    x, t_x, T = (column(rfm, key) for key in ("x", "t_x", "T"))
    amount = gamma_gamma.expected_amount(spend, x, np.nan_to_num(column(rfm, "mean_amount")))
    until, shares = clv.Terms(margin=0.4, yearly_discount=0.15).schedule()
    bought = sum(s * module.expected_purchases(p, x, t_x, T, t) for t, s in zip(until, shares, strict=True))
    for key, expected in {
        "p_alive": module.p_alive(p, x, t_x, T),
        "expected_purchases": module.expected_purchases(p, x, t_x, T, 39),
        "p_no_purchase": module.p_no_purchase(p, x, T, 39),
        "churn": module.churn(p, x, t_x, T, 39),
        "clv": 0.4 * amount * bought,
    }.items():
        np.testing.assert_allclose(column(told, key), expected, rtol=1e-9, err_msg=key)


def test_without_a_spending_model_the_published_one_is_scaled_to_these_amounts(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert predict(work, "pareto-nbd") == 0
    assert "published spending model" in capsys.readouterr().err
    published = column(work / "scores.csv", "clv")
    assert predict(work, "pareto-nbd", "--spend", str(work / "gamma-gamma.json")) == 0
    np.testing.assert_allclose(published, column(work / "scores.csv", "clv"), rtol=0.02)


def test_without_amounts_the_value_is_left_empty(work: Path, tmp_path: Path) -> None:
    rfm = few(tmp_path, "customer,x,t_x,T\na,2,5,9\n")
    output = ["--output", str(tmp_path / "scores.csv"), "--horizon", "4"]
    given = ["predict", "--model", str(work / "pareto-nbd.json"), "--input", str(rfm), *output]
    assert main(given) == 0
    assert rows(tmp_path / "scores.csv")[0]["clv"] == ""
    assert main([*given, "--spend", str(work / "gamma-gamma.json")]) == 1


def test_nobody_has_no_scores(work: Path, tmp_path: Path) -> None:
    rfm, output = few(tmp_path, "customer,x,t_x,T,mean_amount\n"), tmp_path / "scores.csv"
    given = ["--model", str(work / "pareto-nbd.json"), "--input", str(rfm), "--output", str(output)]
    assert main(["predict", *given, "--horizon", "4"]) == 0
    assert output.read_text() == "customer,p_alive,expected_purchases,p_no_purchase,churn,clv\n"


RFM = "customer,x,t_x,T,first\n" + "".join(
    f"c{i},{i % 4},{(i % 4) * (1 + i % 7)},{30 + i % 20},2024-01-0{1 + i % 9}\n" for i in range(120)
)


def test_complaints_are_estimated_and_the_evidence_is_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few(tmp_path, RFM)
    complaints = few(tmp_path, f"{COMPLAINTS}\nc1,2,4,mishandled,major\nc2,3.5,,,minor\n", "c.csv")
    assert fit(tmp_path, "pareto-nbd-complaints", "published", "--complaints", str(complaints)) == 0
    found = model(tmp_path, "pareto-nbd-complaints")
    names = {"r", "alpha", "s", "beta", "gamma_open", "gamma_mishandled", "gamma_recovered"}
    names |= {"coming_shape", "coming_rate", "coming_after_death", "coming_per_purchase", "coming_lag"}
    names |= {"closing_rate"}
    assert found["parameters"].keys() == found["standard_errors"].keys() == found["in_use"].keys() == names
    assert found["evidence"].keys() >= {"complaints", "statistic", "p_value", "used", "why_not"}
    assert (found["evidence"]["complaints"], found["evidence"]["used"]) == (2, False)
    assert found["in_use"]["gamma_mishandled"] == PRIOR_GAMMA.mishandled
    assert "2 complaints are fewer than 200" in capsys.readouterr().err
    assert predict(tmp_path, "pareto-nbd-complaints", "--complaints", str(complaints), horizon="13") == 0
    alive = column(tmp_path / "scores.csv", "p_alive")
    p = pareto_nbd.Params(**{name: found["in_use"][name] for name in ("r", "alpha", "s", "beta")})
    row = (column(tmp_path / "rfm.csv", key) for key in ("x", "t_x", "T"))
    plain = pareto_nbd.p_alive(p, *row)
    np.testing.assert_allclose(np.delete(alive, [1, 2]), np.delete(plain, [1, 2]))
    assert (alive[[1, 2]] < plain[[1, 2]]).all()
    mine = ["--complaints", str(complaints), "--assumed-effect", "0.5", "-1", "2.5"]
    assert fit(tmp_path, "pareto-nbd-complaints", "published", *mine) == 0
    used = model(tmp_path, "pareto-nbd-complaints")["in_use"]
    assert [used[f"gamma_{phase}"] for phase in ("open", "mishandled", "recovered")] == [0.5, -1, 2.5]


def test_dates_of_complaints_are_counted_from_the_first_purchase(tmp_path: Path) -> None:
    few(tmp_path, RFM)
    few(tmp_path, f"{COMPLAINTS}\nc1,2,4,mishandled,major\nc2,3,,,minor\n", "weeks.csv")
    few(
        tmp_path,
        f"{COMPLAINTS}\nc1,2024-01-16,2024-01-30T09:00:00Z,mishandled,major\nc2,2024-01-24,,,minor\n",
        "dates.csv",
    )
    told = []
    for name in ("weeks.csv", "dates.csv"):
        complaints = ["--complaints", str(tmp_path / name)]
        assert fit(tmp_path, "pareto-nbd-complaints", "published", *complaints) == 0
        assert predict(tmp_path, "pareto-nbd-complaints", *complaints) == 0
        told.append((tmp_path / "scores.csv").read_text())
    assert told[0] == told[1]


def test_what_was_not_known_yet_at_the_end_is_not_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few(tmp_path, RFM)
    few(tmp_path, f"{COMPLAINTS}\nc1,20,,,major\n", "now.csv")
    few(
        tmp_path,
        f"{COMPLAINTS}\nc1,20,40,recovered,major\nc2,45,,,critical\nnew,2024-12-24,,,critical\n",
        "later.csv",
    )
    told = []
    for name in ("now.csv", "later.csv"):
        complaints = ["--complaints", str(tmp_path / name)]
        assert fit(tmp_path, "pareto-nbd-complaints", "published", *complaints) == 0
        assert predict(tmp_path, "pareto-nbd-complaints", *complaints) == 0
        told.append((tmp_path / "scores.csv").read_text())
    assert told[0] == told[1]
    assert "complaints opened after T, left out: 2" in capsys.readouterr().err


def test_a_complaint_resolved_before_it_was_opened_was_open_for_no_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few(tmp_path, RFM)
    few(tmp_path, f"{COMPLAINTS}\nc1,20,18,mishandled,major\n", "odd.csv")
    few(tmp_path, f"{COMPLAINTS}\nc1,20,20,mishandled,major\n", "even.csv")
    told = []
    for name in ("odd.csv", "even.csv"):
        complaints = ["--complaints", str(tmp_path / name)]
        assert fit(tmp_path, "pareto-nbd-complaints", "published", *complaints) == 0
        assert predict(tmp_path, "pareto-nbd-complaints", *complaints) == 0
        told.append((tmp_path / "scores.csv").read_text())
    assert told[0] == told[1]
    assert "open for no time: 1" in capsys.readouterr().err


def test_a_model_fitted_elsewhere_with_clear_evidence_is_used_as_it_is(tmp_path: Path) -> None:
    few(tmp_path, RFM)
    complaints = few(tmp_path, f"{COMPLAINTS}\nc1,2,4,mishandled,major\n", "c.csv")
    in_use = {"r": 0.5, "alpha": 9.0, "s": 0.7, "beta": 11.0}
    in_use |= {"gamma_open": 0.4, "gamma_mishandled": -1.0, "gamma_recovered": 0.0}
    few(tmp_path, json.dumps({"model": "pareto-nbd-complaints", "in_use": in_use}), "own.json")
    assert predict(tmp_path, "own", "--complaints", str(complaints)) == 0
    clock = Clock.of(Schedules.of_arrays([1], [2.0], [4.0], [1], [1.0]), Gamma(0.4, -1.0, 0.0))
    x, t_x, T = (column(tmp_path / "rfm.csv", key) for key in ("x", "t_x", "T"))
    expected = complaint_clock.churn(pareto_nbd.Params(0.5, 9, 0.7, 11), clock, x, t_x, T, 39)
    np.testing.assert_allclose(column(tmp_path / "scores.csv", "churn"), expected)


@pytest.mark.parametrize("name", ["pareto-nbd", "bg-nbd", "mbg-nbd"])
def test_few_customers_lean_on_the_prior_and_say_so(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    few(tmp_path, "customer,x,t_x,T\na,0,0,20\nb,0,0,31\n")
    assert fit(tmp_path, name, "published") == 0
    assert model(tmp_path, name)["prior_driven"]
    assert "prior-driven" in capsys.readouterr().err
    assert fit(tmp_path, name, "none") == 1
    assert "--prior published" in capsys.readouterr().err


def test_a_likelihood_without_a_peak_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    few(tmp_path, "customer,x,t_x,T\na,3,8,8\n")
    assert fit(tmp_path, "bg-nbd", "none") == 0
    assert not model(tmp_path, "bg-nbd")["converged"]
    assert "not converged" in capsys.readouterr().err


def test_spreadsheets_habits_are_understood(tmp_path: Path) -> None:
    few(tmp_path, "customer,x,t_x,T\na,2,5,9\nb,0,0,7\n", "plain.csv")
    spreadsheet = '\ufeff"T","customer","x","t_x"\r\n9, a ,2.0,"5"\r\n\r\n7,"b",0,0\r\n'
    (tmp_path / "odd.csv").write_text(spreadsheet, newline="")
    told = []
    for name in ("plain.csv", "odd.csv"):
        assert fit(tmp_path, "pareto-nbd", rfm=name) == 0
        assert predict(tmp_path, "pareto-nbd", rfm=name) == 0
        told.append((tmp_path / "scores.csv").read_text())
    assert told[0] == told[1]


def test_nothing_half_written_remains(work: Path, tmp_path: Path) -> None:
    kept = few(tmp_path, "as it was", "scores.csv")
    rfm = few(tmp_path, "customer,x,t_x,T\na,2,5,9\nb,0,0,-7\n")
    given = ["--model", str(work / "pareto-nbd.json"), "--input", str(rfm), "--output", str(kept)]
    assert main(["predict", *given, "--horizon", "4"]) == 1
    assert kept.read_text() == "as it was"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rfm.csv", "scores.csv"]


def test_no_file_that_is_read_is_replaced_by_what_is_made_of_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    transactions = few(tmp_path, "customer,date,amount\na,2024-01-01,5\n", "tx.csv")
    (tmp_path / "link.csv").symlink_to(transactions)
    for output in (transactions, tmp_path / "link.csv"):
        given = ["--transactions", str(transactions), "--output", str(output), "--until", "2024-01-08"]
        assert main(["summarize", *given]) == 2
        assert "is the file of --transactions too, which would be lost" in capsys.readouterr().err
    assert transactions.read_text() == "customer,date,amount\na,2024-01-01,5\n"


def test_where_a_result_cannot_go_is_said_before_any_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = ["--model", "pareto-nbd", "--input", str(tmp_path / "missing.csv"), "--output"]
    assert main(["fit", *missing, str(tmp_path / "nowhere" / "model.json")]) == 2
    assert "nowhere/model.json: No such file or directory" in capsys.readouterr().err
    assert main(["fit", *missing, str(tmp_path)]) == 2
    assert f"{tmp_path}: Is a directory" in capsys.readouterr().err


def test_a_model_names_everything_that_is_wrong_with_it(
    work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = '{"model": "pareto-nbd", "parameters": {"r": -1, "alpha": "x", "s": 0.6, "beta": null}}'
    few(tmp_path, bad, "pareto-nbd.json")
    few(tmp_path, '{"model": "gamma-gamma", "parameters": {"p": 6, "q": 1, "gamma": 15}}', "spend.json")
    given = ["--input", str(work / "rfm.csv"), "--output", str(tmp_path / "never.csv"), "--horizon", "4"]
    assert main(["predict", "--model", str(tmp_path / "pareto-nbd.json"), *given]) == 1
    told = capsys.readouterr().err
    for field in ('"parameters.r": -1 is', "\"parameters.alpha\": 'x' is", '"parameters.beta": None is'):
        assert f"{field} not a positive number" in told
    given += ["--spend", str(tmp_path / "spend.json")]
    assert main(["predict", "--model", str(work / "pareto-nbd.json"), *given]) == 1
    assert '"parameters.q": 1 is not a number above 1' in capsys.readouterr().err
    assert not (tmp_path / "never.csv").exists()


def test_what_the_data_hardly_tell_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    few(tmp_path, "customer,x,t_x,T\na,3,5,10\n")
    assert fit(tmp_path, "bg-nbd", "none") == 0
    assert "the data hardly determine r, alpha, a, b" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "rule"),
    [
        (["fit", "--model", "nbd"], "invalid choice"),
        (["fit", "--model", "pareto-nbd", "--complaints", "c.csv"], "--complaints goes with"),
        (["fit", "--model", "pareto-nbd-complaints"], "--complaints goes with"),
        (["fit", "--model", "pareto-nbd", "--assumed-effect", "1", "1", "0"], "--assumed-effect goes with"),
        (["fit", "--model", "pareto-nbd", "--assumed-effect", "1", "1", "e"], "number from -10 to 10"),
        (["predict", "--model", "gamma-gamma.json", "--horizon", "4"], "foresees no purchases"),
        (["predict", "--model", "bg-nbd.json", "--horizon", "4", "--spend", "bg-nbd.json"], "is bg-nbd, not"),
        (["predict", "--model", "bg-nbd.json", "--horizon", "4", "--complaints", "c.csv"], "does not know"),
        (["predict", "--model", "bg-nbd.json", "--horizon", "0"], "weeks above 0"),
        (["predict", "--model", "bg-nbd.json", "--horizon", "nan"], "weeks above 0"),
        (["predict", "--model", "bg-nbd.json", "--horizon", "4", "--margin", "7"], "a share above 0"),
        (["predict", "--model", "missing.json", "--horizon", "4"], "missing.json: No such file"),
        (["nonsense"], "invalid choice"),
        ([], "required: COMMAND"),
    ],
)
def test_wrong_use_is_explained_and_ends_with_2(
    work: Path,
    more: list[str],
    rule: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(work)
    files = ["--input", "rfm.csv", "--output", "never.json"] if more else []
    assert main([*more, *files]) == 2
    assert rule in capsys.readouterr().err
    assert not (work / "never.json").exists()


def test_the_installed_command_answers_quickly_without_the_service(work: Path) -> None:
    command = Path(sys.executable).with_name("scoring")
    done = subprocess.run([command, "--help"], capture_output=True, text=True, check=True)
    assert "summarize" in done.stdout
    code = (
        "import sys; from scoring.analysis.cli import main;"
        f"main(['predict', '--model', r'{work / 'bg-nbd.json'}', '--input', r'{work / 'rfm.csv'}',"
        f" '--horizon', '4', '--output', r'{work / 'scores.csv'}']);"
        "print({'fastapi', 'asyncpg', 'shared', 'matplotlib', 'pandas'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_complaints_count_as_signs_of_life_where_what_they_do_is_not_clear(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = simulate(Kind(harm=NO_HARM), 300, 5)
    columns = zip(world.rows.x, world.rows.t_x, world.rows.T, strict=True)
    few(
        tmp_path, "customer,x,t_x,T\n" + "".join(f"c{i},{x},{t},{T}\n" for i, (x, t, T) in enumerate(columns))
    )
    made = zip(world.schedules.owner, world.schedules.start, world.schedules.opened, strict=True)
    lines = [f"c{world.schedules.customer[who]},{at},,,major" for who, at, opened in made if opened]
    complaints = few(tmp_path, "\n".join([COMPLAINTS, *lines]) + "\n", "c.csv")
    assert fit(tmp_path, "pareto-nbd-complaints", "none", "--complaints", str(complaints)) == 0
    found = model(tmp_path, "pareto-nbd-complaints")
    assert found["evidence"]["complaints"] >= 200
    assert not found["evidence"]["used"]
    assert found["in_use"]["gamma_open"] == 0
    assert found["in_use"]["coming_after_death"] < 0.2
    assert "complaints still count as signs of life" in capsys.readouterr().err


@pytest.mark.parametrize("prior", ["none", "published"])
def test_amounts_and_counts_at_their_bounds_make_a_finite_spending_model(tmp_path: Path, prior: str) -> None:
    few(tmp_path, "customer,x,t_x,T,mean_amount\na,1,1,2,1e-15\nb,10000000,1,2,1e15\nc,3,1,2,20\n")
    assert fit(tmp_path, "gamma-gamma", prior) == 0
    found = model(tmp_path, "gamma-gamma")
    assert np.isfinite([found["log_likelihood"], *found["parameters"].values()]).all()


def test_p_alive_is_exact_for_as_many_purchases_as_a_file_may_hold(tmp_path: Path) -> None:
    """Who bought ten million times within ten weeks may well be gone after 20 seconds of silence."""
    silence, x = 3.4e-5, 10_000_000
    few(tmp_path, f"customer,x,t_x,T\na,{x},10,{10 + silence!r}\n")
    p = pareto_nbd.Params(0.55, 10.6, 0.6, 11.7)
    few(tmp_path, json.dumps({"model": "pareto-nbd", "parameters": asdict(p)}), "pareto-nbd.json")
    assert predict(tmp_path, "pareto-nbd") == 0
    T = float(repr(10 + silence))
    instants = np.linspace(10, T, 100_001)
    dying = ((p.alpha + T) / (p.alpha + instants)) ** (p.r + x) * p.s / (p.beta + instants)
    dying *= ((p.beta + T) / (p.beta + instants)) ** p.s
    odds = np.trapezoid(dying, instants)
    assert 0.1 < odds < 10
    assert column(tmp_path / "scores.csv", "p_alive")[0] == pytest.approx(1 / (1 + odds), rel=1e-7)
