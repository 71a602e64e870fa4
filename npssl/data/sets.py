"""The well-known public data sets by name: found where they are, or fetched.

``path("wikitext-2/train")`` is a file: from ``NPSSL_DATA`` if it is there, else
from the user's cache folder, else from its public address, checked.  A folder
that already holds the files serves in place of a download: one folder a set,
the files under their usual names, as they are or with ``.xz``, ``.gz`` or
``.bz2`` behind.

What is at an address is *pinned* where its hash is known.  Elsewhere the
sha256 of the first fetch is written to ``SHA256SUMS`` beside the file and holds
from then on (trust on first use).
"""

import bz2
import difflib
import gzip
import hashlib
import logging
import lzma
import shutil
import tarfile
import zipfile
import zlib
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from npssl.data.cache import cache_folder, data_folder, make_folder
from npssl.errors import FileError, require
from npssl.files import whole_file

OPENERS = {"": open, ".xz": lzma.open, ".gz": gzip.open, ".bz2": bz2.open}


class Source(NamedTuple):
    """Something at public addresses: all hold the same bytes and are tried in turn."""

    urls: tuple[str, ...]
    pin: str | None  # "sha256:..." or "md5:..." of these bytes; None: not pinned
    size: int | None  # bytes

    @property
    def name(self) -> str:
        return self.urls[0].rsplit("/", 1)[1]


class File(NamedTuple):
    """A file of a set, and where it comes from."""

    role: str  # what it is in the set: "train"
    name: str  # what it is called in the set's folder
    source: Source
    member: str = ""  # its name in the archive, if the source is one
    sha256: str | None = None  # of its content, compression undone


class DataSet(NamedTuple):
    """A public data set."""

    name: str
    about: str
    licence: str
    home: str
    files: tuple[File, ...]
    folder: str

    @property
    def size(self) -> int | None:
        """Bytes to fetch, if that is known."""
        total = 0
        for source in {file.source for file in self.files}:
            if source.size is None:
                return None
            total += source.size
        return total


def path(name: str, folder=None) -> Path:
    """Where the file ``name`` of a set is; it is fetched if need be.

    Parameters
    ----------
    name : str
        ``"set/role"`` or ``"set/file name"``; the set alone where it has one file.
        A file that is in the folder but in no set may be named too.
    folder : path, optional
        Where to look and to put it, instead of ``NPSSL_DATA`` and the cache.

    Raises
    ------
    ValueError
        When there is no such set or file.
    NotFetched
        When it is not here and cannot be had.
    """
    for root in _roots(folder):
        if name.count("/") == 1 and (here := _with_any_suffix(root / name)):
            return here
    found = select(name)
    if len(found) > 1:
        names = ", ".join(f"{d.name}/{f.role}" for d, f in found)
        raise ValueError(f"name: {name!r} has several files: say which, of {names}")
    return _find(*found[0], folder) or fetch(name, folder)[0]


def find(name: str, folder=None) -> list[Path]:
    """The files of ``name`` that are here already; nothing is fetched."""
    places = [_find(data, file, folder) for data, file in select(name)]
    return [place for place in places if place]


def fetch(name: str, folder=None) -> list[Path]:
    """The files of the set (or the one file) ``name``, fetched where they are not here.

    Every file whose content is pinned is read through and compared.
    """
    places = []
    for data, file in select(name):
        here = _find(data, file, folder)
        if not here:
            here = _roots(folder)[0] / data.folder / file.name
            _fetch(data, file, here)
        _verify(here, file)
        places.append(here)
    _tidy({data for data, _ in select(name)}, _roots(folder)[0])
    return places


def select(name: str) -> list[tuple[DataSet, File]]:
    """The files that a name stands for: a set's, or one of them."""
    from npssl.data.addresses import SETS

    head, _, rest = name.strip("/").partition("/")
    sets = [SETS[head]] if head in SETS else [d for d in SETS.values() if d.folder == head]
    if not sets:
        near = difflib.get_close_matches(head, SETS, 1, 0.5)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"name: no data set {head!r}{hint} (npssl data list shows all)")
    found = [(d, f) for d in sets for f in d.files if rest in ("", f.role, f.name)]
    if not found:
        roles = ", ".join(f.role for d in sets for f in d.files)
        raise ValueError(f"name: {head!r} has no file {rest!r}, only {roles}")
    return found


def _roots(folder) -> list[Path]:
    """Where to look, in this order; what is fetched goes to the first."""
    if folder is not None:
        return [Path(folder)]
    return list(dict.fromkeys([data_folder(), cache_folder() / "data"]))


def _find(data, file, folder) -> Path | None:
    places = [_with_any_suffix(root / data.folder / file.name) for root in _roots(folder)]
    return next((place for place in places if place), None)


def _with_any_suffix(place) -> Path | None:
    stem = place.with_suffix("") if place.suffix in OPENERS else place
    places = [place, *(stem.with_name(stem.name + suffix) for suffix in OPENERS)]
    return next((p for p in places if p.is_file()), None)


def _fetch(data, file, target):
    """Bring ``file`` of ``data`` to ``target``, whole or not at all."""
    from npssl.data.download import NotFetched, Resume  # the network's modules, only now

    pooch = require("pooch", extra="data")
    make_folder(target.parent)
    source = file.source
    archive = target.parent / (source.name if file.member else target.name)
    sums = target.parent / "SHA256SUMS"
    pin = source.pin or _recorded(sums, archive.name)
    reasons = []
    for url in source.urls:
        part = archive.with_name(f".{archive.name}.part")
        try:
            with _quiet(pooch.get_logger()):
                pooch.retrieve(url, pin, archive.name, archive.parent, downloader=Resume(part))
            break
        except NotFetched as error:
            reasons.append(f"{url} ({error})")
        except ValueError as error:  # what pooch raises when the hash is another
            reasons.append(f"{url} (it holds something else: expected {pin}; {error})")
    else:
        raise NotFetched(
            f"cannot fetch {data.name!r} from {' nor '.join(reasons)}: without a network, put "
            f"{file.name!r} into {target.parent} by hand, or set NPSSL_DATA to a folder that "
            f"holds {data.folder}/{file.name}"
        )
    if not pin:
        with open(sums, "a", encoding="utf-8") as record:
            record.write(f"{_sha256(archive)}  {archive.name}\n")
    if file.member:
        _extract(archive, file.member, target)


def _tidy(sets, root):
    """Remove the archives that have nothing left to give."""
    for data in sets:
        for source in {file.source for file in data.files if file.member}:
            inside = [root / data.folder / f.name for f in data.files if f.source == source]
            if all(place.exists() for place in inside):
                (root / data.folder / source.name).unlink(missing_ok=True)


def _recorded(sums, name) -> str | None:
    """The hash of what was fetched under this name before."""
    if sums.exists():
        for line in sums.read_text(encoding="utf-8").splitlines():
            if line[64:] == f"  {name}":
                return f"sha256:{line[:64]}"
    return None


@contextmanager
def _quiet(logger):
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def _extract(archive, member, target):
    """Copy one member of an archive out of it."""
    try:
        if archive.suffix == ".zip":
            with zipfile.ZipFile(archive) as box, box.open(member) as file, whole_file(target) as t:
                shutil.copyfileobj(file, t)
        else:
            with tarfile.open(archive) as box, whole_file(target) as t:
                shutil.copyfileobj(box.extractfile(member), t)
    except (KeyError, EOFError, zipfile.BadZipFile, tarfile.TarError, AttributeError) as error:
        raise FileError(archive, f"cannot take {member!r} out of it ({error})") from error


def _verify(place, file):
    """Compare the content with what is pinned; the compression is not part of it."""
    if file.sha256 and (found := _sha256(place, open_any)) != file.sha256:
        raise FileError(
            place, f"expected sha256 {file.sha256}, found {found}: remove it and fetch it again"
        )


@contextmanager
def open_any(place):
    """The bytes of a file, compression undone; what is wrong with it is a `FileError`."""
    place = Path(place)
    try:
        with OPENERS.get(place.suffix, open)(place, "rb") as file:
            yield file
    except FileNotFoundError:
        raise FileError(place, "no such file") from None
    except (EOFError, lzma.LZMAError, zlib.error, OSError) as error:
        raise FileError(place, f"cannot be read ({error})") from error


def _sha256(place, opener=lambda place: open(place, "rb")) -> str:
    digest = hashlib.sha256()
    with opener(place) as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
