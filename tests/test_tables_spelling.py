"""Times with a zone, strings of JSON, names that differ in case, typing errors among dates."""

import os
import subprocess
import sys

import pytest

from fastsnn.data import load
from fastsnn.tables import reader

pytest.importorskip("duckdb", reason="needs the extra tables: DuckDB")


def test_times_with_a_zone_do_not_depend_on_that_of_the_machine(tmp_path):
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    times = pa.array([0, 3_600_000_000, None], pa.timestamp("us", "America/New_York"))
    pq.write_table(pa.table({"a": times}), tmp_path / "t.parquet")
    text = "\n".join(f'{{"a": "1970-01-01T0{i}:00:00Z", "b": 1}}' for i in range(2))
    (tmp_path / "t.jsonl").write_text(text)
    code = (
        "import sys; from pathlib import Path; from fastsnn.tables import Columns, Recipe, reader\n"
        "for name in 't.parquet', 't.jsonl':\n"
        "    found = reader.typed(Path(sys.argv[1]) / name, 10**6)\n"
        "    recipe = Recipe.fit(Columns(found), date=['a'])\n"
        "    print(recipe.transform(Columns(found))[:2, 0].tolist())\n"
    )
    for zone in "America/New_York", "Asia/Tokyo":
        found = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path)],
            env=os.environ | {"TZ": zone}, capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert found.stdout.split("\n")[:2] == [f"[0.0, {1 / 24}]"] * 2


def test_strings_of_json_keep_their_spelling(tmp_path):
    path = tmp_path / "t.jsonl"
    path.write_text(
        '{"day": "31-01-20", "id": "0000000A-0000-4000-8000-00000000000A", "mixed": "x"}\n'
        '{"day": "01-02-20", "id": "0000000B-0000-4000-8000-00000000000A", "mixed": 0.5}\n'
    )
    found = reader.typed(path, 10**6)
    assert found["day"].tolist() == ["31-01-20", "01-02-20"]
    assert found["id"].tolist()[0] == "0000000A-0000-4000-8000-00000000000A"
    assert found["mixed"].tolist() == ["x", "0.5"]


@pytest.mark.parametrize("ending", ["parquet", "jsonl"])
def test_names_that_differ_in_case_alone_are_refused(tmp_path, ending):
    path = tmp_path / f"t.{ending}"
    for names, refused in ((("a", "A"), True), (("a", "a_1"), False)):
        if ending == "jsonl":
            path.write_text(f'{{"{names[0]}": 1, "{names[1]}": 2}}\n')
        else:
            pa = pytest.importorskip("pyarrow")
            pytest.importorskip("pyarrow.parquet").write_table(
                pa.table({name: [1] for name in names}), path
            )
        if refused:
            with pytest.raises(ValueError, match="must differ in more than upper and lower case"):
                reader.typed(path, 10**6)
        else:
            assert tuple(reader.typed(path, 10**6)) == names


def test_a_typing_error_among_dates_is_refused(tmp_path):
    rows = [f"{i % 28 + 1:02d}.{i // 28 + 3:02d}.2020,{i % 3}" for i in range(60)]
    rows[41] = "31.02.2020,1"
    path = tmp_path / "t.csv"
    path.write_text("\n".join(["day,y", *rows]) + "\n")
    message = r"line 43, column 'day': a date written as '%d.%m.%Y' is required, as in most rows, "
    with pytest.raises(ValueError, match=message + r"got '31.02.2020'; correct it, or declare"):
        load(path, target="y")
    rows[0], rows[41] = "soon,1", "28.02.2020,1"
    path.write_text("\n".join(["day,y", *rows]) + "\n")
    with pytest.raises(ValueError, match="line 2, column 'day': a date .* got 'soon'"):
        load(path, target="y")
    assert load(path, target="y", categorical="day", min_frequency=1).recipe is not None
