"""The delimiter splits all lines into the same number of columns; decimal commas are recognized."""

from functools import partial

import pytest
from data_files import message, write_file

from fastsnn.data import read_features, read_table


@pytest.fixture
def write(tmp_path):
    return partial(write_file, tmp_path)


@pytest.mark.parametrize(
    "content, where, cell",
    [
        ("Gewicht, kg;Klasse\n70,5;A\n71,5;B\n", "line 2, column 'Gewicht, kg'", "70,5"),
        ("69,2;0\n87,2;1\n69,9;0\n", "line 1, column 0 (from 0)", "69,2"),
        ("69,2\t0\n87,2\t1\n69,9\t0\n", "line 1, column 0 (from 0)", "69,2"),
        ("w;k\n70,5;A\n71;B\n", "line 2, column 'w'", "70,5"),
        ("w;k\n71;A\n70,5;B\n", "line 3, column 'w'", "70,5"),
        ("w;y\n71;1,25\n70;2,5\n", "line 2, column 'y'", "1,25"),
        ("1,5;2,5\n2,5;3,5\n", "line 1, column 0 (from 0)", "1,5"),
        ('w,k\n"70,5",A\n"71,0",B\n', "line 2, column 'w'", "70,5"),
        ('w,y\n1,"1,5"\n2,"2,5"\n', "line 2, column 'y'", "1,5"),
        ("w;k\n1.234,50;A\n1.300,25;B\n", "line 2, column 'w'", "1.234,50"),
        ("w;k\n1,234,567;A\n1,300,250;B\n", "line 2, column 'w'", "1,234,567"),
        ("w;k\n-,5e3;A\n-,25e3;B\n", "line 2, column 'w'", "-,5e3"),
    ],
)
def test_decimal_commas_are_refused_by_name(write, content, where, cell):
    path = write(content)
    text = message(read_table, path)
    assert text.startswith(f"{path}, {where}: must be a number with a decimal point, got '{cell}'")


def test_decimal_commas_in_a_regression_target(write):
    text = message(read_table, write("w;y\n1;2,5\n2;x\n"), task="regression")
    assert "line 2, column 'y'" in text and "decimal point" in text
    table = read_table(write("w;y\n1;2,5\n2;2,6\n"), task="classification")
    assert table.class_names == ("2,5", "2,6")


@pytest.mark.parametrize(
    "content, target, delimiter, columns",
    [
        ("a,b;c\n1,2\n3,4\n", -1, ",", 2),
        ("a, mm;b, mm;k, text, more\n1;2;A\n3;4;B\n", -1, ";", 3),
        ("x\ty\n1\ta,b\n2\tc;d\n", -1, "\t", 2),
        ('1,2,"a;b"\n1,2,"c;d"\n3,4,"a;b"\n', -1, ",", 3),
        ('"a;b";"c\n,\n,,,"\n1;2\n3;4\n', -1, ";", 2),
        ('k;"x"\n"a"";,"";,";1\n"b;,;,";2\n', 0, ";", 2),
        ('5" disk;k\n1;a\n2;b\n', -1, ";", 2),
    ],
)
def test_the_delimiter_gives_every_line_as_many_columns(write, content, target, delimiter, columns):
    table = read_table(write(content), target, "classification")
    assert f"delimiter {delimiter!r}" in table.found
    assert table.train.x.shape[1] == columns - 1


def test_several_ways_are_refused(write):
    text = message(read_table, write("1,2,a;b\n1,2,c;d\n"))
    assert "by ',' into 3 and by ';' into 2 columns" in text and "quote cells" in text


def test_a_line_with_another_number_of_columns_is_named(write):
    text = message(read_table, write("a;b;c\n1;2;x,y\n1;2\n1;2;x\n"))
    assert "line 3: must have 3 columns" in text and "has 2" in text
    late = "a,b\n" + "1,2\n" * 3000 + "1,2,3\n"
    assert "line 3002: must have 2 columns" in message(read_table, write(late))


def test_a_late_comma_does_not_change_the_delimiter(write):
    content = "a;b\n" + "1;2\n" * 3000 + "1,5;2\n"
    text = message(read_features, write(content), None, 2)
    assert "line 3002, column 'a'" in text and "decimal point" in text


def test_wide_and_long_samples(write):
    wide = ";".join(f"c{i}" for i in range(3000)) + "\n" + ";".join(["1.5"] * 3000) + "\n"
    assert read_features(write(wide), None, 3000).shape == (1, 3000)
    # A quoted cell that continues after the lines used for detection.
    text = 'k;x\n"' + "a,b\n" * 2000 + '";1\n"c";2\n'
    assert read_table(write(text), "k").train.x.tolist() == [[1], [2]]
