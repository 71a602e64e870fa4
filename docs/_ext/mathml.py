"""Mathematics as MathML, which browsers draw themselves: no script, no font, no network."""

import re

from latex2mathml.converter import convert


def setup(app):
    app.add_html_math_renderer("mathml", (_inline, None), (_display, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _inline(self, node):
    from docutils.nodes import SkipNode

    self.body.append(convert(node.astext()))
    raise SkipNode


def _display(self, node):
    from docutils.nodes import SkipNode

    text = re.sub(r"\\tag\{(\w+)\}", r"\\qquad (\1)", node.astext())
    self.body.append(f'<div class="equation">{convert(text, display="block")}</div>')
    raise SkipNode
