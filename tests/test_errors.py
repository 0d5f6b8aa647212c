"""Bad input ends with one line on stderr, nothing on stdout, and exit code 1 or 2 (usage)."""

import numpy as np
import pytest
from commands import SMALL, call, good
from data_files import write_file

from fastsnn.optimizers import OPTIMIZERS
from fastsnn.schedules import SCHEDULES
from fastsnn.tables import reader

ROWS = "".join(f"{i / 7:.3f},{-i},{'yes' if i % 2 else 'no'}\n" for i in range(40))
CSV = "a,b,kind\n" + ROWS


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Write good and bad files, and a model for the columns a, b and the classes no, yes."""
    folder = tmp_path_factory.mktemp("errors")
    write_file(folder, CSV, "good.csv")
    good("train", "--data", folder / "good.csv", *SMALL, "--out", folder / "run")
    model = (folder / "run/model.safetensors").read_bytes()
    write_file(folder, model[:-100], "cut.safetensors")
    write_file(folder, model[:8] + b"#" + model[9:], "damaged.safetensors")
    write_file(folder, b"", "empty.safetensors")

    write_file(folder, CSV + "1,2\n", "ragged.csv")
    write_file(folder, CSV + "1,two,yes\n", "text.csv")
    write_file(folder, CSV + "1,nan,yes\n", "nan.csv")
    write_file(folder, CSV + "inf,1,yes\n", "infinite.csv")
    write_file(folder, CSV + "1,2,\n", "no_class.csv")
    write_file(folder, "a,b,kind\n", "header.csv")
    write_file(folder, "", "empty.csv")
    write_file(folder, CSV.replace("yes", "no"), "one_class.csv")
    write_file(folder, CSV.replace("yes", "maybe"), "new_class.csv")
    write_file(folder, CSV.replace("b,kind", "c,kind"), "new_column.csv")
    write_file(folder, ROWS.replace(",no", ",3,no").replace(",yes", ",4,yes"), "wide.csv")
    write_file(folder, CSV.encode() + b"\xff\xfe,2,yes\n", "latin.csv")
    write_file(folder, b"\x1f\x8b" + b"broken", "plain.csv")

    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 2)).astype(np.float32), np.arange(40) % 2
    np.savez(folder / "good.npz", x=x, y=y)
    archive = (folder / "good.npz").read_bytes()
    write_file(folder, archive[:200], "cut.npz")
    middle = len(archive) // 4
    damaged = archive[:middle] + bytes(20) + archive[middle + 20 :]
    write_file(folder, damaged, "damaged.npz")
    np.savez(folder / "pickled.npz", x=x, y=np.array([{}] * 40, object))
    np.savez(folder / "no_rows.npz", x=x[:0], y=y[:0])
    np.savez(folder / "nan.npz", x=np.where(x > 1, np.nan, x), y=y)
    np.savez(folder / "uneven.npz", x=x, y=y[:-1])
    np.savez(folder / "wide.npz", x=np.c_[x, x], y=y)
    (folder / "full").mkdir()
    return folder


USAGE = {
    "layers": ("--layers 0", "'--layers': a whole number of at least 1 is required, got '0' ("),
    "width": ("--width 0", "'--width': a whole number of at least 1"),
    "epochs": ("--epochs 0", "'--epochs': a whole number of at least 1"),
    "batch size": ("--batch-size 0", "'--batch-size': a whole number of at least 1"),
    "threads": ("--threads 0", "'--threads': a whole number of at least 1"),
    "rate 1": ("--dropout 1", "'--dropout': a number in [0, 1) is required, got '1' ("),
    "rate below 0": ("--dropout -0.1", "'--dropout': a number in [0, 1) is required, got '-0.1'"),
    "no number": (
        "--layers many",
        "'--layers': a whole number of at least 1 is required, got 'many'",
    ),
    "optimizer": ("--optimizer sdg", f"one of {', '.join(OPTIMIZERS)} is required, got 'sdg' ("),
    "schedule": ("--schedule x", f"one of {', '.join(SCHEDULES)} is required, got 'x'"),
    "backend": ("--backend gpu", "one of cpu, cuda is required, got 'gpu'"),
    "validation": ("--validation 1", "'--validation': a number in [0, 1) is required, got '1'"),
    "seed": (
        "--seed -1",
        "'--seed': a whole number in [0, 18446744073709551615] is required, got '-1'",
    ),
    "several values": (
        "--layers 3,2",
        "of at least 1 is required, got '3,2'; to try several: fastsnn search --grid layers=3,2 (",
    ),
    "several words": ("--optimizer sgd,adam", "several: fastsnn search --grid optimizer=sgd,adam"),
    "long word": (f"--layers {'9' * 500}x", "...999999999999999x' ("),
    "unknown option": ("--layer-count 3", "no such option '--layer-count'; did you mean --layers?"),
    "another name": ("--lr 0.1", "no such option '--lr'; did you mean --learning-rate? (see"),
    "two names": ("--hidden-layer-sizes 9", "did you mean --layers or --width? ("),
    "a beginning": ("--batch 3", "did you mean --batch-size? ("),
    "singular": ("--epoch 3", "did you mean --epochs? ("),
    "decay": ("--wd 3", "did you mean --weight-decay? ("),
    "underscore": ("--learning_rate 3", "did you mean --learning-rate? ("),
    "unlike any": ("--zebra 3", "no such option '--zebra' (see"),
    "one letter": ("-e 3", "no such option '-e' (see"),
    "no command has it": ("--workers 3", "no such option '--workers' (see"),
    "resume what": ("--resume", "add --out DIR"),
    "a run is there": ("--out run", "add --resume to continue it"),
    "an argument": ("mnist", "unexpected extra argument"),
}
TRAIN = {
    "rate nan": ("--dropout nan", "rate must be in [0, 1), got nan"),
    "learning rate nan": ("--learning-rate nan", "learning_rate must be in [0, 1e+30), got nan"),
    "momentum": ("--optimizer adam --momentum 0.9", "only sgd"),
    "no run": ("--resume --out full", "this folder contains no run"),
    "patience": ("--patience 2 --validation 0", "requires validation data"),
    "unknown data": ("--data cifar", "must be one of digits, optdigits, mnist"),
    "missing file": ("--data nix.csv", "nix.csv: no such file"),
    "a folder": ("--data full.csv", "full.csv: no such file"),
    "target of digits": ("--data digits --target x", "its target and task"),
    "unknown target": ("--data good.csv --target colour", "got 'colour'; the file has the columns"),
    "ragged": ("--data ragged.csv", "line 42: must have 3 columns like the first line, has 2"),
    "text": ("--data text.csv", "line 42, column 'b': a number is required, as in most rows, got"),
    "infinite": ("--data infinite.csv", "line 42, column 'a'"),
    "no rows": ("--data header.csv", "at least one row of data, has a header only"),
    "empty": ("--data empty.csv", "is empty"),
    "one class": ("--data one_class.csv", "at least two classes, every row has 'no'"),
    "not utf-8": ("--data latin.csv", "must be UTF-8 text"),
    "binary": ("--data plain.csv", "is a gzip file; name it"),
    "npz missing": ("--data nix.npz", "nix.npz: no such file"),
    "npz truncated": ("--data cut.npz", "must be a complete .npz archive"),
    "npz damaged": ("--data damaged.npz", "damaged.npz"),
    "npz pickled": ("--data pickled.npz", "is a pickled object array, which is refused"),
    "npz no rows": ("--data no_rows.npz", "at least one row"),
    "npz nan": ("--data nan.npz", "must be a finite float32 number, is nan"),
    "npz uneven": ("--data uneven.npz", "same number of rows"),
    "npz target": ("--data good.npz --target 0", "leave the target out"),
    "out is a file": ("--out good.csv/run", "could not be created (Not a directory)"),
    "diverged": ("--learning-rate 1e9", "training diverged in step"),
}
WITHOUT_DUCKDB = {
    "nan": ("--data nan.csv", "line 42, column 'b': must be a finite number, got 'nan'"),
    "no class": ("--data no_class.csv", "line 42, column 'kind': every row needs a class"),
    "text": ("--data text.csv", "line 42, column 'b': must be a finite number, got 'two'"),
}
USE = {
    "no model": ("evaluate --model nix --data digits", "nix: no such file"),
    "no run there": ("predict --model full --data good.csv", "full/model.safetensors: there is no"),
    "truncated": ("predict --model cut.safetensors --data good.csv", "damaged or of another type"),
    "damaged": ("predict --model damaged.safetensors --data good.csv", "damaged or of another"),
    "empty model": ("evaluate --model empty.safetensors --data good.csv", "damaged or of another"),
    "a csv as model": ("evaluate --model good.csv --data good.csv", "damaged or of another type"),
    "other features": ("evaluate --model run --data digits", "needs 2 features, the data have 64"),
    "predict digits": ("predict --model run --data digits", "needs 2 features, the data have 64"),
    "wide csv": ("predict --model run --data wide.csv", "needs 2 feature columns, the file has 4"),
    "wide npz": ("predict --model run --data wide.npz", "needs 2 features, x has 4"),
    "evaluate wide": ("evaluate --model run --data wide.npz", "needs 2 features, x has 4"),
    "other columns": ("predict --model run --data new_column.csv", "lacks 'b'"),
    "other classes": ("evaluate --model run --data new_class.csv", "known (no, yes), got 'maybe'"),
    "predict nan": ("predict --model run --data nan.csv", "line 42, column 'b'"),
    "predict what": ("predict --model run --data nix.csv", "nix.csv: no such file"),
    "evaluate target": ("evaluate --model run --data good.csv --target c", "got 'c'"),
    "out nowhere": ("predict --model run --data good.csv --out nix/p.csv", "could not be written"),
}  # fmt: skip


def assert_one_line(result, code, message):
    assert result.exit_code == code and not result.stdout
    lines = [line for line in result.stderr.splitlines() if line.startswith("fastsnn")]
    assert len(lines) == 1 and result.stderr.splitlines()[-1] == lines[0], result.stderr
    assert message in lines[0], lines[0]
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("words, message", USAGE.values(), ids=USAGE.keys())
def test_usage(words, message, folder, monkeypatch):
    monkeypatch.chdir(folder)
    result = call("train", *words.split())
    assert_one_line(result, 2, message)
    assert (
        result.stderr.startswith("fastsnn train: ") and "see fastsnn train --help" in result.stderr
    )


@pytest.mark.parametrize("words, message", TRAIN.values(), ids=TRAIN.keys())
def test_train(words, message, folder, monkeypatch):
    monkeypatch.chdir(folder)
    before = sorted(folder.rglob("*"))
    assert_one_line(call("train", *SMALL, *words.split()), 1, message)
    assert [path for path in sorted(folder.rglob("*")) if path.name != "runs"] == before


@pytest.mark.parametrize("words, message", WITHOUT_DUCKDB.values(), ids=WITHOUT_DUCKDB.keys())
def test_train_without_duckdb(words, message, folder, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.setattr(reader, "installed", lambda: False)
    result = call("train", *SMALL, *words.split())
    assert_one_line(result, 1, message)
    assert f"; or to encode such cells: {reader.INSTALL}" in result.stderr


@pytest.mark.parametrize("words, message", USE.values(), ids=USE.keys())
def test_use_of_a_model(words, message, folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert_one_line(call(*words.split()), 1, message)


@pytest.mark.parametrize("words", ["", "trian", "evaluate --model run", "predict --data good.csv"])
def test_incomplete_commands(words, folder, monkeypatch):
    monkeypatch.chdir(folder)
    result = call(*words.split())
    assert result.exit_code == 2 and not result.stdout and "Traceback" not in result.stderr


def test_a_model_of_another_task(folder, tmp_path):
    values = "a,b,kind\n" + "".join(f"{i},{i % 3},{i / 3:.3f}\n" for i in range(40))
    path = write_file(tmp_path, values, "amounts.csv")
    good("train", "--data", path, *SMALL, "--out", tmp_path / "r")
    result = call("evaluate", "--model", tmp_path / "r", "--data", folder / "good.csv")
    assert_one_line(result, 1, "the target of a regression must be a number")
    result = call("evaluate", "--model", folder / "run", "--data", path)
    assert_one_line(result, 1, "must be one of the 2 known")


def test_out_of_memory_is_one_line(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    result = call("train", "--layers", 1, "--width", 2**40)
    assert_one_line(result, 1, "memory")
