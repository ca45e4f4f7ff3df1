"""What is wrong with a file is told all at once: file, line, column, value and rule."""

from pathlib import Path

import numpy as np
import pytest

from scoring.analysis import files, since_first
from scoring.analysis.files import BadFile


def told(path: Path) -> list[str]:
    with pytest.raises(BadFile) as problems:
        files.read_rfm(path)
    return [line.replace(str(path), "FILE") for line in str(problems.value).split("\n")]


def written(folder: Path, text: str | bytes, name: str = "file.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("a,2.5,1,3,4", 'column x: "2.5": is not a whole number from 0 to 10,000,000'),
        ("a,-1,1,3,4", 'column x: "-1": is not a whole number from 0 to 10,000,000'),
        ("a,1_0,1,3,4", 'column x: "1_0": is not a whole number from 0 to 10,000,000'),
        ("a,x,1,3,4", 'column x: "x": is not a whole number from 0 to 10,000,000'),
        ("a,10000001,1,3,4", 'column x: "10000001": is not a whole number from 0 to 10,000,000'),
        ("a,1,4,3,4", 'column t_x: "4": is after T'),
        ("a,0,1,3,", 'column t_x: "1": is not 0, though x = 0: who bought once bought last at 0'),
        ("a,1,0,3,4", 'column t_x: "0": is 0, though x > 0: who bought again did so later'),
        ("a,1,1,nan,4", 'column T: "nan": is not a number from 0 to 1,000,000'),
        ("a,1,1,inf,4", 'column T: "inf": is not a number from 0 to 1,000,000'),
        ("a,1,,3,4", 'column t_x: "": is not a number from 0 to 1,000,000'),
        ("a,1,1,3,-0.01", 'column mean_amount: "-0.01": is not a number from 0 to 1,000,000,000,000,000'),
        ("a,1,1,3,1e-16", 'column mean_amount: "1e-16": is neither 0 nor at least 1e-15'),
        ("a,1,1,1e7,4", 'column T: "1e7": is not a number from 0 to 1,000,000'),
        ("a,1,1,3,", 'column mean_amount: "": is empty, though x > 0'),
        (" ,1,1,3,4", 'column customer: " ": may not be empty'),
    ],
)
def test_a_value_that_breaks_a_rule_is_named(tmp_path: Path, row: str, problem: str) -> None:
    path = written(tmp_path, f"customer,x,t_x,T,mean_amount\nfine,0,0,2,\n{row}\n")
    assert told(path) == [f"FILE, line 3, {problem}"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "FILE, line 1: the file is empty"),
        (
            "\n\n",
            "FILE, line 1: the file has nothing but empty lines; its first line has to name the columns",
        ),
        ("\r\n\ncustomer,x,T\n", "FILE, line 3, column t_x: is missing"),
        ("\ncustomer,x,t_x,T\n\na,-1,1,2\n", 'FILE, line 4, column x: "-1": is not'),
        ('\n"customer","x","t_x\n",T\na,1,1\n', "FILE, line 4: has 3 fields"),
        ("customer;x;t_x;T\na;1;1;1\n", 'FILE, line 1: "customer;x;t_x;T": columns are separated by commas'),
        ("customer,x,T\n", "FILE, line 1, column t_x: is missing"),
        ("customer,x,t_x,T,age\n", 'FILE, line 1: "age": is not a column of this file'),
        ("customer,x,t_x,T,x\n", "FILE, line 1, column x: is there twice"),
        ("customer,x,t_x,T\na,1,1\n", "FILE, line 2: has 3 fields, the first line 4"),
        (
            "customer,x,t_x,T\na,1,1,2\n\nb,1,1,2\na,1,1,2\n",
            'FILE, line 5, column customer: "a": is on line 2',
        ),
        ('customer,x,t_x,T\n"a,1,1,2\n', "FILE, line 2: is not CSV"),
        ('customer,x,t_x,T\n"a"b,1,1,2\n', "FILE, line 2: is not CSV"),
        ('customer,x,t_x,T\r\n"a\r\nb",1,1,2\r\nc,-1,0,2\r\n', 'FILE, line 4, column x: "-1"'),
        (b"customer,x,t_x,T\nok,1,1,2\nM\xfcller,1,1,2\n", "FILE, line 3: is not UTF-8"),
        ("customer,x,t_x,T\n".encode("utf-16"), "FILE, line 1: is not UTF-8"),
        ("customer,x,t_x,T\n" + "a" * 200_000 + ",1,1,1\n", "FILE, line 2: is not CSV"),
    ],
)
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, text: str | bytes, problem: str) -> None:
    assert told(written(tmp_path, text))[0].startswith(problem)


def test_empty_lines_before_the_first_one_are_passed_over(tmp_path: Path) -> None:
    text = "\n\ncustomer,x,t_x,T\na,1,1,2\n"
    assert files.read_rfm(written(tmp_path, text)).labels == ["a"]
    told = files.read_transactions(written(tmp_path, "\ufeff\ncustomer,date,amount\na,2021-01-05,3\n"))
    assert told.amount.tolist() == [3]


def test_twenty_problems_are_shown_in_the_order_of_the_file_and_the_others_counted(tmp_path: Path) -> None:
    rows = "".join(f"c{i},{'1' if i % 2 else '-1'},{'1' if i % 3 else '9'},2\n" for i in range(30))
    found = told(written(tmp_path, "customer,x,t_x,T\n" + rows))
    lines = [int(problem.split("line ")[1].split(",")[0]) for problem in found[:-1]]
    assert len(lines) == 20
    assert lines == sorted(lines)
    assert found[-1] == "and 5 more"


def test_lines_are_counted_on_beyond_the_first_thousands(tmp_path: Path) -> None:
    rows = "".join(f'"c\n{i}",1,1,2\n' for i in range(9_000))
    assert told(written(tmp_path, f"customer,x,t_x,T\n{rows}d,1,1,0\n"))[0].startswith("FILE, line 18002,")


def test_transactions_are_read_in_utc_and_by_customer(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "customer,date,amount\nb,1969-12-31T23:00:00-05:00,1\na,1997-01-01,0\nb,20240229,2.5\n",
    )
    found = files.read_transactions(path)
    assert found.labels == ["b", "a"]
    assert found.customer.tolist() == [0, 1, 0]
    assert found.instant.astype(str).tolist() == [
        "1970-01-01T04:00:00", "1997-01-01T00:00:00", "2024-02-29T00:00:00",
    ]  # fmt: skip
    assert found.amount.tolist() == [0.0 + 1, 0, 2.5]


def test_an_amount_too_small_to_compute_with_is_named(tmp_path: Path) -> None:
    path = written(tmp_path, "customer,date,amount\na,2024-01-01,0\na,2024-01-02,1e-6\na,2024-01-03,1e-300\n")
    with pytest.raises(BadFile, match='line 4, column amount: "1e-300": is neither 0 nor at least 1e-06'):
        files.read_transactions(path)


@pytest.mark.parametrize("day", ["1997-02-29", "now", "", "01/02/1997", "1997", "NaT", "0"])
def test_what_is_no_date_is_named(tmp_path: Path, day: str) -> None:
    path = written(tmp_path, f"customer,date,amount\na,{day},1\n")
    with pytest.raises(BadFile, match=r"line 2, column date: .* is not a date like 1997-09-30"):
        files.read_transactions(path)


@pytest.mark.parametrize("day", ["0001-01-01", "1899-12-31", "2200-01-01", "9999-12-31"])
def test_a_date_that_nobody_meant_is_named(tmp_path: Path, day: str) -> None:
    transactions = written(tmp_path, f"customer,date,amount\na,{day},1\n")
    with pytest.raises(BadFile, match=rf'line 2, column date: "{day}": is not in the years 1900 to 2199'):
        files.read_transactions(transactions)
    rfm = files.read_rfm(written(tmp_path, "customer,x,t_x,T,first\na,0,0,9,2024-01-01\n", "rfm.csv"))
    complaints = written(tmp_path, f"{HEAD}a,{day},,,major\n", "complaints.csv")
    with pytest.raises(BadFile, match=r"line 2, column opened: .* is not in the years 1900 to 2199"):
        since_first.read(complaints, rfm)


HEAD = "customer,opened,resolved,outcome,severity\n"


def test_complaints_are_read_with_what_is_still_open(tmp_path: Path) -> None:
    text = HEAD + "b,2024-01-01,,,minor\na,2024-01-02T10:00Z,2024-02-01,recovered,critical\n"
    found = files.read_complaints(written(tmp_path, text), ["a", "b"])
    assert found.customer.tolist() == [1, 0]
    assert np.isnat(found.resolved).tolist() == [True, False]
    assert found.outcome.tolist() == [0, 2]
    assert found.severity.tolist() == [0.5, 1.5]


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("zz,2024-01-01,,,major", 'column customer: "zz": is a customer whose purchases are not given'),
        ("a,,,,major", 'column opened: "": is n'),
        ("a,2024-01-01,soon,,major", 'column resolved: "soon": is n'),
        ("a,2024-01-01,2024-01-02,good,major", 'column outcome: "good": is none of mishandled, recovered'),
        ("a,2024-01-01,,recovered,major", 'column outcome: "recovered": is said, though resolved is empty'),
        ("a,2024-01-01,,,grave", 'column severity: "grave": is none of minor, major, critical'),
        ("a,2024-01-01,,,", 'column severity: "": is none of minor, major, critical'),
    ],
)
def test_a_complaint_that_breaks_a_rule_is_named_beside_purchases_and_beside_rows(
    tmp_path: Path, row: str, problem: str
) -> None:
    path = written(tmp_path, f"{HEAD}{row}\n")
    rfm = files.read_rfm(written(tmp_path, "customer,x,t_x,T,first\na,1,2,30,2023-12-01\n", "rfm.csv"))
    with pytest.raises(BadFile) as beside_purchases:
        files.read_complaints(path, ["a"])
    with pytest.raises(BadFile) as beside_rows:
        since_first.read(path, rfm)
    for found in (beside_purchases, beside_rows):
        assert f"line 2, {problem}" in str(found.value)


def test_a_date_needs_a_first_day_to_count_from(tmp_path: Path) -> None:
    rfm = files.read_rfm(written(tmp_path, "customer,x,t_x,T\na,1,2,30\n", "rfm.csv"))
    with pytest.raises(
        BadFile, match=r"column opened: .* is a date, but the customers' file has no column first"
    ):
        since_first.read(written(tmp_path, f"{HEAD}a,2024-01-01,,,major\n"), rfm)


def test_a_first_line_alone_says_that_nobody_complained(tmp_path: Path) -> None:
    rfm = files.read_rfm(written(tmp_path, "customer,x,t_x,T\na,1,2,30\n", "rfm.csv"))
    assert since_first.read(written(tmp_path, HEAD), rfm).complaints == 0


@pytest.mark.parametrize("gone", ["elsewhere/out.json", "."])
def test_a_place_that_cannot_be_written_is_named(tmp_path: Path, gone: str) -> None:
    with pytest.raises(OSError) as error:
        files.write_json(tmp_path / gone, {})
    assert error.value.filename == str(tmp_path / gone)


def test_numbers_read_back_the_same(tmp_path: Path) -> None:
    numbers = np.random.default_rng(1).standard_normal(1000) * 10.0 ** np.arange(-500, 500).clip(-300, 300)
    files.write_csv(tmp_path / "out.csv", {"a": numbers, "b": ['x,\n"y"'] * 1000, "c": None})
    lines = (tmp_path / "out.csv").read_text().split("\n")
    assert lines[0] == "a,b,c"
    assert [float(line.split(",")[0]) for line in lines[1:-1:2]] == numbers.tolist()
