"""The documentation site: built without a warning, and nothing is fetched when it is opened."""

import inspect
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from npssl.jobs.cases import CASES

ROOT = Path(__file__).resolve().parent.parent
FETCHED = re.compile(
    r"<(?:script|img|iframe|link|source|video|audio)\b[^>]*\b(?:src|href)=[\"'](?:https?:)?//[^>]*>"
)
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    for name in ("sphinx", "myst_parser", "furo", "latex2mathml", "numpydoc"):
        pytest.importorskip(name, reason="needs the extra 'docs'")
    source, out = tmp_path_factory.mktemp("docs"), tmp_path_factory.mktemp("site")
    for part in ("docs", "npssl"):  # pages are written beside the source: not into this tree
        ignored = shutil.ignore_patterns("_build", "code", "__pycache__")
        shutil.copytree(ROOT / part, source / part, ignore=ignored)
    call = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html"]
    done = subprocess.run([*call, source / "docs", out], capture_output=True, text=True, cwd=source)
    assert done.returncode == 0, done.stderr
    return out


def test_every_op_has_its_page(site):
    text = (site / "code" / "layers" / "norm.html").read_text("utf-8")
    assert "layernorm" in text and "complex step" in text and "Derivation" in text
    assert "The steps, executed" in text and "tilt" in text
    for section in ("Parameters", "Returns", "Keeps", "Derivation", "Raises", "References"):
        assert f"<strong>{section}</strong>" in text
    entry = r"<li><p><code[^>]*><span class=.pre.>eps</span></code> :"
    assert re.search(entry, text), "parameters are no list"


def test_docstrings_of_ops_list_the_arguments_that_there_are(monkeypatch):
    pytest.importorskip("numpydoc", reason="needs the extra 'docs'")
    monkeypatch.syspath_prepend(ROOT / "docs" / "_ext")
    from api import MARK, TOLD, Docstring

    for op in CASES:
        doc = Docstring(TOLD.sub(rf"\1 {MARK} ", inspect.getdoc(op)))
        told = [name.strip() for p in doc["Parameters"] for name in p.name.split(",")]
        assert sorted(told) == sorted(inspect.signature(op).parameters), op.__name__
        assert doc["Returns"] and doc["Derivation"] and doc["Keeps"], op.__name__


def test_pages_fetch_nothing(site):
    pages = list(site.rglob("*.html"))
    assert len(pages) > 50
    for page in pages:
        assert not FETCHED.findall(page.read_text("utf-8")), page
    assert FETCHED.search('<script src="https://example.org/a.js">'), "this test sees nothing"


@pytest.mark.skipif(BROWSER is None, reason="needs a Chromium to open pages in")
@pytest.mark.parametrize("page", ["index.html", "tour.html", "proofs/information.html"])
def test_pages_open_in_a_browser(site, page, tmp_path):
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"]
    options += ["--no-first-run", "--disable-background-networking", "--disable-component-update"]
    options += ["--disable-sync", "--enable-logging=stderr", "--virtual-time-budget=3000"]
    done = subprocess.run(
        [BROWSER, *options, f"--user-data-dir={tmp_path}", "--dump-dom", f"file://{site / page}"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "</html>" in done.stdout
    assert "CONSOLE" not in done.stderr, done.stderr
    if page.startswith("proofs/"):  # mathematics stands there as such, and not as its source
        assert "<math" in done.stdout and "\\frac" not in done.stdout
