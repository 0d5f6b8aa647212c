"""CSV files: every supported form, header, delimiter and target columns."""

from functools import partial

import numpy as np
import pytest
from data_files import PLAIN, message, write_file
from shared_data import shared_data

from fastsnn.data import read_table


@pytest.fixture
def write(tmp_path):
    return partial(write_file, tmp_path)


@pytest.mark.parametrize(
    "content, name, encoding",
    [
        (PLAIN, "t.csv", "utf-8"),
        (PLAIN, "T.CSV", "utf-8"),
        (PLAIN, "t.csv.gz", "utf-8"),
        (PLAIN, "t.csv", "utf-8-sig"),
        (PLAIN, "t.csv.gz", "utf-8-sig"),
        (PLAIN.replace(",", ";"), "t.csv", "utf-8"),
        (PLAIN.replace(",", "\t"), "t.csv", "utf-8"),
        (PLAIN.replace(",", " , "), "t.csv", "utf-8"),
        (PLAIN.replace("\n", "\r"), "t.csv", "utf-8"),
        (PLAIN.replace("\n", "\r\n"), "t.csv", "utf-8"),
        (PLAIN.rstrip("\n"), "t.csv", "utf-8"),
        ("\n" + PLAIN.replace("\n", "\n\n"), "t.csv", "utf-8"),
        ('"a","b","kind"\n"1","2.5","cat"\n"-3e1","4","dog"\n', "t.csv", "utf-8"),
    ],
)
def test_csv_forms(write, content, name, encoding):
    table = read_table(write(content, name, encoding))
    assert table.train.x.dtype == np.float64 and table.train.x.flags.c_contiguous
    assert table.train.x.tolist() == [[1, 2.5], [-30, 4]]
    assert table.train.y.dtype == np.int64 and table.train.y.tolist() == [0, 1]
    assert table.task == "classification" and table.class_names == ("cat", "dog")
    assert table.feature_names == ("a", "b") and table.target_names == ("kind",)
    assert table.validation is None and table.test is None


def test_csv_without_header(write):
    table = read_table(write("1,2,x\n3,4,y\n5,6,x\n"))
    assert table.train.x.tolist() == [[1, 2], [3, 4], [5, 6]]
    assert table.feature_names is None and table.target_names == ("2",)


def test_csv_header_is_seen_by_the_name_of_the_target(write):
    path = write("kind,0,1\nx,5,6\ny,7,8\n")
    assert read_table(path, "kind").feature_names == ("0", "1")
    text = message(read_table, path)
    assert "line 1, column 0 (from 0)" in text and "'kind'" in text and "--header" in text


def test_csv_a_bad_cell_in_the_first_row_does_not_make_it_a_header(write):
    text = message(read_table, write("1.5,?,0\n2.5,1,1\n"))
    assert "line 1, column 1 (from 0)" in text and "'?'" in text
    assert "line 1, column 1 (from 0)" in message(read_table, write("7,?,0\n2,1,1\n"))
    assert "line 1, column 2 (from 0)" in message(read_table, write("3,3,2..5,0\n1,2,3,1\n"))
    assert "'2..5'" in message(read_table, write("1.5,2..5,0\n2.5,1,1\n"))


@pytest.mark.parametrize("target", ["b", "1", "-2", 1, -2, ["b"], [1], " b "])
def test_csv_target_by_name_or_index(write, target):
    table = read_table(write("a,b,c\n1,7,2\n3,8,4\n"), target)
    assert table.train.x.tolist() == [[1, 2], [3, 4]] and table.class_names == ("7", "8")


def test_csv_a_name_beats_an_index_and_may_hold_commas(write):
    path = write('"0","u,v",w\n1,0.5,2\n3,1.5,4\n')
    assert read_table(path, "u,v").target_names == ("u,v",)
    path = write("1,0,w\n1,0.5,2\n3,1.5,4\n")
    assert read_table(path, "0", header=True).target_names == ("0",)
    assert read_table(path, "0", header=True).train.x[:, 0].tolist() == [1, 3]


def test_csv_several_targets_in_the_order_asked_for(write):
    path = write("a,u,v\n1,0.5,2\n3,1.5,4\n")
    table = read_table(path, "v, u")
    assert table.task == "regression" and table.target_names == ("v", "u")
    assert table.train.y.dtype == np.float64 and table.train.y.tolist() == [[2, 0.5], [4, 1.5]]


def test_csv_missing_targets_are_for_multitask(write):
    path = write("a,u,v\n1,0,\n3,NA,1\n")
    table = read_table(path, "u,v")
    assert table.task == "multitask"
    np.testing.assert_array_equal(table.train.y, np.float32([[0, np.nan], [np.nan, 1]]))
    text = message(read_table, path, "u,v", "regression")
    assert "line 2, column 'v'" in text and "a missing value" in text
    one = write("a,u\n1,0\n3,\n")
    assert np.isnan(read_table(one, task="multitask").train.y[1, 0])
    text = message(read_table, one)
    assert "line 3, column 'u'" in text and "every row needs a class" in text


def test_csv_of_many_rows(write):
    want = np.random.default_rng(0).normal(size=(4000, 7)).astype(np.float32)
    path = write("\n".join(",".join(map(repr, row)) for row in want.tolist()))
    table = read_table(path)
    assert table.task == "regression"
    assert np.array_equal(np.hstack([table.train.x, table.train.y]), want)


def test_csv_htru2():
    data = shared_data()
    if data is None or not (data / "htru2" / "HTRU_2.csv").exists():
        pytest.skip("htru2 is not at hand: set FASTSNN_DATA")
    path = data / "htru2" / "HTRU_2.csv"  # its lines end in a carriage return alone
    table = read_table(path)
    assert table.task == "classification" and table.class_names == ("0", "1")
    assert table.train.x.shape == (17_898, 8)
    assert np.bincount(table.train.y).tolist() == [16_259, 1_639]
    lowest = [5.8125, 24.772, -1.876, -1.792, 0.213, 7.370, -3.139, -1.977]
    np.testing.assert_allclose(table.train.x.min(0), lowest, atol=1e-3)
