"""What an exercise is: a function whose ``back`` is cut out, and a line of shapes.

The function as it stands in a chapter is the question (its docstring), the forward pass,
and the reference answer.  What the learner gets is its own source without the body of
``back``; nothing is written twice.
"""

import ast
import inspect
import math
import re
import textwrap
from dataclasses import dataclass, field

import numpy as np

SECTIONS = re.compile(r"^(Hints|Derivation):\n", re.M)


@dataclass(frozen=True)
class Exercise:
    """One gradient to derive.

    Parameters
    ----------
    op : callable
        ``y, back = op(*arrays, **options)``, with the question, the hints and the
        derivation in its docstring.
    shapes : str
        ``"x: B D; ids: B T < V; seen: B T bool"``: normal numbers, integers below V,
        truth values.  Different letters get different lengths, so that no transposed
        matrix fits by luck.  Axes may be sums and products, such as ``4*H``.
    oracle : callable, optional
        The op of npssl that does the same; its page is the derivation.
    """

    op: object
    shapes: str
    oracle: object = None

    @property
    def name(self):
        """The name of the function, and of the exercise."""
        return self.op.__name__

    def part(self, section):
        """The question (section ""), or "Hints" or "Derivation", as text."""
        return parts(self.op).get(section, "")

    @property
    def hints(self):
        """Written hints, mildest first."""
        return tuple(
            re.sub(r"\s+", " ", h)
            for h in re.findall(r"- ([^-].*?)(?=\n- |\Z)", self.part("Hints"), re.S)
        )

    def draw(self, rng):
        """Arrays and options at a random point."""
        declared = [line.split(":") for line in self.shapes.split(";")]
        letters = sorted(
            set(re.findall(r"[A-Za-z]", "".join(s.removesuffix("bool") for _, s in declared)))
        )
        sizes = dict(zip(letters, (2 + rng.permutation(len(letters) + 1)).tolist()))
        drawn = {}
        for name, text in declared:
            axes, below, limit = text.removesuffix("bool").partition("<")
            dims = [eval(axis, {}, sizes) for axis in axes.split()]
            if below:
                drawn[name.strip()] = rng.integers(0, eval(limit, {}, sizes), dims)
            elif text.endswith("bool"):
                drawn[name.strip()] = rng.random(dims) < 0.7
            else:
                drawn[name.strip()] = rng.normal(size=dims)
        kinds = inspect.signature(self.op).parameters
        arrays = [a for n, a in drawn.items() if kinds[n].kind is not kinds[n].KEYWORD_ONLY]
        return arrays, {n: a for n, a in drawn.items() if kinds[n].kind is kinds[n].KEYWORD_ONLY}

    def source(self, seed=0):
        """The source; with another seed than 0 the constants of the signature are others."""
        text = textwrap.dedent(inspect.getsource(self.op))
        if not seed:
            return text
        lines, factor = text.splitlines(keepends=True), (0.5, 0.75, 1.25, 1.5, 2.0)[seed % 5]
        for node in reversed(ast.parse(text).body[0].args.kw_defaults):
            if isinstance(node, ast.Constant) and isinstance(node.value, float):
                row = lines[node.lineno - 1]
                new = f"{node.value * factor:.6g}"
                lines[node.lineno - 1] = row[: node.col_offset] + new + row[node.end_col_offset :]
        return "".join(lines)

    def reference(self, seed=0):
        """The right answer, with the constants of ``seed``."""
        return compiled(self.source(seed), self.name)

    def stub(self, seed=0):
        """What the learner gets: the forward pass, the shapes and the question."""
        text = self.source(seed)
        lines, function = text.splitlines(), ast.parse(text).body[0]
        back = next(n for n in function.body if isinstance(n, ast.FunctionDef) and n.name == "back")
        todo = " " * 8 + 'raise NotImplementedError("your turn")'
        lines[back.body[0].lineno - 1 : back.end_lineno] = [todo]
        document = function.body[0]
        question = f'"""{self.part("").strip()}\n\n{self.table()}\n"""'
        lines[document.lineno - 1 : document.end_lineno] = [textwrap.indent(question, "    ")]
        text = "\n".join(re.sub(r"[ \t]+$", "", line) for line in lines)
        imports = "import math\n\n" if "math." in text else ""
        return f"{header(self.name, seed)}\n{imports}import numpy as np\n\n\n{text}\n"

    def table(self):
        """The shapes, as the learner reads them."""
        kinds = inspect.signature(self.op).parameters
        rows = []
        for line in self.shapes.split(";"):
            name, text = (part.strip() for part in line.split(":"))
            axes, below, limit = text.removesuffix("bool").partition("<")
            kind = f" integers below {limit.strip()}" if below else ""
            kind = " True or False" if text.endswith("bool") else kind
            shape = "(" + ", ".join(axes.split()) + ("," if len(axes.split()) == 1 else "") + ")"
            gradient = "" if kinds[name].kind is kinds[name].KEYWORD_ONLY else f"   asked: d{name}"
            rows.append(f"{name} {shape}{kind}{gradient}")
        return "\n".join(rows)


@dataclass(frozen=True)
class Reversed:
    """One test to write: it must pass the right op and catch every wrong one.

    ``answer(op)`` is a test that does, ``of`` the exercise whose op is tested, ``given``
    the mistake that the learner sees, ``hidden`` the ones that mark the test: each is
    (what to replace, by what, what it is).
    """

    answer: object
    of: Exercise
    given: tuple
    hidden: tuple = field(default=())

    @property
    def name(self):
        """The name of the test, and of the exercise."""
        return self.answer.__name__

    def part(self, section):
        """As of `Exercise`."""
        return parts(self.answer).get(section, "")

    hints = Exercise.hints

    def mutant(self, change, seed=0):
        """The op with one mistake."""
        return compiled(self.mutated(change, seed), self.of.name)

    def mutated(self, change, seed=0):
        """Its source."""
        text, (old, new, _) = self.of.source(seed), change
        if text.count(old) != 1:
            raise ValueError(f"{self.name}: expected {old!r} once in {self.of.name}")
        return text.replace(old, new)

    def source(self, seed=0):
        """The source of the reference answer."""
        return textwrap.dedent(inspect.getsource(self.answer))

    def stub(self, seed=0):
        """What the learner gets: a wrong op to look at, and an empty test."""
        wrong = re.sub(r'    """.*?"""\n', "", self.mutated(self.given, seed), count=1, flags=re.S)
        imports = "import math\n\n" if "math." in wrong else ""
        question = f'"""{self.part("").strip()}\n\n{self.of.table()}\n"""\n'
        return (
            f"{header(self.name, seed)}\n{imports}import numpy as np\n\n\ndef {self.name}(op):\n"
            + textwrap.indent(question + 'raise NotImplementedError("your turn")', "    ")
            + f"\n\n\n# One of the wrong versions; others are hidden.\n{wrong}"
        )


def parts(function):
    """Question, hints and derivation of a docstring, by name."""
    pieces = SECTIONS.split(inspect.getdoc(function) or "")
    return {"": pieces[0].strip(), **dict(zip(pieces[1::2], map(str.strip, pieces[2::2])))}


def header(name, seed):
    """The first line of an answer: which exercise it is."""
    return f"# npssl learn: {name}, seed {seed}"


def read_header(text):
    """(name, seed) of an answer, or None."""
    found = re.search(r"^# npssl learn: (\w+), seed (\d+)\s*$", text, re.M)
    return found and (found[1], int(found[2]))


def compiled(source, name, filename="<answer>"):
    """The function ``name`` of some source; runs the source."""
    space = {"np": np, "math": math, "__name__": "answer"}
    exec(compile(source, filename, "exec"), space)
    if not callable(space.get(name)):
        raise ValueError(f"{filename}: expected a function {name}, found none")
    return space[name]
