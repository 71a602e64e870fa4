"""Docstrings as Markdown: what `numpydoc` reads in them, section by section."""

import ast
import re
import textwrap
import warnings
from typing import ClassVar

from numpydoc.docscrape import NumpyDocString, Parameter


class Docstring(NumpyDocString):
    """A docstring with our two sections more: what a closure keeps, and the derivation."""

    sections: ClassVar = {**NumpyDocString.sections, "Keeps": [], "Derivation": []}


LISTS = "Parameters", "Attributes", "Returns", "Yields"
PROSE = "Keeps", "Derivation"
REST = "Raises", "Notes", "References", "Examples"
TOLD = re.compile(r"^(\w[^:\n]* : .*?\S) {2,}(?=\S)", re.M)  # name : type   what it is
MARK = "\u00a6"  # stands between type and words, as numpydoc would join them


def section(node, source, level=2):
    """One public function or class as Markdown, and the nodes whose docstrings it has shown."""
    shown = [node]
    lines = [f"{'#' * level} {node.name}", "", "```python", signature(node, source), "```", ""]
    lines += rendered(ast.get_docstring(node) or "")
    for method in node.body if isinstance(node, ast.ClassDef) else ():
        if isinstance(method, ast.FunctionDef) and not method.name.startswith("_"):
            if ast.get_docstring(method):
                more, inner = section(method, source, level + 1)
                lines += more
                shown += inner
    return lines, shown


def signature(node, source):
    """The lines of ``def`` or ``class`` as they stand in the source."""
    lines = source.split("\n")[node.lineno - 1 : max(node.body[0].lineno - 1, node.lineno)]
    return textwrap.dedent("\n".join(lines)).rstrip().removesuffix(":")


def rendered(text):
    """A docstring in numpydoc's form as Markdown.

    >>> rendered("Adds one.\\n\\nParameters\\n----------\\nx : int    what is added to")[2:]
    ['**Parameters**', '', '- `x` : `int`, what is added to', '']
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # an unknown section, or one that comes twice
        doc = Docstring(TOLD.sub(rf"\1 {MARK} ", text))
    lines = markdown([*doc["Summary"], "", *doc["Extended Summary"]])
    for name in (*LISTS, *PROSE, *REST):
        found = doc[name]
        if not found:
            continue
        lines += [f"**{name}**", ""]
        if name in LISTS or name == "Raises":
            lines += [*(item(p, name) for p in found), ""]
        elif name == "Examples":
            lines += ["```python", *found, "```", ""]
        else:
            lines += markdown(found)
    return lines


def item(p: Parameter, name) -> str:
    """``name : type   what it is`` as an entry of a list."""
    kind, _, told = (part.strip() for part in p.type.partition(MARK))
    told = " ".join([told, *map(str.strip, p.desc)]).strip()
    if name == "Raises" or not p.name:
        return f"- {plain(' '.join(part for part in (p.name, kind) if part))}: {plain(told)}"
    kind = f" : `{kind}`" if kind and "`" not in kind else f" : {plain(kind)}" if kind else ""
    return f"- `{p.name}`{kind}{', ' + plain(told) if told else ''}"


def markdown(lines):
    """Paragraphs as they are; what is indented stands in a block of its own, unchanged."""
    out, block = [], []

    def close():
        if block:
            while block and not block[-1].strip():
                block.pop()
            out.extend(["```text", *textwrap.dedent("\n".join(block)).split("\n"), "```", ""])
            block.clear()

    for line in textwrap.dedent("\n".join(lines)).split("\n"):
        inside = block or (out and not out[-1].strip()) or not out
        if line.startswith(" ") and inside:
            block.append(line)
        elif not line.strip():
            (block if block else out).append("")
        else:
            close()
            out.append("" if line.strip() == "::" else plain(re.sub("::$", ":", line)))
    close()
    while out and not out[-1]:
        out.pop()
    return [*out, ""] if out else []


def plain(text):
    """Text of a docstring that Markdown should leave alone, but for its code."""
    text = text.replace("``", "`")
    parts = text.split("`")
    for i in range(0, len(parts), 2):
        parts[i] = re.sub(r"([\\*_<>\[\]|$#])", r"\\\1", parts[i])
    return "`".join(parts).replace("\n", " ")


def without(source, nodes):
    """The source without the docstrings of these nodes."""
    lines = source.split("\n")
    for node in sorted(nodes, key=lambda n: -n.lineno):
        told = node.body[0] if node.body else None
        if ast.get_docstring(node) is not None and len(node.body) > 1:
            del lines[told.lineno - 1 : told.end_lineno]
    return "\n".join(lines)
