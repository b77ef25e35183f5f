#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes the manual pages, the completion of shells, and the tables of OPERATING.md.

    reference.py doab.8 VERSION FILE    writes the page to standard output; FILE is what the service reads
    reference.py doab.conf.5 VERSION    the same for the other page
    reference.py doab.bash | doab.zsh   the same for the completion
    reference.py tables     writes the tables of keys in conf/OPERATING.md anew
    reference.py check      tells whether they are as they would be written

Each fact has one source: an option is in gateway/options.h, a key of the configuration in
conf/doab.conf, a signal in conf/OPERATING.md, the sample of a probe in conf/man/probe.json. What
else a page needs is in conf/man/.

The head of conf/doab.conf tells the form in which it is written. Of a comment, the tables have the
first sentence, and those that explain a value ("0: off.").
"""
import os
import re
import sys
import textwrap

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OPTIONS = "gateway/options.h"
CONFIGURATION = "conf/doab.conf"
OPERATING = "conf/OPERATING.md"
CHANGELOG = "conf/CHANGELOG.md"
SAMPLE = "conf/man/probe.json"
COLUMNS_MAX = 78  # mandoc complains about longer lines
TABLE_HEAD = ["| key | default | meaning |", "|---|---|---|"]


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


class Option:
    def __init__(self, letter, name, value, role, text):
        self.names = (["-" + letter] if letter else []) + ["--" + name]
        self.value = value
        self.role = role
        self.text = text


def c_text(source):
    """The text of adjacent C literals; None for NULL and 0."""
    parts = re.findall(r'"((?:[^"\\]|\\.)*)"|\'(.)\'', source)
    if not parts:
        return None
    return "".join(a or b for a, b in parts).replace('\\"', '"').replace("\\n", " ")


def macro_entries(source, macro):
    """The arguments of each X(...) in the list that is called @macro."""
    body = re.search(r"#define " + macro + r"\(X\)((?:.*\\\n)*.*\n)", source).group(1)
    body = re.sub(r"[ \t]*\\\n[ \t]*", " ", body)
    return re.findall(r'\bX\(((?:"(?:[^"\\]|\\.)*"|[^")])*)\)', body)


def read_options():
    options = []
    for entry in macro_entries(read(OPTIONS), "OPTIONS_LIST"):
        fields = re.match(r"\s*\w+,\s*(0|'.'),\s*(\".*?\"),\s*(NULL|\".*?\"),\s*(\w+),\s*(.*)$",
                          entry).groups()
        letter, name, value, role, text = fields
        options.append(Option(c_text(letter), c_text(name), c_text(value), role, c_text(text)))
    return options


def read_usages():
    return [c_text(entry) for entry in macro_entries(read(OPTIONS), "OPTIONS_USAGES")]


class Entry:
    """Keys with one comment. The comment is a list of ("text" | "kept", lines)."""

    def __init__(self, comment, keys):
        self.comment = comment
        self.keys = keys  # of (name, default)

    def summary(self):
        """What the tables say: the first sentence, with the values that a list explains, and those
        that explain a value ("0: off.")."""
        first, *more = sentences(" ".join(self.comment[0][1]))
        if first.endswith(":") and len(self.comment) > 1:
            first += " " + ", ".join(re.findall(r'^\s*("\w+")', "\n".join(self.comment[1][1]), re.M))
        more = [text for text in more if re.match(r'(\d+|Empty|"[^"]*"): ', text)]
        return re.sub(r"<\w[^>]*>", r"`\g<0>`", ". ".join([first] + more))


def sentences(text):
    return re.split(r"\.\s+(?=[A-Z0-9\"`])", text.removesuffix("."))


class Part:
    """A titled part of the configuration, or the inside of a block such as domain "x" { ... }."""

    def __init__(self, title):
        self.title = title
        self.items = []  # prose (a comment), Entry, or Part (a block)

    def entries(self):
        return [item for item in self.items if isinstance(item, Entry)]

    def blocks(self):
        """The blocks in it, each followed by those within."""
        return [block for item in self.items if isinstance(item, Part)
                for block in [item] + item.blocks()]


def parse_comment(lines):
    comment = []
    for line in lines:
        if not line.strip():
            comment.append(None)
            continue
        kind = "kept" if line.startswith("  ") else "text"
        if not comment or comment[-1] is None or comment[-1][0] != kind:
            comment.append((kind, []))
        comment[-1][1].append(line)
    return [block for block in comment if block]


KEY = re.compile(r"(\w+) = (.*)$")
OPENING = re.compile(r'(\w+(?: "[^"]*")?) \{$')


def parse_part(part, lines):
    """Reads @lines, which have lost the "#" of lines that are not comments."""
    comment, keys = [], []

    def flush():
        nonlocal comment, keys
        if keys:
            part.items.append(Entry(parse_comment(comment), keys))
        elif comment:
            part.items.append(parse_comment(comment))
        comment, keys = [], []

    at = 0
    while at < len(lines):
        line = lines[at]
        at += 1
        if re.match(r"#( |$)", line):
            if keys:
                flush()
            comment.append(line[2:])
        elif not line.strip():
            flush()
        elif KEY.match(line):
            keys.append(KEY.match(line).groups())
        elif OPENING.match(line):
            block = Part(OPENING.match(line).group(1))
            end = lines.index("}", at)
            if comment:
                block.items.append(parse_comment(comment))
                comment = []
            parse_part(block, [inner.removeprefix("\t") for inner in lines[at:end]])
            part.items.append(block)
            at = end + 1
    flush()


def read_configuration():
    """The comment at its head, and its parts."""
    parts = []
    lines_of = [[]]
    for line in read(CONFIGURATION).split("\n"):
        title = re.match(r"# --- (.*?) -+$", line)
        if title:
            parts.append(Part(title.group(1)))
            lines_of.append([])
        else:
            # "#" alone separates paragraphs; "#<tab>" and "#key" are lines of the file.
            lines_of[-1].append(line if re.match(r"#( |$)", line) else line.removeprefix("#"))
    for part, lines in zip(parts, lines_of[1:]):
        # Within a block, what looks like the end of a paragraph is an empty line.
        parse_part(part, unblock(lines))
    return parse_comment([line[2:] for line in lines_of[0] if line.startswith("#")]), parts


def unblock(lines):
    inside = False
    result = []
    for line in lines:
        inside = (inside or bool(OPENING.match(line))) and line != "}"
        result.append("" if inside and line == "#" else line)
    return result


# Tables for people who read OPERATING.md.

def table_of(entries):
    def code(values):
        return ", ".join(f"`{value}`" for value in values)

    return TABLE_HEAD + [
        f"| {code(name for name, _ in entry.keys)} | {code(default for _, default in entry.keys)}"
        f" | {entry.summary()} |" for entry in entries]


def tables():
    parts = read_configuration()[1]
    top = [entry for part in parts for entry in part.entries()]
    return [table_of(entries) for entries in
            [top] + [block.entries() for part in parts for block in part.blocks()]]


def with_tables(text):
    """@text of OPERATING.md with each table of keys replaced by the one that belongs there."""
    pattern = re.compile(re.escape("\n".join(TABLE_HEAD)) + r"(?:\n\|.*)*")
    made = tables()
    if len(pattern.findall(text)) != len(made):
        sys.exit(f"{OPERATING} must have {len(made)} tables of keys: one, and one for each kind of "
                 "section")
    return pattern.sub(lambda _: "\n".join(made.pop(0)), text)


# Manual pages.

def roff(text):
    """@text as roff shows it, `code` in bold."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("^", "\\(ha")
    text = text.replace("~", "\\(ti")
    return re.sub(r"`([^`]*)`", r"\\fB\1\\fR", text.replace("\\(aq", "'"))


def roff_line(text):
    """A line of a page: a "." or "'" at its start would be a request."""
    return "\\&" + text if text[:1] in (".", "'") else text


def roff_text(lines):
    text = roff(" ".join(line.strip() for line in lines))
    return [roff_line(line) for line in textwrap.wrap(text, COLUMNS_MAX, break_long_words=False,
                                                      break_on_hyphens=False)]


def roff_example(lines):
    return [".EX"] + [roff_line(roff(line.expandtabs(4)) or "\\&") for line in lines] + [".EE"]


def roff_comment(comment, first=".PP", more=".PP"):
    result = []
    for kind, lines in comment:
        if kind == "text":
            result += ([first] if first else []) + roff_text(lines)
        else:
            result += [".sp"] + roff_example(textwrap.dedent("\n".join(lines)).split("\n"))
        first = more
    return result


def roff_entry(entry):
    result = []
    for at, (name, default) in enumerate(entry.keys):
        result += [".TP" if at == 0 else ".TQ", f"\\fB{roff(name)}\\fR = {roff(default)}"]
    return result + roff_comment(entry.comment, None, ".IP")


def roff_part(part):
    result = []
    for item in part.items:
        if isinstance(item, Entry):
            result += roff_entry(item)
        elif not isinstance(item, Part):
            result += roff_comment(item, ".PP" if result else None)
    # Behind the keys of the part itself, which would otherwise seem to belong to the block.
    for block in part.items:
        if isinstance(block, Part):
            title = roff(block.title).replace('"', "\\(dq")
            result += [f".SS In a section {title} {{ }}"] + roff_part(block)
    return result


def fill(template, version, config_file, **texts):
    date = re.search(r"^## .*?, (\d{4}-\d\d-\d\d)$", read(CHANGELOG), re.M).group(1)
    result = read("conf/man/" + template)
    for name, lines in texts.items():
        result = result.replace(f"@{name.upper()}@\n", "".join(line + "\n" for line in lines))
    return result.replace("@VERSION@", version).replace("@DATE@", date).replace(
        "@CONFIG_FILE@", roff(config_file))


def make_doab_8(version, config_file):
    usages, options, signals = [], [], []
    for usage in read_usages():
        shown = re.sub(r"\b[A-Z]{2,}\b", r"\\fI\g<0>\\fR", roff(usage))
        shown = re.sub(r"(?:\\-)+[\w\\-]+", r"\\fB\g<0>\\fR", shown)
        usages += [".br"] * bool(usages) + [f"\\fBdoab\\fR {shown}"]
    for option in read_options():
        value = f" \\fI{option.value}\\fR" if option.value else ""
        names = ", ".join(f"\\fB{roff(name)}\\fR" for name in option.names)
        options += [".TP", names + value] + roff_text([option.text[0].upper() + option.text[1:] +
                                                       "."])
    section = read(OPERATING).split("## Signals\n")[1].split("\n## ")[0]
    for names, effect in re.findall(r"^\| (SIG.*?) \| (.*?) \|$", section, re.M):
        signals += [".TP", f"\\fB{names}\\fR"] + roff_text([effect[0].upper() + effect[1:] + "."])
    sample = [roff_line(roff(line)) for line in read(SAMPLE).splitlines()]
    return fill("doab.8.in", version, config_file, usages=usages, options=options, signals=signals,
                sample=sample)


def make_doab_conf_5(version):
    head, parts = read_configuration()
    keys = []
    for part in parts:
        keys += [f".SH {part.title.upper()}"] + roff_part(part)
    # Its first paragraph says what the file is, its last one is for those who change the shipped file.
    return fill("doab.conf.5.in", version, "", head=roff_comment(head[1:-1]), keys=keys)


# Completion of shells.

def make_doab_bash():
    options = read_options()
    files = [name for o in options if o.value == "FILE" for name in o.names]
    others = [name for o in options if o.value not in (None, "FILE") for name in o.names]
    names = " ".join(name for o in options for name in o.names)
    return f"""# Completion of doab(8) for bash.
_doab()
{{
	local current=${{COMP_WORDS[COMP_CWORD]}} previous=${{COMP_WORDS[COMP_CWORD - 1]}}

	# "--config=x" is three words here.
	if [[ $current == = ]]; then
		current=
	elif [[ $previous == = ]]; then
		previous=${{COMP_WORDS[COMP_CWORD - 2]}}
	fi
	COMPREPLY=()
	case $previous in
	{" | ".join(files)})
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -f -- "$current")
		;;
	{" | ".join(others)}) ;;
	*) mapfile -t COMPREPLY < <(compgen -W '{names}' -- "$current") ;;
	esac
}}
complete -F _doab doab
"""


def make_doab_zsh():
    def quoted(text):
        return re.sub(r"([\[\]:\\])", r"\\\1", text).replace("'", "'\\''")

    options = read_options()
    actions = " ".join(name for o in options if o.role == "ACTION" for name in o.names)
    lines = []
    for option in options:
        excluded = actions if option.role == "ACTION" else " ".join(option.names)
        value = f":{option.value}:{'_files' if option.value == 'FILE' else ''}" if option.value else ""
        for name in option.names:
            form = name + "=" * (bool(option.value) and name.startswith("--"))
            lines.append(f"'({excluded}){form}[{quoted(option.text)}]{value}'")
    return "#compdef doab\n# Completion of doab(8) for zsh.\n_arguments -s \\\n\t" + \
        " \\\n\t".join(lines) + "\n"


MAKERS = {"doab.8": make_doab_8, "doab.conf.5": make_doab_conf_5, "doab.bash": make_doab_bash,
          "doab.zsh": make_doab_zsh}


def main(what="", *arguments):
    if what in MAKERS:
        sys.stdout.write(MAKERS[what](*arguments))
        return 0
    if what not in ("tables", "check"):
        sys.stderr.write(__doc__)
        return 2
    text = read(OPERATING)
    made = with_tables(text)
    if what == "check" and text != made:
        sys.stderr.write(f"{OPERATING} differs from {CONFIGURATION}: run conf/reference.py tables\n")
        return 1
    if what == "tables":
        with open(os.path.join(ROOT, OPERATING), "w", encoding="utf-8") as file:
            file.write(made)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
