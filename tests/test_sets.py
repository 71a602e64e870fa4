"""Data sets by name: found, fetched over a connection that breaks, checked, said clearly."""

import hashlib
import io
import json
import logging
import lzma
import os
import re
import socket
import tarfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pooch
import pytest

from npssl import errors
from npssl.cli import main
from npssl.data import cache, sets
from npssl.data.addresses import SETS
from npssl.data.download import NotFetched, Resume

BODY = np.random.default_rng(0).bytes(300_000)


def sha256(body):
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


@pytest.fixture
def server():
    """A server on this machine that can break off; ``server.asked`` is what it was asked."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            s = self.server
            s.asked.append((self.path, self.headers["Range"]))
            body = s.files.get(self.path)
            if body is None:
                return self.send_error(404)
            start = 0
            if s.ranges and self.headers["Range"] and self.headers["If-Range"] == s.version:
                start = int(re.fullmatch(r"bytes=(\d+)-", self.headers["Range"])[1])
            if start >= len(body) > 0:
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(body)}")
                return self.end_headers()
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
            if s.version:
                self.send_header("ETag", s.version)
            self.send_header("Content-Length", str(len(body) - start))
            self.end_headers()
            length = s.breaks.pop(0) if s.breaks else len(body)
            self.wfile.write(body[start : start + length])

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.files, server.asked, server.breaks = {"/a": BODY}, [], []
        server.version, server.ranges = '"one"', True
        server.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def toy(server, monkeypatch):
    """``toy(pin=..., ...)`` makes the data set "toy" of the server's files."""

    def make(*files, pin=None, urls=None):
        source = sets.Source(tuple(urls or [f"{server.url}/a"]), pin, None)
        files = files or (("all", "a.bin", ""),)
        files = tuple(sets.File(r, n, source, m) for r, n, m in files)
        data = sets.DataSet("toy", "for tests", "none", server.url, files, "toy-folder")
        monkeypatch.setitem(SETS, "toy", data)

    return make


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Nothing in these tests touches the real cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("NPSSL_DATA", str(tmp_path / "data"))
    return tmp_path / "data" / "toy-folder"


def fetched(tmp_path, server, **options):
    target = tmp_path / "target"
    Resume(tmp_path / "part", **options)(f"{server.url}/a", str(target), None)
    assert not list(tmp_path.glob("part*"))
    return target.read_bytes()


# ---- the downloader


@pytest.mark.parametrize("breaks", [[], [100_000], [1, 50_000, 250_000 - 2], [0, 9]])
def test_a_broken_connection_is_taken_up_where_it_broke(tmp_path, server, breaks):
    server.breaks = list(breaks)
    if breaks[:1] == [0]:  # brought nothing: not tried again at once
        with pytest.raises(NotFetched, match="after 0 of 300,000"):
            fetched(tmp_path, server)
        breaks = breaks[1:]
        server.asked.clear()
    assert fetched(tmp_path, server) == BODY
    starts = [None, *(f"bytes={at}-" for at in np.cumsum(breaks))]
    assert [range for _, range in server.asked] == starts


def test_a_later_process_goes_on(tmp_path, server):
    server.breaks = [70_000, 70_000]
    with pytest.raises(NotFetched, match=r"after 140,000 of 300,000 bytes"):
        fetched(tmp_path, server, tries=2)
    assert (tmp_path / "part").stat().st_size == 140_000 and not (tmp_path / "target").exists()
    server.asked.clear()
    assert fetched(tmp_path, server) == BODY
    assert server.asked == [("/a", "bytes=140000-")]


@pytest.mark.parametrize("how", ["changed", "no version", "weak version", "no ranges"])
def test_what_cannot_be_gone_on_with_is_begun_anew(tmp_path, server, how):
    server.breaks = [70_000]
    server.version = {"no version": "", "weak version": 'W/"one"'}.get(how, '"one"')
    with pytest.raises(NotFetched):
        fetched(tmp_path, server, tries=1)
    if how == "changed":
        server.version, server.files["/a"] = '"two"', BODY[::-1]
    server.ranges = how != "no ranges"
    assert fetched(tmp_path, server) == (BODY[::-1] if how == "changed" else BODY)
    assert (server.asked[-1][1] is None) == (how in ("no version", "weak version"))


def test_a_part_that_is_whole_or_too_long(tmp_path, server):
    for length in (len(BODY), len(BODY) + 5):
        (tmp_path / "part").write_bytes(BODY + b"?" * (length - len(BODY)))
        (tmp_path / "part.tag").write_text('"one"')
        assert fetched(tmp_path, server) == BODY
    assert [range for _, range in server.asked] == ["bytes=300000-", "bytes=300005-", None]


def test_two_at_once_do_not_mix(tmp_path, server):
    pytest.importorskip("fcntl")
    import fcntl

    with open(tmp_path / "part", "ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(NotFetched, match="another process"):
            fetched(tmp_path, server)
    assert fetched(tmp_path, server) == BODY


# ---- fetch


def test_fetched_once_then_found(folder, toy, server):
    toy(pin=sha256(BODY))
    server.breaks = [1000]
    assert sets.find("toy") == []
    assert sets.path("toy") == sets.path("toy/all") == sets.path("toy/a.bin") == folder / "a.bin"
    assert (folder / "a.bin").read_bytes() == BODY
    assert len(server.asked) == 2 and os.listdir(folder) == ["a.bin"]
    assert sets.find("toy") == sets.fetch("toy") == [folder / "a.bin"]


def test_another_content_than_the_pinned_is_refused(folder, toy, capfd):
    toy(pin=sha256(b"else"))
    with pytest.raises(NotFetched, match="something else: expected sha256:"):
        sets.fetch("toy")
    assert os.listdir(folder) == []
    assert not capfd.readouterr().err


def test_trust_on_first_use(folder, toy, server):
    toy()
    sets.fetch("toy")
    line = f"{sha256(BODY)[7:]}  a.bin\n"
    assert (folder / "SHA256SUMS").read_text() == line
    (folder / "a.bin").unlink()
    sets.fetch("toy")
    assert (folder / "SHA256SUMS").read_text() == line
    (folder / "a.bin").unlink()
    server.files["/a"] = b"changed"
    with pytest.raises(NotFetched, match=f"expected {sha256(BODY)}"):
        sets.fetch("toy")
    assert not (folder / "a.bin").exists()


def test_pooch_keeps_quiet_and_gets_its_voice_back(toy):
    toy()
    heard = []
    handler = logging.Handler()
    handler.emit = heard.append
    logger = pooch.get_logger()
    level = logger.level
    logger.addHandler(handler)
    try:
        sets.fetch("toy")
        assert not heard and logger.level == level
    finally:
        logger.removeHandler(handler)


def test_a_mirror_stands_in(folder, toy, server):
    toy(pin=sha256(BODY), urls=[f"{server.url}/gone", f"{server.url}/a"])
    assert sets.path("toy").read_bytes() == BODY


def boxed(kind):
    box = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(box, "w") as file:
            file.writestr("in/x.txt", b"x" * 1000)
            file.writestr("in/y.txt", b"y")
    else:
        with tarfile.open(fileobj=box, mode="w:gz") as file:
            for name, text in ("x", b"x" * 1000), ("y", b"y"):
                info = tarfile.TarInfo(f"in/{name}.txt")
                info.size = len(text)
                file.addfile(info, io.BytesIO(text))
    return box.getvalue()


@pytest.mark.parametrize("kind", ["zip", "tgz"])
def test_files_come_out_of_their_archive(folder, toy, server, kind):
    server.files[f"/box.{kind}"] = boxed(kind)
    urls = [f"{server.url}/box.{kind}"]
    toy(("x", "x.txt", "in/x.txt"), ("y", "y.txt", "in/y.txt"), pin=sha256(boxed(kind)), urls=urls)
    assert sets.path("toy/x").read_bytes() == b"x" * 1000
    assert sorted(os.listdir(folder)) == [f"box.{kind}", "x.txt"]  # it still has something to give
    assert sets.path("toy/y").read_bytes() == b"y"
    assert sorted(os.listdir(folder)) == ["x.txt", "y.txt"] and len(server.asked) == 1
    with pytest.raises(ValueError, match="several files: say which, of toy/x, toy/y"):
        sets.path("toy")
    toy(("z", "z.txt", "in/z.txt"), urls=urls)
    with pytest.raises(errors.FileError, match=r"cannot take 'in/z.txt'"):
        sets.path("toy/z")
    assert not (folder / "z.txt").exists()


def test_no_network_is_said_in_one_message(toy, capsys):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/a"
        toy(urls=[url, url + "b"])
        assert main(["data", "fetch", "toy"]) == 1
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1 and url in said[0] and url + "b" in said[0]
    assert "NPSSL_DATA" in said[0] and "a.bin" in said[0]


def test_what_else_is_said(toy, server, tmp_path, monkeypatch, capsys):
    toy(urls=[f"{server.url}/gone"])
    with pytest.raises(NotFetched, match="404"):
        sets.fetch("toy")
    monkeypatch.setitem(__import__("sys").modules, "pooch", None)
    with pytest.raises(errors.MissingExtra, match=r"npssl\[data\]"):
        sets.fetch("toy")
    monkeypatch.undo()
    monkeypatch.setenv("NPSSL_DATA", str(tmp_path / "file"))
    (tmp_path / "file").write_text("")
    toy()
    with pytest.raises(OSError, match="NPSSL_DATA"):
        sets.fetch("toy")
    assert main(["data", "fetch", "simlx-999"]) == 2
    assert "did you mean 'simlex-999'?" in capsys.readouterr().err
    with pytest.raises(ValueError, match="no file 'tset', only train, test"):
        sets.path("trec/tset")


# ---- a folder that holds the files


@pytest.mark.parametrize("suffix", ["", ".xz", ".gz", ".bz2"])
def test_a_folder_serves_in_place_of_a_download(folder, toy, suffix):
    toy(urls=["http://127.0.0.1:1/never-asked"])
    folder.mkdir(parents=True)
    with sets.OPENERS[suffix](folder / f"a.bin{suffix}", "wb") as file:
        file.write(BODY)
    assert sets.path("toy/all") == sets.fetch("toy")[0] == folder / f"a.bin{suffix}"
    assert sets.path("toy/all", folder.parent) == folder / f"a.bin{suffix}"
    assert sets.path("toy-folder/a.bin") == folder / f"a.bin{suffix}"
    with pytest.raises(NotFetched):
        sets.path("toy/all", folder.parent.parent)


def test_a_file_of_no_set_is_found_too(folder):
    folder.mkdir(parents=True)
    (folder / "mine.txt.xz").write_bytes(lzma.compress(b"mine"))
    assert sets.path("toy-folder/mine.txt") == folder / "mine.txt.xz"
    with pytest.raises(ValueError, match="no data set"):
        sets.path("toy-folder/other.txt")


def test_the_cache_stands_behind_the_folder(tmp_path, toy):
    toy(urls=["http://127.0.0.1:1/never-asked"])
    place = tmp_path / "cache" / "npssl" / "data" / "toy-folder"
    place.mkdir(parents=True)
    (place / "a.bin").write_bytes(BODY)
    assert sets.path("toy") == place / "a.bin"


@pytest.mark.parametrize("damage", ["changed", "cut"])
def test_a_damaged_file_is_told_from_the_whole_one(tmp_path, damage):
    place = tmp_path / "data" / "trec" / "TREC_10.label.xz"
    place.parent.mkdir(parents=True)
    packed = lzma.compress(b"DESC:def What ?\n" * 100)
    place.write_bytes(packed[:-20] if damage == "cut" else packed)
    with pytest.raises(
        errors.FileError, match="cannot be read" if damage == "cut" else "expected sha256"
    ):
        sets.fetch("trec/test")
    assert sets.path("trec/test") == place  # found, not read


@pytest.mark.parametrize("name", ["trec", "sst2", "mnist", "analogies", "simlex-999", "omniglot"])
def test_the_real_files_are_the_pinned_ones(shared_data, monkeypatch, name):
    folder = shared_data(SETS[name].folder).parent
    places = sets.fetch(name, folder)
    assert len(places) == len(SETS[name].files) and all(p.is_file() for p in places)


def test_the_real_layout_is_found(shared_data, monkeypatch):
    monkeypatch.setenv("NPSSL_DATA", str(shared_data("wikitext-2").parent))
    assert sets.path("wikitext-2/train").name == "wiki.train.tokens.xz"
    assert sets.path("sst2/test").name == "test.tsv.xz"
    assert sets.path("stsb/dev").name == "stsb-en-dev.csv.xz"
    assert sets.path("cola/dev-out").name == "out_of_domain_dev.tsv"


# ---- the table


@pytest.mark.parametrize("name", SETS)
def test_the_table(name):
    data = SETS[name]
    assert data.name == name and data.about and data.licence and data.home.startswith("http")
    assert len({f.role for f in data.files}) == len({f.name for f in data.files}) > 0
    for file in data.files:
        assert "/" not in file.name and "/" not in file.role and file.source.urls
        assert file.sha256 is None or re.fullmatch("[0-9a-f]{64}", file.sha256)
        pin = file.source.pin
        assert pin is None or re.fullmatch("sha256:[0-9a-f]{64}|md5:[0-9a-f]{32}", pin)
        for url in file.source.urls:
            assert re.fullmatch(r"https?://[\w.-]+/[\w.~/+-]+", url)
            if "raw.githubusercontent.com" in url:  # a commit: the same bytes for ever
                assert re.search("/[0-9a-f]{40}/", url)


# ---- the folders and the command


def test_the_folders(monkeypatch, tmp_path):
    assert cache.cache_folder() == tmp_path / "cache" / "npssl"
    assert cache.data_folder() == tmp_path / "data"
    monkeypatch.delenv("NPSSL_DATA")
    assert cache.data_folder() == tmp_path / "cache" / "npssl" / "data"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache.cache_folder().is_absolute() and "relative" not in str(cache.cache_folder())


def test_the_command(folder, toy, capsys):
    toy()
    assert main(["data", "list"]) == 0
    text = capsys.readouterr().out
    assert re.search(r"^toy +0/1 +\?\* for tests \(none\)$", text, re.M)
    assert re.search(r"^text8 +0/1 +31.3  word2vec", text, re.M)
    assert main(["data", "where", "toy"]) == 2
    assert "npssl data fetch toy" in capsys.readouterr().err
    assert main(["data", "fetch", "toy", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"toy": [str(folder / "a.bin")]}
    assert main(["data", "where", "toy"]) == 0
    assert capsys.readouterr().out == f"{folder / 'a.bin'}\n"
    assert main(["data", "list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["sets"]
    assert set(listed) == set(SETS) and listed["toy"]["files"]["all"]["here"]
    assert listed["trec"]["files"]["test"]["bytes"] == 23_269


def test_the_command_is_all_or_nothing(folder, toy, server, capsys):
    toy(("x", "x.txt", ""), ("y", "y.txt", ""))
    assert main(["data", "fetch", "toy", "no-such-set"]) == 2
    assert not server.asked and not folder.exists()
    assert main(["data", "fetch", "toy/x"]) == 0 and os.listdir(folder).count("x.txt")
    assert main(["data", "where", "toy/x"]) == 0
    assert main(["data", "where", "toy"]) == 2 and "not all here" in capsys.readouterr().err
