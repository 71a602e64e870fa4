"""Where files are kept between runs.

What npssl makes itself (the default corpus) lives in the user's cache folder;
data sets live in ``NPSSL_DATA``, or in ``data`` inside the cache folder.
"""

import os
import sys
from pathlib import Path


def cache_folder() -> Path:
    """The user's cache folder for npssl; not made here.

    ``XDG_CACHE_HOME/npssl`` where that is set (everywhere), else ``~/.cache/npssl``,
    ``~/Library/Caches/npssl`` (macOS) or ``%LOCALAPPDATA%\\npssl\\Cache`` (Windows).
    """
    xdg = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(xdg):  # the XDG rules: a relative path is to be ignored
        return Path(xdg) / "npssl"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "npssl"
    if os.name == "nt" and os.environ.get("LOCALAPPDATA"):
        return Path(os.environ["LOCALAPPDATA"]) / "npssl" / "Cache"
    return Path.home() / ".cache" / "npssl"


def data_folder() -> Path:
    """``NPSSL_DATA``, or ``data`` in `cache_folder`; not made here."""
    given = os.environ.get("NPSSL_DATA")
    return Path(given).expanduser() if given else cache_folder() / "data"


def make_folder(folder: Path) -> Path:
    """The folder, made if need be, or an ``OSError`` that says what to do about it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(
            f"cannot make the folder {str(folder)!r} ({error.strerror}): set NPSSL_DATA (data "
            "sets) or XDG_CACHE_HOME (cache) to a folder that can be written"
        ) from error
    return folder
