"""Omniglot: handwritten characters of many alphabets, and its runs of one-shot classification.

Lake, Salakhutdinov & Tenenbaum, "Human-level concept learning through probabilistic program
induction", Science 350, 2015.  Nothing is unpacked: members of the archives are read in
memory, and pictures by Pillow (extra ``image``).
"""

import io
import re
import zipfile
from typing import NamedTuple

import numpy as np

from npssl.errors import FileError, require

LARGEST = 1 << 20  # bytes of a member: a picture has some hundred
_DRAWING = re.compile(r"(?:[^/]+/)?([^/]+)/(character\d+)/[^/]+\.png")


class Characters(NamedTuple):
    """Drawings, ink 1 on paper 0."""

    images: np.ndarray  # (N, size, size) float32
    label: np.ndarray  # (N,) int64: the character, from 0
    alphabet: np.ndarray  # (N,) int64
    alphabets: list[str]


class OneShot(NamedTuple):
    """One run: which of the classes, each shown once, is each test drawing?"""

    support: np.ndarray  # (C, size, size) float32
    test: np.ndarray  # (M, size, size) float32
    answer: np.ndarray  # (M,) int64, rows of support


def read_omniglot(path, *, size: int = 28) -> Characters:
    """The drawings of an archive such as ``images_background_small1.zip``.

    Parameters
    ----------
    path : path
    size : int      height and width that pictures are shrunk to, by the mean over areas

    Raises
    ------
    FileError
        if it is not a zip archive, has no drawings, or one cannot be read: which one.
    """
    with _Archive(path, size) as box:
        found = sorted((m[1], m[2], name) for name in box.names if (m := _DRAWING.fullmatch(name)))
        if not found:
            raise FileError(path, "expected drawings as alphabet/character01/*.png, found none")
        alphabets = sorted({a for a, _, _ in found})
        characters = {c: n for n, c in enumerate(sorted({(a, c) for a, c, _ in found}))}
        return Characters(
            np.stack([box.image(name) for _, _, name in found]),
            np.array([characters[a, c] for a, c, _ in found]),
            np.array([alphabets.index(a) for a, _, _ in found]),
            alphabets,
        )


def read_one_shot(path, *, size: int = 28) -> list[OneShot]:
    """The runs of ``all_runs.zip``, in order.

    Raises
    ------
    FileError
        as `read_omniglot`; and where the labels name what is not there: in which line.
    """
    with _Archive(path, size) as box:
        lists = [n for n in sorted(box.names) if n.endswith("class_labels.txt")]
        if not lists:
            raise FileError(path, "expected run01/class_labels.txt and so on, found none")
        return [_one_run(path, box, name) for name in lists]


def _one_run(path, box, name):
    top = name.removesuffix("run" + name.rsplit("run", 1)[-1]) if "run" in name else ""
    pairs = []
    for n, line in enumerate(box.bytes(name).decode("utf-8", "replace").splitlines(), 1):
        words = line.split()
        if not words:
            continue
        if len(words) != 2 or not all(top + w in box.names for w in words):
            raise FileError(
                path,
                f"expected a test and a training picture of the archive, found {line!r}",
                place=f"{name}, line {n}",
            )
        pairs.append((top + words[0], top + words[1]))
    if not pairs:
        raise FileError(path, "expected pairs of pictures, found none", place=name)
    folder = pairs[0][1].rsplit("/", 1)[0] + "/"
    support = sorted(n for n in box.names if n.startswith(folder) and n.endswith(".png"))
    for _, b in pairs:
        if b not in support:
            raise FileError(path, f"expected classes of {folder}, found {b!r}", place=name)
    return OneShot(
        np.stack([box.image(n) for n in support]),
        np.stack([box.image(a) for a, _ in pairs]),
        np.array([support.index(b) for _, b in pairs]),
    )


class _Archive:
    """A zip archive, read without unpacking; what is wrong with it is a `FileError`."""

    def __init__(self, path, size):
        if size < 1:
            raise ValueError(f"size: expected 1 or more, found {size}")
        self.path, self.size = path, size
        self.pillow = require("PIL.Image", extra="image")

    def __enter__(self):
        try:
            self.box = zipfile.ZipFile(self.path)
        except FileNotFoundError:
            raise FileError(self.path, "no such file") from None
        except (zipfile.BadZipFile, OSError) as error:
            raise FileError(self.path, f"is not a readable zip archive ({error})") from error
        self.names = {i.filename for i in self.box.infolist() if not i.is_dir()}
        return self

    def __exit__(self, *_):
        self.box.close()

    def bytes(self, name):
        """What a member holds: never more than `LARGEST`, whatever its header says."""
        try:
            with self.box.open(name) as file:
                found = file.read(LARGEST + 1)
        except (zipfile.BadZipFile, RuntimeError, EOFError, OSError, zipfile.zlib.error) as error:
            raise FileError(self.path, f"cannot be read ({error})", place=name) from error
        if len(found) > LARGEST:
            raise FileError(self.path, f"expected at most {LARGEST:,} bytes", place=name)
        return found

    def image(self, name):
        """A drawing, shrunk: (size, size), ink 1 on paper 0."""
        try:
            with self.pillow.open(io.BytesIO(self.bytes(name)), formats=("PNG",)) as picture:
                if max(picture.size) > 4096:
                    raise ValueError(f"{picture.size} pixels")
                gray = picture.convert("L").resize(
                    (self.size, self.size), self.pillow.Resampling.BOX
                )
        except FileError:
            raise
        except (OSError, ValueError, SyntaxError) as error:
            raise FileError(self.path, f"is not a readable PNG ({error})", place=name) from error
        return 1 - np.asarray(gray, np.float32) / 255
