"""Fetching one file over a network that may break at any instant."""

import http.client
import os
import urllib.error
import urllib.request
from pathlib import Path

from tqdm import tqdm

BLOCK = 1 << 18  # bytes


class NotFetched(OSError):
    """A file could not be had from its address."""


class Resume:
    """A downloader for pooch that goes on where an earlier attempt ended.

    What has come is kept in ``part``, and beside it, in ``part`` + ``.tag``, what
    the server called that version of the file (its strong ETag, or the date).
    The next attempt, in this process or in a later one, asks for the rest with
    ``Range`` and ``If-Range``; a server that has another version by now, or
    that cannot do this, sends the whole file (RFC 9110, sections 13.1.5, 14.2).

    Parameters
    ----------
    part : path
        Stays when the download fails; is moved to where pooch wants it at the end.
    tries : int
        How often to go on at once after a connection broke that had brought something.
    timeout : float
        Seconds without a byte after which a connection counts as broken.

    Raises
    ------
    NotFetched
        When there is no connection, the server refuses, or it broke too often.
    """

    def __init__(self, part, *, tries: int = 8, timeout: float = 30.0):
        self.part, self.tries, self.timeout = Path(part), tries, timeout
        self.tag = self.part.with_name(self.part.name + ".tag")

    def __call__(self, url, output_file, pooch, check_only=False):
        with open(self.part, "ab") as file:
            _lock(file)
            for left in reversed(range(self.tries)):
                before = file.tell()
                try:
                    self._stream(url, file)
                    break
                except NotFetched:
                    if not left or file.tell() == before:
                        raise
            file.flush()
            os.fsync(file.fileno())
        os.replace(self.part, output_file)
        self.tag.unlink(missing_ok=True)

    def _stream(self, url, file):
        """Append what ``file`` lacks."""
        headers = {"User-Agent": "npssl", "Accept-Encoding": "identity"}
        version = self.tag.read_text("latin-1") if self.tag.exists() else ""
        if file.tell() and version:
            headers |= {"Range": f"bytes={file.tell()}-", "If-Range": version}
        request = urllib.request.Request(url, headers=headers)
        try:
            answer = urllib.request.urlopen(request, timeout=self.timeout)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == 416:  # nothing comes after what is kept: all of it, or another file
                if error.headers["Content-Range"] == f"bytes */{file.tell()}":
                    return
                _empty(file)
            raise NotFetched(f"the server says {error.code} {error.reason}") from None
        except (OSError, http.client.HTTPException) as error:
            raise NotFetched(str(getattr(error, "reason", error)) or repr(error)) from error
        with answer:
            beginning = f"bytes {file.tell()}-"
            if answer.status != 206 or not answer.headers["Content-Range"].startswith(beginning):
                _empty(file)
                if answer.status == 206:
                    raise NotFetched(f"asked for {beginning}, got {answer.headers}")
                self.tag.write_text(_version(answer.headers), "latin-1")
            self._copy(answer, file)

    def _copy(self, answer, file):
        length = answer.headers["Content-Length"]
        total = file.tell() + int(length) if length else None
        with tqdm(
            total=total,
            initial=file.tell(),
            desc=self.part.name.strip(".").removesuffix(".part"),
            unit="B",
            unit_scale=True,
            disable=None,  # quiet where nobody looks
        ) as bar:
            while True:
                try:
                    block = answer.read(BLOCK)
                except (OSError, http.client.HTTPException) as error:
                    raise NotFetched(f"the connection broke ({error or repr(error)})") from error
                if not block:
                    break
                file.write(block)
                bar.update(len(block))
        if total is not None and file.tell() < total:
            raise NotFetched(f"the connection broke after {file.tell():,} of {total:,} bytes")


def _version(headers):
    """What names this version of a file; nothing if the server does not say."""
    tag = headers["ETag"] or ""
    return tag if tag and not tag.startswith("W/") else headers["Last-Modified"] or ""


def _empty(file):
    file.seek(0)
    file.truncate()


def _lock(file):
    """Refuse to write where another process is writing; freed when ``file`` is closed."""
    try:
        import fcntl
    except ImportError:  # Windows
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise NotFetched("another process is fetching it") from None
