"""The default corpus: what is prose, where it is looked for, and how it is kept."""

import os
import re
import subprocess
import sys

import pytest

from npssl.data import documentation as doc


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "npssl"


SAMPLE = '''"""The Module's docstring, see https://example.org/a?b.

Title
=====
* first item
* second item
"""

class A:
    r"""Über \\alpha and :class:`Other` don\u2019t."""

    def f(self):
        """Adds, as in

        >>> print("never prose")
        never this either

        and also::

            no_prose_here = 1

        until here.

        .. note:: a kept remark
           that goes on

        .. code-block:: python

           dropped = True

        production ::= "no" "prose"
                       | "at all"

        the end
        """
        def inner():
            "an inner function"

    assert_stmt = "no docstring at all"

if True:
    def g():
        """the module's docstring see"""

    def h():
        """Adds, as in"""
else:
    try:
        pass
    except ImportError:
        def i():
            """defined elsewhere"""

add_newdoc("numpy", "x", """the text of a compiled function""")
add_newdoc("numpy", "ndarray", ("T", """the text of an attribute"""))
print("never a text of the corpus")
'''


def test_what_is_prose(tmp_path):
    path = tmp_path / "sample.py"
    path.write_text(SAMPLE, encoding="utf-8")
    assert list(doc.lines([path])) == [
        "the module's docstring see",
        "first item",
        "second item",
        "über and other don't",
        "adds as in",
        "and also",
        "until here",
        "a kept remark that goes on",
        "the end",
        "an inner function",
        "defined elsewhere",
        "the text of a compiled function",
        "the text of an attribute",
    ]


@pytest.mark.parametrize(
    "junk", [b"def (", b"\x00", b"# coding: no-such\n", b"'\xff'", b"(" * 5000, b""]
)
def test_files_that_do_not_parse_are_passed_over(tmp_path, junk):
    path = tmp_path / "junk.py"
    path.write_bytes(junk)
    assert doc.docstrings(path) == []
    assert doc.docstrings(tmp_path / "absent.py") == []


def test_the_topics_are_read_as_a_literal_and_never_run(tmp_path):
    path = tmp_path / "pydoc_data" / "topics.py"
    path.parent.mkdir()
    path.write_text("# made\ntopics = {'assert': 'The \"assert\" statement\\n', 'b': 'More'}\n")
    assert doc.docstrings(path) == ['The "assert" statement\n', "More"]
    path.write_text("topics = {'a': str(1 / 0)}\n")
    assert doc.docstrings(path) == []
    path.write_text("topics = {'a': __import__('os').sep}\n")
    assert doc.docstrings(path) == []


def test_tests_and_other_packages_are_left_out():
    paths = doc.sources()
    assert paths[0].parent.name == "pydoc_data" and len(paths) == len(set(paths))
    parts = {part for path in paths for part in path.parts[-4:-1]}
    assert not parts & {"test", "tests"} and {"numpy", "numba", "json"} <= parts


def test_nothing_is_imported():
    program = (
        "import sys, npssl.data.documentation as d; before = set(sys.modules)\n"
        "for path in d.sources()[::10]: d.docstrings(path)\n"
        "new = {m for m in sys.modules if m.split('.')[0] in ('numba', 'tkinter', 'antigravity')}\n"
        "assert not new, new"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_corpus(cache, capsys):
    path = doc.documentation()
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2 and str(path) in said[1]
    assert path.parent == cache and re.fullmatch(
        r"documentation-[a-z]+3\.\d+\.\S+-numpy\d\S+-numba\d\S+-\d+\.txt", path.name
    )
    text = path.read_text(encoding="utf-8")
    words = text.split()
    assert 400_000 < len(words) < 1_000_000
    assert text.endswith("\n") and "\n\n" not in text and text == text.lower()
    assert re.fullmatch(r"(?:\w+(?:'\w+)*(?: \w+(?:'\w+)*)+\n)+", text)
    assert {"array", "statement", "exception", "matrix", "compile"} <= set(words)
    assert len(set(text.splitlines())) == text.count("\n")
    assert doc.documentation() == path and not capsys.readouterr().err
    path.unlink()
    assert doc.documentation().read_text(encoding="utf-8") == text
    assert [p.name for p in cache.iterdir()] == [path.name]


def test_nothing_half_written(cache, monkeypatch):
    def stopped(paths):
        yield "two words"
        raise KeyboardInterrupt

    monkeypatch.setattr(doc, "lines", stopped)
    with pytest.raises(KeyboardInterrupt):
        doc.documentation()
    monkeypatch.setattr(doc, "lines", lambda paths: iter(()))
    with pytest.raises(OSError, match="no documentation"):
        doc.documentation()
    assert os.listdir(cache) == []


def test_a_cache_that_cannot_be_made(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(OSError, match="XDG_CACHE_HOME"):
        doc.documentation()
