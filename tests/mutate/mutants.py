# SPDX-License-Identifier: MIT
"""Finds the places of a C file where one small change makes a likely mistake of it.

The text is cut into tokens, not parsed: what does not compile afterwards is told by the compiler, and is
not counted.
"""
import collections
import re

TOKEN = re.compile(
    r"""(?P<skip>\s+|//[^\n]*|/\*.*?\*/)
      | (?P<directive>^[ \t]*\#(?:\\\n|[^\n])*)
      | (?P<text>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')
      | (?P<number>0[xX][0-9a-fA-F]+[uUlL]*|[0-9]+(?:\.[0-9]+)?[uUlL]*)
      | (?P<name>[A-Za-z_]\w*)
      | (?P<sign><<=|>>=|\.\.\.|->|\+\+|--|<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%&|^]=|.)""",
    re.VERBOSE | re.DOTALL | re.MULTILINE)
CONSTANT = re.compile(r"([ \t]*#[ \t]*define[ \t]+\w+[ \t]+)([0-9]+)([uUlL]*)[ \t]*(?:/|$)")

# Signs between two operands.
BINARY = {
    "<": ("<=", ">="), "<=": ("<", ">"), ">": (">=", "<="), ">=": (">", "<"),
    "==": ("!=",), "!=": ("==",), "&&": ("||",), "||": ("&&",),
    "+": ("-",), "-": ("+",), "*": ("+",), "/": ("*",), "%": ("*",),
    "&": ("|",), "|": ("&",), "<<": (">>",), ">>": ("<<",),
    "+=": ("-=",), "-=": ("+=",), "|=": ("&=",), "&=": ("|=",),
}
UNARY = {"++": ("--",), "--": ("++",)}
KEYWORDS = {"if", "else", "while", "for", "do", "switch", "case", "default", "return", "sizeof",
            "break", "continue", "struct", "enum", "union", "const", "static", "typeof"}
# Checks for the developer: a program that keeps them does the same without.
ASSERTIONS = {"assert", "static_assert", "_Static_assert"}


class Token:
    def __init__(self, kind, text, start):
        self.kind = kind
        self.text = text
        self.start = start
        self.end = start + len(text)


class Mutant:
    """One change: @text replaces what stands from @start to @end."""

    def __init__(self, source, kind, start, end, text):
        self.kind = kind
        self.start = start
        self.end = end
        self.text = text
        self.name = None
        self.line = source.count("\n", 0, start) + 1
        self.column = start - source.rfind("\n", 0, start)
        first = source.rfind("\n", 0, start) + 1
        last = source.find("\n", start)
        self.of = source[first:last if last >= 0 else len(source)].strip()

    def apply(self, source):
        return source[:self.start] + self.text + source[self.end:]


def cut(source):
    """The tokens that the compiler sees, and the directives of the preprocessor."""
    return [Token(m.lastgroup, m.group(), m.start())
            for m in TOKEN.finditer(source) if m.lastgroup != "skip"]


def partners(tokens):
    """For each bracket the index of the other one; under "head" the tokens between those of a `for`."""
    other, stack = {"head": set()}, []
    for i, token in enumerate(tokens):
        if token.kind == "sign" and token.text in "([{":
            stack.append(i)
        elif token.kind == "sign" and token.text in ")]}" and stack:
            start = stack.pop()
            other[start], other[i] = i, start
            if tokens[start - 1].text == "for":
                other["head"].update(range(start, i))
    return other


def bodies(tokens, other):
    """The ranges of tokens that are bodies of functions: a brace after a parenthesis, at file scope."""
    i = 0
    while i < len(tokens):
        if tokens[i].text == "{" and tokens[i].kind == "sign":
            end = other.get(i, len(tokens))
            if i > 0 and tokens[i - 1].text == ")":
                yield i, end
            i = end
        i += 1


def is_operand(token):
    return (token.kind in ("number", "text") or token.text in (")", "]")
            or (token.kind == "name" and token.text not in KEYWORDS))


def is_pointer(tokens, i):
    """Whether the star at @i declares: `struct x *y`, `char *y`, `(type *)`."""
    before, after = tokens[i - 1], tokens[i + 1]
    if after.text in (")", "*", ",", "const"):
        return True
    return before.kind == "name" and tokens[i - 2].text in (
        "struct", "enum", "union", "const", "{", ";", "}", "(", ",", "_cleanup_", "static")


def changes(source, tokens, i, other):
    """The changes of the token @i, which stands in a function."""
    token, before = tokens[i], tokens[i - 1]
    if token.kind == "sign" and token.text in UNARY:
        for text in UNARY[token.text]:
            yield Mutant(source, "operator", token.start, token.end, text)
    elif token.kind == "sign" and token.text in BINARY and is_operand(before):
        if not (token.text in "*&" and is_pointer(tokens, i)):
            for text in BINARY[token.text]:
                yield Mutant(source, "operator", token.start, token.end, text)
    elif token.kind == "number" and re.fullmatch(r"[0-9]+[uUlL]*", token.text):
        digits = re.match(r"[0-9]+", token.text).group()
        suffix = token.text[len(digits):]
        yield Mutant(source, "constant", token.start, token.end, f"{int(digits) + 1}{suffix}")
    elif token.text in ("true", "false"):
        yield Mutant(source, "constant", token.start, token.end,
                     "false" if token.text == "true" else "true")
    elif token.text in ("if", "while") and tokens[i + 1].text == "(" and i + 1 in other:
        start, end = tokens[i + 1].end, tokens[other[i + 1]].start
        yield Mutant(source, "condition", start, end, f"!({source[start:end]})")
    elif token.text == "!" and tokens[i + 1].text != "=":
        yield Mutant(source, "condition", token.start, token.end, "!!")
    elif token.text == "return":
        yield from results(source, tokens, i)
    if token.text in ("break", "continue") and tokens[i + 1].text == ";":
        yield Mutant(source, "statement", token.start, token.end, "")
    if begins_statement(tokens, i, other):
        yield from drops(source, tokens, i)


def results(source, tokens, i):
    end = end_of_statement(tokens, i)
    text = source[tokens[i].end:tokens[end].start].strip()
    if text and text not in ("0", "NULL", "false", "true", "1"):
        yield Mutant(source, "result", tokens[i].end, tokens[end].start, " 0")


def end_of_statement(tokens, i):
    depth = 0
    while i < len(tokens):
        text = tokens[i].text
        depth += text in ("(", "[", "{")
        depth -= text in (")", "]", "}")
        if text == ";" and depth == 0:
            break
        i += 1
    return i


def begins_statement(tokens, i, other):
    """Whether a call or an assignment begins at @i."""
    token, before = tokens[i], tokens[i - 1]
    if token.kind != "name" or token.text in KEYWORDS | ASSERTIONS:
        return False
    if before.text in (";", "{", "}", "else", ":"):
        return i not in other["head"]
    opening = other.get(i - 1) if before.text == ")" else None
    return opening is not None and tokens[opening - 1].text in ("if", "while", "for")


def drops(source, tokens, i):
    """A statement that is left out, if it is not a declaration."""
    after = tokens[i + 1]
    if after.kind == "name" or (after.text == "*" and tokens[i + 2].kind == "name"):
        return
    end = end_of_statement(tokens, i)
    if end < len(tokens) and tokens[end].text == ";":
        yield Mutant(source, "statement", tokens[i].start, tokens[end].start, "")


def asserted(tokens, other):
    """The tokens within assertions."""
    found = set()
    for i, token in enumerate(tokens[:-1]):
        if token.text in ASSERTIONS and i + 1 in other:
            found.update(range(i, other[i + 1] + 1))
    return found


def number(found):
    """Gives each a name by its line's text, so that lines may be added above it."""
    seen = collections.Counter()
    for mutant in found:
        name = f"{mutant.of} @{mutant.column} {mutant.kind} {mutant.text}"
        mutant.name = f"{name} #{seen[name]}" if seen[name] else name
        seen[name] += 1


def find(source):
    """All mutants of a file, in the order of the text."""
    tokens = cut(source)
    other = partners(tokens)
    left_out = asserted(tokens, other)
    found = []
    for token in tokens:
        match = CONSTANT.match(token.text) if token.kind == "directive" else None
        if match:
            start = token.start + match.start(2)
            text = str(int(match.group(2)) + 1)
            found.append(Mutant(source, "constant", start, start + len(match.group(2)), text))
    for start, end in bodies(tokens, other):
        for i in range(start + 1, end - 1):
            if i not in left_out:
                found.extend(changes(source, tokens, i, other))
    found.sort(key=lambda mutant: (mutant.start, mutant.end, mutant.text))
    number(found)
    return found
