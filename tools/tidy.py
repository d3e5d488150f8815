#!/usr/bin/env python3
"""The house rules that a machine can check. One line per finding; exit status 1 if any.

    tools/tidy.py                  checks every tracked and every new file of the tree
    tools/tidy.py FILE...          checks these only

Each rule is a function from a file's path and text to findings, so that tests/tools/test_tidy.py
can show that it finds what it is for. CONTRIBUTING.md says what the rules are for.
"""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Iterator, NamedTuple

ROOT = Path(__file__).resolve().parent.parent

# A layer may include itself and what is listed for it: everything to its left in
# base -> io -> {row, log} -> sst -> tree -> db -> {kv, table} -> {sabot, python, cli, benchmarks}.
LAYERS = {
    "base": set(),
    "io": {"base"},
    "row": {"base", "io"},
    "log": {"base", "io"},
    "sst": {"base", "io", "row", "log"},
    "tree": {"base", "io", "row", "log", "sst"},
    "db": {"base", "io", "row", "log", "sst", "tree"},
    "kv": {"base", "io", "row", "log", "sst", "tree", "db"},
    "table": {"base", "io", "row", "log", "sst", "tree", "db"},
}
# These see the public headers only.
OUTSIDE = {"sabot", "python", "cli", "benchmarks", "examples"}
# It measures the memtable itself, not through the database.
INSIDE_EXCEPTIONS = {"benchmarks/memtable_benchmark.cc"}
# Tests through the public API may drive the in-memory file system; unit tests see their layer, fuzz
# targets whichever parser they feed.
API_TESTS_MAY_INCLUDE = {"base", "io"}

FILE_LINES_MAX = 600
FUNCTION_LINES_MAX = 80
COLUMNS_MAX = 100
PYTHON_COLUMNS_MAX = 110

CPP = {".h", ".hpp", ".cc", ".cpp"}
PYTHON = {".py", ".pyi", ".pyx", ".pxd", ".pxi"}
CODE = CPP | PYTHON | {".sh", ".cmake"}
TEXT = CODE | {".md", ".txt", ".toml", ".json", ".yml", ".yaml", ".in"}

# Split, so that this file does not find itself.
UNFINISHED = re.compile(
    r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b"
    r"|[Nn]ot[ _][Ii]mple" r"mented|raise NotImple" r"mentedError"
)
NOT_RUN = re.compile(
    r"GTEST_" r"SKIP|DISABLED" r"_|pytest\.mark\.(?:sk" r"ip|xf" r"ail)|@unittest\.sk" r"ip"
)
HOME_PATH = re.compile(r"/(?:root|home/[a-z]\w*|Users/\w+)/")
MACHINE_SETTING = re.compile(r"index" r"-url|GOPR" r"OXY=|registry *= *http")
JUNK = re.compile(
    r"\.(?:o|so|a|bak|orig|log|pyc|swp)$|(?:^|/)(?:build|dist|node_modules|__pycache__)/"
)

REASON_LONG = "long function because:"
REASON_RAW = "raw new because:"


class Finding(NamedTuple):
    path: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}"


def blank_comments_and_strings(text: str) -> str:
    """C++ code with comments, literals and preprocessor lines blanked, line breaks kept."""
    pattern = re.compile(
        r'//[^\n]*|/\*.*?\*/|R"(?P<tag>[^(\s]*)\(.*?\)(?P=tag)"|"(?:\\.|[^"\\\n])*"'
        r"|(?<![0-9A-Za-z_])(?:u8|[uUL])?'(?:\\.[^']*|[^'\\\n])'"
        r"|^[ \t]*\#(?:[^\n]*\\\n)*[^\n]*",
        re.DOTALL | re.MULTILINE,
    )
    return pattern.sub(lambda match: re.sub(r"[^\n]", " ", match.group()), text)


class Block(NamedTuple):
    first_line: int
    last_line: int


def cpp_functions(text: str) -> Iterator[Block]:
    """Function bodies with their signatures, by matching braces; lambdas are part of theirs."""
    code = blank_comments_and_strings(text)
    scope = re.compile(r"^\s*(?:template\s*<.*>\s*)?(?:inline\s+)?"
                       r"(?:typedef\s+)?(?:namespace|class|struct|enum|union|extern)\b", re.DOTALL)
    header_start = 0
    position = 0
    while position < len(code):
        char = code[position]
        if char in ";}":
            header_start = position + 1
        elif char == "{":
            header = code[header_start:position]
            is_data = re.search(r"=\s*$|\]\s*$", header) is not None
            is_scope = scope.match(header) is not None and "(" not in re.sub(
                r"alignas\s*\([^)]*\)|__attribute__\s*\(\(.*?\)\)", "", header)
            if is_scope and not re.match(r"^\s*(?:typedef\s+)?enum\b", header):
                header_start = position + 1
            else:
                end = matching_brace(code, position)
                if not is_data:
                    start = header_start + len(header) - len(header.lstrip())
                    yield Block(code.count("\n", 0, start) + 1, code.count("\n", 0, end) + 1)
                position = end
                # A brace initialiser within a constructor's list is not the end of its header.
                if not re.match(r"\s*[,{]", code[end + 1:]):
                    header_start = end + 1
        position += 1


def matching_brace(code: str, position: int) -> int:
    depth = 0
    for index in range(position, len(code)):
        if code[index] == "{":
            depth += 1
        elif code[index] == "}":
            depth -= 1
            if depth == 0:
                return index
    return len(code) - 1


def python_functions(text: str) -> Iterator[Block]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield Block(node.lineno, node.end_lineno or node.lineno)


def cython_functions(text: str) -> Iterator[Block]:
    """By indentation: a def, cdef or cpdef line lasts until something stands as far left as it."""
    lines = text.splitlines()
    head = re.compile(r"^(\s*)(?:async\s+)?(?:def|cdef|cpdef)\b.*\(")
    for index, line in enumerate(lines):
        match = head.match(line)
        if not match:
            continue
        last = index
        for later in range(index + 1, len(lines)):
            stripped = lines[later].strip()
            if not stripped:
                continue
            indent = len(lines[later]) - len(lines[later].lstrip())
            if indent <= len(match.group(1)) and not stripped.startswith(")"):
                break
            last = later
        yield Block(index + 1, last + 1)


def has_reason_above(lines: list[str], first_line: int, reason: str) -> bool:
    """Whether the comment just above `first_line`, or that line itself, gives the reason."""
    if reason in lines[first_line - 1]:
        return True
    index = first_line - 2
    while index >= 0 and lines[index].strip().startswith(("//", "#", "*", "/*", "@")):
        if reason in lines[index]:
            return True
        index -= 1
    return False


def check_lengths(path: str, text: str) -> Iterator[Finding]:
    suffix = Path(path).suffix
    if suffix not in CODE:
        return
    lines = text.splitlines()
    if len(lines) > FILE_LINES_MAX:
        yield Finding(path, len(lines), f"{len(lines)} lines, more than {FILE_LINES_MAX}")
    columns_max = PYTHON_COLUMNS_MAX if suffix in PYTHON else COLUMNS_MAX
    for number, line in enumerate(lines, 1):
        if len(line) > columns_max:
            yield Finding(path, number, f"{len(line)} columns, more than {columns_max}")
    functions: Iterator[Block] = iter(())
    if suffix in CPP:
        functions = cpp_functions(text)
    elif suffix in {".py", ".pyi"}:
        functions = python_functions(text)
    elif suffix in {".pyx", ".pxi"}:
        functions = cython_functions(text)
    for block in functions:
        length = block.last_line - block.first_line + 1
        if length <= FUNCTION_LINES_MAX:
            continue
        if not has_reason_above(lines, block.first_line, REASON_LONG):
            yield Finding(path, block.first_line,
                          f"function of {length} lines, more than {FUNCTION_LINES_MAX}, "
                          f"and no comment '{REASON_LONG} ...' above it")


def check_words(path: str, text: str) -> Iterator[Finding]:
    if Path(path).suffix not in CODE and Path(path).name != "CMakeLists.txt":
        return
    for number, line in enumerate(text.splitlines(), 1):
        if UNFINISHED.search(line):
            yield Finding(path, number, "mark of unfinished work")
        if NOT_RUN.search(line):
            yield Finding(path, number, "a test that does not run")


def check_cpp_idioms(path: str, text: str) -> Iterator[Finding]:
    if Path(path).suffix not in CPP:
        return
    library = path.startswith(("src/", "include/", "sabot/"))
    original = text.splitlines()
    prints = re.compile(r"\b(?:printf|fprintf|puts|fputs|putchar)\s*\(|\bstd::(?:cout|cerr|clog)\b")
    raw = re.compile(r"(?<!operator )\bnew\s+[A-Za-z_:]"
                     r"|(?<!operator )\bdelete\b\s*(?:\[\s*\]\s*)?[A-Za-z_(*]")
    # A class with a private constructor cannot be made by make_unique; its factory may say new.
    owned = re.compile(r"\b(?:unique|shared)_ptr<[^;]*\bnew\b", re.DOTALL)
    lines = blank_comments_and_strings(text).splitlines()
    for number, line in enumerate(lines, 1):
        if re.search(r"\busing\s+namespace\s+std\b", line):
            yield Finding(path, number, "using namespace std")
        if library and prints.search(line):
            yield Finding(path, number, "the library prints nothing")
        if owned.search("\n".join(lines[max(0, number - 2):number])):
            continue
        if raw.search(line) and not has_reason_above(original, number, REASON_RAW):
            yield Finding(path, number, f"raw new or delete, and no comment '{REASON_RAW} ...'")
    if Path(path).suffix in {".h", ".hpp"} and "#pragma once" not in text:
        yield Finding(path, 1, "a header without #pragma once")


def check_layers(path: str, text: str) -> Iterator[Finding]:
    parts = Path(path).parts
    if Path(path).suffix not in CPP | {".pyx", ".pxd", ".pxi"} or path in INSIDE_EXCEPTIONS:
        return
    allowed: set[str] | None = None
    if parts[0] == "src" and len(parts) > 2:
        if parts[1] not in LAYERS:
            yield Finding(path, 1, f"'{parts[1]}' is not a layer; see LAYERS in tools/tidy.py")
            return
        allowed = LAYERS[parts[1]] | {parts[1]}
    elif parts[:2] == ("tests", "unit") and len(parts) > 3 and parts[2] in LAYERS:
        allowed = LAYERS[parts[2]] | {parts[2]}
    elif parts[:2] == ("tests", "fuzz"):
        allowed = set(LAYERS)
    elif parts[0] == "tests":
        allowed = API_TESTS_MAY_INCLUDE
    elif parts[0] in OUTSIDE or parts[0] == "include":
        allowed = set()
    if allowed is None:
        return
    for number, line in enumerate(text.splitlines(), 1):
        match = re.match(r"\s*#\s*include\s*\"([^\"]+)\"|\s*cdef extern from \"([^\"]+)\"", line)
        if not match:
            continue
        included = match.group(1) or match.group(2)
        if parts[0] == "include":
            yield Finding(path, number, f"a public header includes \"{included}\", not installed")
        elif included.split("/")[0] in LAYERS.keys() - allowed:
            yield Finding(path, number, f"includes \"{included}\": not a layer to the left")


def check_text(path: str, text: str) -> Iterator[Finding]:
    if Path(path).suffix not in TEXT and Path(path).name != "CMakeLists.txt":
        return
    for number, line in enumerate(text.splitlines(), 1):
        if line != line.rstrip():
            yield Finding(path, number, "space at the end of the line")
        if "\t" in line:
            yield Finding(path, number, "a tab")
        if HOME_PATH.search(line):
            yield Finding(path, number, "a path of one machine's home folder")
        if MACHINE_SETTING.search(line):
            yield Finding(path, number, "a package index of one machine")
    if text and not text.endswith("\n"):
        yield Finding(path, text.count("\n") + 1, "no line break at the end of the file")


def check_junk(path: str) -> Iterator[Finding]:
    if JUNK.search(path):
        yield Finding(path, 1, "a built or left-over file")


def check_map(paths: list[str], architecture: str | None) -> Iterator[Finding]:
    """ARCHITECTURE.md names every public header and every folder."""
    if architecture is None:
        yield Finding("ARCHITECTURE.md", 1, "is missing")
        return
    wanted = set()
    for path in paths:
        parts = Path(path).parts
        if parts[:2] == ("include", "marble"):
            wanted.add(parts[-1])
        if len(parts) > 1 and not parts[0].startswith("."):
            wanted.add(parts[0] + "/")
        if len(parts) > 2 and parts[0] in {"src", "tests"}:
            wanted.add(f"{parts[0]}/{parts[1]}")
    for name in sorted(wanted):
        if name not in architecture:
            yield Finding("ARCHITECTURE.md", 1, f"does not mention {name}")


def check_file(path: str, text: str) -> Iterator[Finding]:
    for rule in (check_lengths, check_words, check_cpp_idioms, check_layers, check_text):
        yield from rule(path, text)


def tree_files() -> list[str]:
    """Tracked and new files, relative to the root; ignored ones (build output) are left out."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    names = {os.fsdecode(name) for name in listing.stdout.split(b"\0") if name}
    return sorted(name for name in names if (ROOT / name).is_file())


def main(arguments: list[str]) -> int:
    paths = [os.path.relpath(Path(name).resolve(), ROOT) for name in arguments] or tree_files()
    findings: list[Finding] = []
    for path in paths:
        findings += check_junk(path)
        if Path(path).suffix in TEXT:
            findings += check_file(path, (ROOT / path).read_text(encoding="utf-8"))
    if not arguments:
        architecture = ROOT / "ARCHITECTURE.md"
        text = architecture.read_text(encoding="utf-8") if architecture.exists() else None
        findings += check_map(paths, text)
    for finding in findings:
        print(finding)
    print(f"tidy: {len(paths)} files, {len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
