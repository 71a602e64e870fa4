"""The default corpus: the English documentation that came with this Python.

Every machine that runs npssl holds some 600,000 words of plain technical
English: the language reference behind ``help()`` and the docstrings of the
standard library, NumPy and Numba.  They are read from the source files with
`ast`; nothing of it is imported or run.  What is no prose (doctests, code
blocks, grammar, rulers, addresses) is left out, and so is every paragraph
that was seen before.
"""

import ast
import os
import platform
import re
import sys
import sysconfig
import tokenize
import warnings
from collections.abc import Iterable, Iterator
from importlib import metadata, util
from inspect import cleandoc
from itertools import chain
from pathlib import Path

from npssl.data.cache import cache_folder, make_folder
from npssl.files import whole_file

RULES = 1  # raise it when the text made from the same sources changes
PACKAGES = ("numpy", "numba")
NO_PROSE = {"test", "tests", "idle_test", "site-packages", "dist-packages"}

_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*")
_RULER = re.compile(r"\s*([^\w\s])\1{2,}[^\w]*$")
_ITEM = re.compile(r"\s*(?:[-*+•]|\(?\w{1,2}[.)]|\.\.)\s")
_DIRECTIVE = re.compile(r"\s*\.\.\s+([\w:-]+)::\s*")
_CODE = {"code", "code-block", "sourcecode", "parsed-literal", "math", "plot", "ipython"}
_NOISE = re.compile(r":[a-z:+-]+:(?=`)|\b\w+://\S+|<[^<>\s]*>|\\\w+")


def documentation() -> Path:
    """The path of the corpus: a text file, one paragraph a line, lower-case words.

    Made when first asked for (a few seconds, said in one line) and kept in the
    user's cache folder under a name with the versions of Python, NumPy and
    Numba; the same versions give the same bytes.

    Raises
    ------
    OSError
        When the cache folder cannot be written.
    """
    path = cache_folder() / f"documentation-{'-'.join(_versions())}-{RULES}.txt"
    if not path.exists():
        print("npssl: gathering the documentation installed here, once ...", file=sys.stderr)
        make_folder(path.parent)
        with whole_file(path) as file:
            words = 0
            for line in lines(sources()):
                words += line.count(" ") + 1
                file.write(line.encode() + b"\n")
            if not words:
                raise OSError(f"no documentation in {sysconfig.get_path('stdlib')}: give a corpus")
        print(f"npssl: {words:,} words in {path}", file=sys.stderr)
    return path


def _versions() -> list[str]:
    """What the text depends on: the interpreter and the packages that it is read from."""
    found = [f"{platform.python_implementation().lower()}{platform.python_version()}"]
    for package in PACKAGES:
        try:
            found.append(f"{package}{metadata.version(package)}")
        except metadata.PackageNotFoundError:
            continue
    return found


def lines(paths: Iterable[Path]) -> Iterator[str]:
    """Every paragraph of the docstrings in ``paths``, once, as words between blanks.

    Paragraphs of a single word are headings and are left out.
    """
    seen = set()
    for path in paths:
        for text in docstrings(path):
            for paragraph in prose(text):
                words = _WORD.findall(_NOISE.sub(" ", paragraph).replace("\u2019", "'").lower())
                line = " ".join(words)
                if len(words) > 1 and line not in seen:
                    seen.add(line)
                    yield line


def sources() -> list[Path]:
    """The Python files of the standard library and of `PACKAGES`, tests left out.

    The language reference comes first; the rest in alphabetical order.
    """
    library = Path(sysconfig.get_path("stdlib"))
    roots = [library / "pydoc_data", library]
    for package in PACKAGES:
        spec = util.find_spec(package)  # of a top-level name: looks for it, runs nothing
        roots += [Path(place) for place in (spec and spec.submodule_search_locations) or ()]
    found = []
    for root in roots:
        for folder, inner, files in os.walk(root):
            inner[:] = sorted(name for name in inner if name not in NO_PROSE)
            found += [Path(folder, name) for name in sorted(files) if name.endswith(".py")]
    return list(dict.fromkeys(found))


def docstrings(path: Path) -> list[str]:
    """The docstrings of one source file, and the texts it hands to ``add_newdoc``.

    For ``pydoc_data/topics.py``, one dictionary of texts, these texts.  A file
    that cannot be read or parsed has none.
    """
    try:
        with tokenize.open(path) as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of old escape sequences
            tree = ast.parse(file.read())
        if path.name == "topics.py" and path.parent.name == "pydoc_data":
            tables = [s.value for s in tree.body if isinstance(s, ast.Assign)]
            return [text for table in tables for text in ast.literal_eval(table).values()]
        return list(_texts(tree))
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return []


def _texts(node) -> Iterator[str]:
    """Docstrings of a module, class or function and of what is defined within it."""
    blocks = (getattr(node, name, ()) for name in ("body", "handlers", "orelse", "finalbody"))
    for child in chain.from_iterable(blocks):
        if isinstance(child, ast.Expr):
            if isinstance(child.value, ast.Constant) and isinstance(child.value.value, str):
                yield child.value.value
            elif isinstance(child.value, ast.Call) and "newdoc" in ast.dump(child.value.func):
                for inner in ast.walk(child.value):
                    if isinstance(inner, ast.Constant) and isinstance(inner.value, str):
                        yield inner.value
        elif hasattr(child, "body"):
            yield from _texts(child)


def prose(text: str) -> Iterator[str]:
    r"""The paragraphs of a docstring that are prose.

    >>> list(prose("Add two.\n\n>>> add(1, 2)\n3\n\nSee::\n\n    code()\n\nEnd."))
    ['Add two.', 'See::', 'End.']
    """
    paragraph: list[str] = []
    doctest, code = False, -1  # code: indentation of the line that opened a block of code
    for line in [*cleandoc(text).split("\n"), ""]:
        bare = line.strip()
        indent = len(line) - len(line.lstrip())
        if bare and indent <= code:
            code = -1
        doctest = bool(bare) and (doctest or bare.startswith(">>>"))
        ruler = _RULER.match(line)
        if paragraph and (not bare or doctest or ruler or code >= 0 or _ITEM.match(line)):
            if "::=" not in (joined := " ".join(paragraph)):  # no grammar
                yield joined
            paragraph = []
        if bare and not doctest and not ruler and code < 0:
            directive = _DIRECTIVE.match(line)
            if bare.endswith("::") or directive:
                code = indent if not directive or directive[1] in _CODE else -1
            paragraph.append(line[directive.end() :] if directive else bare)
