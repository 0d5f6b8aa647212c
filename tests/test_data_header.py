"""The first line of a CSV file: names, a row, or unclear; and the options that override it."""

from functools import partial

import pytest
from data_files import message, write_file

from fastsnn.data import load, read_features, read_table


@pytest.fixture
def write(tmp_path):
    return partial(write_file, tmp_path)


ROWS = "2.4,3.9,4.7,A\n7.1,4.0,3.2,B\n5.7,8.8,5.4,A\n"
NUMBERS = "2.4,3.9,4.7,0\n7.1,4.0,3.2,1\n5.7,8.8,5.4,1\n"


@pytest.mark.parametrize("first", ["a,b,c,k", "a b,c-d,ü,NaNs", '"1st","2nd","3rd","4th"'])
@pytest.mark.parametrize("rows", [ROWS, NUMBERS])
def test_words_alone_are_a_header(write, first, rows):
    table = read_table(write(f"{first}\n{rows}"))
    assert len(table.train) == 3 and len(table.feature_names) == 3
    assert table.found.startswith("header; ")


@pytest.mark.parametrize("first", ["1,2,3,A", "0,0,0,B", "4,5,6,A"])
def test_numbers_and_a_label_that_occurs_again_are_a_row(write, first):
    table = read_table(write(f"{first}\n{ROWS}"))
    assert len(table.train) == 4 and table.class_names == ("A", "B")
    assert table.feature_names is None and table.found.startswith("no header; ")


@pytest.mark.parametrize(
    "first, rows",
    [
        ("0,1,2,3", NUMBERS),  # written by pandas for columns without names
        ("0,1,2,3", ROWS),
        ("400.5,401.0,401.5,species", ROWS),  # a spectrum
        ("400.5,401.0,401.5,species", NUMBERS),
        ("0,1,2,label", ROWS),
        ("5,6,7,C", ROWS),  # a class of a single row, or a name
        ("1,2,3,4", ROWS),  # written by R for columns without names
        ("1,2,3,4", NUMBERS + NUMBERS),
        ("2019,2020,2021,2022", NUMBERS + NUMBERS),  # years
        ("2019,2020,2021,2022", ROWS),
        ("2019,2020,2021,2022", NUMBERS.replace("\n", ".5\n")),
        ("400.5,401.0,401.5,402.0", ROWS),  # a number among words: a class of a single row
        ("a,b,c,A", ROWS),  # a row with three bad cells, or a column with the name of a class
    ],
)
def test_unclear_first_lines_are_refused_and_decided_by_the_option(write, first, rows):
    path = write(f"{first}\n{rows}")
    text = message(read_table, path)
    assert f"{path}, line 1: it is unclear" in text and "--header or --no-header" in text
    table = read_table(path, header=True)
    assert len(table.train) == rows.count("\n")
    assert [*table.feature_names, *table.target_names] == first.split(",")
    if not first.startswith("a"):
        assert len(read_table(path, header=False).train) == 1 + rows.count("\n")


@pytest.mark.parametrize(
    "text",
    [
        "1,2,3\n4,5,6\n7,8,9\n",  # as far apart as the numbers of line 1
        "1,2,3\n1,5,3\n1,8,4\n1,8,4\n",  # the label occurs again
        "1,2,3\n1,5,4\n1,8,0.5\n",
        "1,3,2\n1,5,4\n1,8,4\n",
        "1,2\n1,5\n1,5\n",
        "1,2,7\n1,5,a\n1,8,9\n1,8,a\n",  # 9 is a number, too
    ],
)
def test_numbers_are_a_row(write, text):
    table = read_table(write(text))
    assert len(table.train) == text.count("\n") and table.feature_names is None


def test_numbers_are_a_row_for_a_model_without_names(write):
    path = write("1,2,3,4\n" + NUMBERS + NUMBERS)
    assert len(read_table(path, task="regression", unclear=False).train) == 7


def test_a_single_column_that_begins_with_0_is_unclear(write):
    path = write("0\n1.5\n2.5\n")
    assert "unclear" in message(read_features, path, None, 1)
    assert read_features(path, None, 1, header=True).tolist() == [[1.5], [2.5]]
    assert read_features(path, None, 1, unclear=False).tolist() == [[0], [1.5], [2.5]]
    assert read_features(path, ("0",), 1).tolist() == [[1.5], [2.5]]


@pytest.mark.parametrize("cell", ["NULL", "None", "", "2..5", "oops", "#N/A", "inf", "1_0", "1,5"])
@pytest.mark.parametrize("where", [0, 1, 2])
def test_a_bad_cell_in_line_1_is_refused_as_in_any_other(write, cell, where):
    cells = ["2.5", "2.5", "1", "A"]
    cells[where] = f'"{cell}"'
    text = message(read_table, write(",".join(cells) + "\n" + ROWS))
    assert f"line 1, column {where} (from 0)" in text and repr(cell) in text
    text = message(read_table, write(ROWS + ",".join(cells) + "\n"))
    assert f"line 4, column {where} (from 0)" in text and repr(cell) in text


def test_names_among_numbers_need_the_option(write):
    path = write("age,2019,2020,k\n" + ROWS)
    text = message(read_table, path)
    assert "line 1, column 0 (from 0)" in text and "'age'" in text and "--header" in text
    assert read_table(path, header=True).feature_names == ("age", "2019", "2020")
    assert read_table(path, "k").feature_names == ("age", "2019", "2020")  # k is given
    assert "--header" in message(read_table, path, "x")


def test_the_index_of_pandas_is_refused(write):
    for first in (",a,b,c", ",0,1,2"):
        text = message(read_table, write(f"{first}\n0,1.5,2.5,0\n1,1.5,2.5,1\n"))
        assert "column 0 (from 0) needs a name" in text and "index=False" in text


def test_no_header_says_which_word_is_no_number(write):
    text = message(read_table, write("a,b,c,k\n" + ROWS), header=False)
    assert "line 1, column 0 (from 0)" in text and "'a'" in text


def test_a_known_label_is_no_name(write):
    path = write("1,2,3,C\n")
    assert "unclear" in message(read_table, path)
    table = read_table(path, class_names=("A", "C"))
    assert table.train.y.tolist() == [1]


def test_header_goes_through_load_and_not_to_other_data(write, tmp_path):
    path = write("400.5,401.0,401.5,species\n" + ROWS)
    assert load(path, header=True, validation=0).class_names == ("A", "B")
    with pytest.raises(ValueError, match="header applies only to CSV files, got True"):
        load(tmp_path / "t.npz", header=True)
