"""The documentation site: ``sphinx-build -W -b html docs docs/_build`` (extra ``docs``).

Pages are Markdown.  The page of each op is made from its source when the site is built
(``_ext/pages.py``); mathematics becomes MathML (``_ext/mathml.py``), so that nothing is
fetched when a page is opened.
"""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent)]

project = "npssl"
author = "the npssl developers"
extensions = ["myst_parser", "mathml", "pages"]
html_math_renderer = "mathml"
myst_enable_extensions = ["dollarmath", "amsmath"]
myst_heading_anchors = 3
exclude_patterns = ["_build", "figures"]
html_theme = "furo"
html_title = "npssl"
html_copy_source = False
html_show_copyright = False
suppress_warnings = ["misc.highlighting_failure"]  # shell and pseudo-code are shown as they are
