"""CIFAR-10 as JPEG files of quality 75: NOT the original pixels.

The mean absolute difference from the original pixels is 5.8 of 255. cifar10_jpeg_q75.tar.gz
contains the 60,000 images as `train|test/CLASS/NNNN.jpg`, and order_labels.csv.gz their positions
in the original order. Pillow (``pip install '.[cifar10]'``) decodes them once, into the per-user
cache.
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
# Maximum bytes of a line of order_labels.csv (actual: 34) and of a JPEG file (actual: 1 kB).
LINE, IMAGE = 128, 1 << 14
# Checksums of the decoded arrays (n, 32, 32, 3) in original order; Pillow 13.0 and libjpeg-turbo.
SHA256 = {
    "train": "5aaf8a2cf2e577ff4dbb15e4f368840fab5aca1812bcc69682005f8dc661d466",
    "test": "b7018a062865e9348a704e72416eb53c816b43cc8ac42ab43276a2b967508ab6",
}
NOTE = "JPEG quality 75, not the original pixels"
OTHER_DECODER = "; this machine's JPEG decoder returns other pixel values than the reference"


def read(
    images: Path, order: Path, progress: Progress | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, str]:
    """Return (training images, labels, test images, labels, note).

    Images are uint8 (n, 3072), a red, a green and a blue plane as in the original; labels are int64
    (n,).
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
    """Return ({part: labels}, {name of a JPEG file: (part, row)})."""
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
                    raise ValueError(f"row {place}, label {label}")
            except (ValueError, KeyError) as error:
                raise ValueError(
                    f"{path}, line {line}: must be train or test, a row number, a label 0..9 and a "
                    f"file name ({brief(error)}); copy it again"
                ) from error
            labels[part][place] = int(label)
            places[name] = part, place
    if any(array.min() < 0 for array in labels.values()):
        raise ValueError(f"{path}: must have a line for each image, lacks some; copy it again")
    return labels, places


def _decoded(
    path: Path, places: dict[str, tuple[str, int]], progress: Progress | None
) -> dict[str, np.ndarray]:
    try:
        from PIL import Image
    except ImportError as error:
        raise RuntimeError(
            "cifar10: Pillow is required to decode its JPEG form, and it is not installed; "
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
                    if image.size != (32, 32):  # from the header, before pixels are decoded
                        raise ValueError(f"{name} has {image.width} x {image.height} pixels")
                    part, place = places[name]
                    arrays[part][place] = np.asarray(image.convert("RGB"))
                left.remove(name)
        if left:
            raise ValueError(f"lacks {len(left):,} images, such as {brief(min(left), 60)}")
    return arrays


def _kept(path: Path, rows: int) -> np.ndarray | None:
    try:
        array = np.load(path, allow_pickle=False)
    except Exception:  # a damaged header can raise any exception; the images are decoded again
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
        pass  # with a full or read-only cache, the next call decodes again
