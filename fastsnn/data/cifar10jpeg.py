"""CIFAR-10 as JPEG files of quality 75: NOT the original pixels, 5.8 of 255 away on average.

cifar10_jpeg_q75.tar.gz has the 60,000 images as train|test/CLASS/NNNN.jpg, order_labels.csv.gz
their places in the original order. They are decoded once, with Pillow
(`pip install '.[cifar10]'`), into the per-user cache.
"""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np

from fastsnn.data.cifar10batches import members
from fastsnn.data.download import Progress, cache_folder, file_sha256, make_folder
from fastsnn.data.files import brief, damage, open_file
from fastsnn.data.work import tracked

ROWS = {"train": 50_000, "test": 10_000}
LINE, IMAGE = 128, 1 << 14  # most bytes of a line of the list (has 34) and of a JPEG file (1 kB)
# Of the decoded arrays (n, 32, 32, 3) in the original order; Pillow 13.0 with libjpeg-turbo.
SHA256 = {
    "train": "5aaf8a2cf2e577ff4dbb15e4f368840fab5aca1812bcc69682005f8dc661d466",
    "test": "b7018a062865e9348a704e72416eb53c816b43cc8ac42ab43276a2b967508ab6",
}
NOTE = "JPEG quality 75, not the original pixels"
OTHER_DECODER = "; this machine's JPEG decoder gives other values than the reference"


def read(
    images: Path, order: Path, progress: Progress | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, str]:
    """(training images, labels, test images, labels, note): (n, 3072) uint8 in planes of red, green
    and blue, as in the original, and (n,) int64.
    """
    labels, places = _order(order)
    folder = cache_folder() / "cifar10"
    key = file_sha256(images)[:16]
    paths = {part: folder / f"jpeg-{key}-{part}.npy" for part in ROWS}
    stored = {part: _kept(path, ROWS[part]) for part, path in paths.items()}
    found = {part: array for part, array in stored.items() if array is not None}
    if len(found) < len(paths):
        found = _decoded(images, places, progress)
        for part, path in paths.items():
            _keep(path, found[part])
    same = True
    for part, array in found.items():
        same = same and hashlib.sha256(array.data).hexdigest() == SHA256[part]
        found[part] = np.ascontiguousarray(array.transpose(0, 3, 1, 2)).reshape(len(array), -1)
    note = NOTE if same else NOTE + OTHER_DECODER
    return found["train"], labels["train"], found["test"], labels["test"], note


def _order(path: Path) -> tuple[dict[str, np.ndarray], dict[str, tuple[str, int]]]:
    """({part: labels}, {name of a JPEG file: (part, place)})."""
    labels = {part: np.full(rows, -1) for part, rows in ROWS.items()}
    places = {}
    with open_file(path, "rt", LINE * (1 + sum(ROWS.values())), encoding="utf-8") as file:
        for line, text in enumerate(file, 1):
            if line == 1:
                continue
            try:
                part, index, label, name = text.strip().split(",")
                place = int(index)
                if not 0 <= place < len(labels[part]) or not 0 <= int(label) <= 9:
                    raise ValueError(f"place {place}, label {label}")
            except (ValueError, KeyError) as error:
                raise ValueError(
                    f"{path}, line {line}: must be train or test, a place, a label 0..9 and a name "
                    f"({brief(error)}); copy it again"
                ) from error
            labels[part][place] = int(label)
            places[name] = part, place
    if any(array.min() < 0 for array in labels.values()):
        raise ValueError(f"{path}: must have a line for every image, lacks some; copy it again")
    return labels, places


def _decoded(
    path: Path, places: dict[str, tuple[str, int]], progress: Progress | None
) -> dict[str, np.ndarray]:
    try:
        from PIL import Image
    except ImportError as error:
        raise RuntimeError(
            "cifar10: its JPEG form is decoded with Pillow, which is not installed; "
            "pip install '.[cifar10]'"
        ) from error
    arrays = {part: np.zeros((rows, 32, 32, 3), np.uint8) for part, rows in ROWS.items()}
    left = set(places)
    found = members(path, (1 << 20) + IMAGE * len(places))
    with damage(path, "must be the complete archive of 32 x 32 JPEG images", "copy it again"):
        what = "decoding the JPEG form of CIFAR-10"
        for name, size, file in tracked(found, what, len(places), progress):
            if name in left:
                if size > IMAGE:
                    raise ValueError(f"{name} must have at most {IMAGE:,} bytes, has {size:,}")
                with Image.open(io.BytesIO(file().read()), formats=["JPEG"]) as image:
                    if image.size != (32, 32):  # known before a pixel is decoded
                        raise ValueError(f"{name} has {image.width} x {image.height} pixels")
                    part, place = places[name]
                    arrays[part][place] = np.asarray(image.convert("RGB"))
                left.remove(name)
        if left:
            raise ValueError(f"lacks {len(left):,} images, {brief(min(left), 60)} among them")
    return arrays


def _kept(path: Path, rows: int) -> np.ndarray | None:
    try:
        array = np.load(path, allow_pickle=False)
    except Exception:  # damaged headers fail in many ways; the images are decoded again
        return None
    return array if array.shape == (rows, 32, 32, 3) and array.dtype == np.uint8 else None


def _keep(path: Path, array: np.ndarray) -> None:
    from fastsnn.storage import files

    content = io.BytesIO()
    np.save(content, array)
    try:
        make_folder(path.parent)
        files.replace(path, content.getvalue())
    except (OSError, RuntimeError):
        pass  # a full or read-only cache costs time, no result
