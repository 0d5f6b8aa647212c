"""docs/pictures.py: its numbers are those of the theory, and the files in docs/_static/ are
small, complete SVGs that pages show with a caption.
"""

import importlib
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

import fastsnn as fs
from fastsnn import theory
from fastsnn.engine.plan import plan
from fastsnn.kernels import program
from fastsnn.kernels.cpu import regions

DOCS = Path(__file__).parents[1] / "docs"
PAGES = [*(DOCS / "explanation").glob("*.md")]
MOST_BYTES = 100_000


@pytest.fixture(scope="module")
def pictures():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(DOCS))
        yield importlib.import_module("pictures")


def test_trajectories_end_at_the_fixed_point(pictures):
    for w, t in ((0.0, 1.0), (0.1, 1.1)):
        course = pictures.trajectory(0.13, 1.65, w, t, layers=200)
        assert course[0].tolist() == [0.13, 1.65] and len(course) == 201
        np.testing.assert_allclose(course[-1], theory.fixed_point(w, t), atol=1e-9)


def test_large_variances_fall_and_small_ones_rise_as_theorems_2_and_3_say(pictures):
    steps = np.diff(pictures.trajectory(0.0, 16.0)[:, 1])
    assert (steps < 0).all()
    steps = np.diff(pictures.trajectory(0.0, 0.02)[:, 1])
    assert (steps > 0).all()


def test_quantiles_of_selu_map_back_and_those_of_the_others_do_not(pictures):
    """The quantiles of selu(z), z normal, map back to those of z, because selu is increasing."""
    normal = np.array([-2.3263, -0.6745, 0.0, 0.6745, 2.3263])
    fixed = theory.LAMBDA * np.where(normal > 0, normal, theory.ALPHA * np.expm1(normal))
    selu, relu, tanh, wrong = (pictures.quantiles(h, 3.0) for h in pictures.NETWORKS.values())
    np.testing.assert_allclose(selu[0], 3 * normal, atol=0.15)
    np.testing.assert_allclose(selu[-1], fixed, atol=0.15)
    assert relu[-1, -1] > 2 * selu[-1, -1]
    assert np.ptp(tanh[-1]) < 0.7 * np.ptp(tanh[1])
    assert wrong[-1, -1] > 3 * selu[-1, -1]


@pytest.mark.parametrize("rate", [0.05, 0.1, 0.2])
def test_variances_of_both_dropouts_are_those_of_the_moment_map(pictures, rate):
    """Ordinary dropout divides the second moment by the keep probability."""
    course = [(0.0, 1.0)]
    for _ in range(pictures.LAYERS):
        m, v = theory.moment_map(*course[-1])
        course.append((m, (v + m * m) / (1 - rate) - m * m))
    plain = pictures.variances(fs.Dropout(rate))
    alpha = pictures.variances(fs.AlphaDropout(rate))
    np.testing.assert_allclose(plain, np.array(course)[1:, 1], rtol=0.2)
    np.testing.assert_allclose(alpha, 1, atol=0.15)


def test_histograms(pictures):
    for layer in (None, fs.AlphaDropout(0.2)):
        y = pictures.dropped(layer)
        assert abs(y.mean()) < 0.03 and abs(y.var() - 1) < 0.05
    y = pictures.dropped(fs.Dropout(0.2))
    assert abs(y.var() - 1 / 0.8) < 0.06 and abs((y == 0).mean() - 0.2) < 0.01


def test_one_layer_keeps_the_share_of_the_signal_that_the_page_states(pictures):
    q, low = 0.95, theory.LAMBDA * theory.ALPHA
    course = pictures.agreement(0.05)
    assert abs(course[0] - q / (1 + low**2 * (1 - q))) < 0.01
    assert (np.diff(course[:16]) < 0).all()


def test_the_program_in_the_drawing_is_the_one_of_the_plan(pictures):
    hidden = [fs.Dense(256), fs.SELU(), fs.AlphaDropout(0.05), fs.Dense(256), fs.SELU()]
    net = fs.Network([*hidden, fs.Dense(10)], input_size=784)
    columns = [program.FAN_IN, program.FAN_OUT, program.W_AT]
    rows = plan(net.nodes, net.layout, 1, training=True).table[:2, columns]
    drawn = pictures.drawings.layers().svg()
    for number in rows.ravel():
        assert f">{number:,}<" in drawn or f">{number}<" in drawn


def test_a_batch_normalization_makes_four_segments():
    """They are as drawn; the last region updates the weights."""
    for layers in (1, 2):
        hidden = [fs.Dense(16), fs.BatchNorm(), fs.ReLU()]
        trainer = fs.Trainer(fs.Network([*hidden * layers, fs.Dense(2)], input_size=8), threads=2)
        trainer.step(np.ones((2048, 8), np.float32), np.zeros(2048, np.int64))
        job = trainer._engine.job
        assert not job[regions.SPLIT] and job[regions.REGIONS] == 4 * layers + 1


def test_files_are_small_svgs_without_date_that_follow_the_color_scheme(pictures):
    for name in (*pictures.PICTURES, *pictures.drawings.DRAWINGS):
        path = DOCS / "_static" / f"{name}.svg"
        text = path.read_text(encoding="utf-8")
        assert len(text.encode()) < MOST_BYTES, path
        assert ET.fromstring(text).tag.endswith("svg")
        assert "prefers-color-scheme" in text and "dc:date" not in text
        assert not re.findall(r"#000000|#1f2329(?!;)", text.replace(pictures.drawings.style(), ""))


def test_drawings_on_disk_are_those_of_the_script(pictures):
    for name, draw in pictures.drawings.DRAWINGS.items():
        path = DOCS / "_static" / f"{name}.svg"
        assert path.read_text(encoding="utf-8") == draw().svg(), "run python docs/pictures.py"


def test_every_picture_is_shown_with_a_caption(pictures):
    shown = set()
    for page in PAGES:
        for name, options, caption in re.findall(
            r"```\{figure\} \.\./_static/([\w-]+)\.svg\n((?::\w+:[^\n]*\n)*)\n(.*?)```",
            page.read_text(encoding="utf-8"), re.S,
        ):  # fmt: skip
            assert ":alt: " in options and len(caption) > 20, (page, name)
            shown.add(name)
    assert shown == {*pictures.PICTURES, *pictures.drawings.DRAWINGS}
