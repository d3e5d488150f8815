"""Each rule of tools/tidy.py finds what it is for, and leaves alone what is allowed."""

import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SPEC = importlib.util.spec_from_file_location("tidy", ROOT / "tools" / "tidy.py")
tidy = importlib.util.module_from_spec(SPEC)
sys.modules["tidy"] = tidy
SPEC.loader.exec_module(tidy)


def messages(findings):
    return [finding.message for finding in findings]


def body(lines):
    return "".join(f"  int v{number} = {number};\n" for number in range(lines))


def test_long_function_is_found_at_its_signature():
    text = "namespace a {\n\nint Long(int x)\n    {\n" + body(90) + "}\n\n}  // namespace a\n"
    findings = list(tidy.check_lengths("src/base/a.cc", text))
    assert [finding.line for finding in findings] == [3]
    assert "function of 93 lines" in findings[0].message


def test_function_of_eighty_lines_is_allowed():
    text = "int Fits() {\n" + body(78) + "}\n"
    assert list(tidy.check_lengths("src/base/a.cc", text)) == []
    text = "int Long() {\n" + body(79) + "}\n"
    assert len(list(tidy.check_lengths("src/base/a.cc", text))) == 1


def test_long_function_with_a_reason_is_allowed():
    text = f"// {tidy.REASON_LONG} a table of cases\nint Long() {{\n" + body(90) + "}\n"
    assert list(tidy.check_lengths("src/base/a.cc", text)) == []


def test_method_in_a_class_and_constructor_with_brace_initialisers_are_measured():
    text = ("class A : public B<int> {\n public:\n  A() : x_{1}, y_{2} {\n" + body(90) +
            "  }\n\n  int x_;\n};\n")
    assert len(list(tidy.check_lengths("src/base/a.h", text))) == 1
    short = "class A {\n public:\n" + "  void F() {\n    G();\n  }\n" * 60 + "};\n"
    assert list(tidy.check_lengths("src/base/a.h", short)) == []


def test_long_table_of_data_is_not_a_function():
    text = "constexpr int kTable[] = {\n" + "  1,\n" * 200 + "};\nint After() { return 1; }\n"
    assert list(tidy.check_lengths("src/base/a.cc", text)) == []


def test_braces_in_comments_strings_and_characters_do_not_count():
    text = ("int A() {\n  // {{{\n  auto s = \"{\"; char c = '{'; int n = 1'000;\n"
            "  auto r = R\"x({\n{)x\";\n  return 0;\n}\n" + "int B() { return 0; }\n" * 90)
    assert list(tidy.check_lengths("src/base/a.cc", text)) == []


def test_long_python_and_cython_functions_are_found():
    text = "def f():\n" + "    x = 1\n" * 81
    assert len(list(tidy.check_lengths("tools/a.py", text))) == 1
    text = "cdef int f(int a):\n" + "    x = 1\n" * 81 + "\ndef g():\n    pass\n"
    assert [f.line for f in tidy.check_lengths("python/a.pyx", text)] == [1]


def test_long_file_and_long_line_are_found():
    assert len(list(tidy.check_lengths("src/base/a.cc", "int a;\n" * 601))) == 1
    assert list(tidy.check_lengths("src/base/a.cc", "int a;\n" * 600)) == []
    assert len(list(tidy.check_lengths("src/base/a.cc", "//" + "x" * 99 + "\n"))) == 1


@pytest.mark.parametrize("word", ["TO" + "DO", "FIX" + "ME", "XX" + "X", "not imple" + "mented",
                                  "GTEST_" + "SKIP()", "DISABLED" + "_A",
                                  "pytest.mark.sk" + "ip", "raise NotImple" + "mentedError"])
def test_unfinished_work_and_tests_that_do_not_run_are_found(word):
    assert len(list(tidy.check_words("src/base/a.cc", f"// {word}\n"))) == 1


@pytest.mark.parametrize("line", ["auto* p = new Thing();", "delete p;", "delete[] p;",
                                  "using namespace std;", "std::cout << 1;", "printf(\"x\");"])
def test_forbidden_idioms_are_found(line):
    assert len(list(tidy.check_cpp_idioms("src/base/a.cc", line + "\n"))) == 1


@pytest.mark.parametrize("line", ["A(const A&) = delete;", "// a new thing; delete it",
                                  "new (memory) Thing();", "void* operator new(size_t);",
                                  "std::shared_ptr<A> a(new A(1));",
                                  "return std::unique_ptr<A>(\n    new A(1));",
                                  "std::snprintf(b, 4, \"x\");", "auto s = \"std::cout\";",
                                  "leak = new Thing();  // raw new because: lives for ever"])
def test_allowed_idioms_are_left_alone(line):
    assert list(tidy.check_cpp_idioms("src/base/a.cc", line + "\n")) == []


def test_header_without_pragma_once_is_found():
    assert messages(tidy.check_cpp_idioms("src/base/a.h", "int a;\n")) == [
        "a header without #pragma once"]


@pytest.mark.parametrize("path, included, allowed", [
    ("src/row/a.cc", "base/check.h", True),
    ("src/row/a.cc", "row/b.h", True),
    ("src/row/a.cc", "log/b.h", False),
    ("src/row/a.cc", "sst/b.h", False),
    ("src/kv/a.cc", "table/b.h", False),
    ("src/table/a.cc", "db/core.h", True),
    ("sabot/storage/a.cpp", "db/core.h", False),
    ("sabot/storage/a.cpp", "sabot/storage/interface.h", True),
    ("cli/a.cc", "base/check.h", False),
    ("benchmarks/a.cc", "tree/memtable.h", False),
    ("benchmarks/memtable_benchmark.cc", "tree/memtable.h", True),
    ("include/marble/a.h", "base/check.h", False),
    ("tests/unit/log/a_test.cc", "log/log_format.h", True),
    ("tests/unit/log/a_test.cc", "sst/sst_format.h", False),
    ("tests/crash/a_test.cc", "io/memory_file_system.h", True),
    ("tests/crash/a_test.cc", "db/core.h", False),
    ("tests/model/a_test.cc", "support/oracle.h", True),
    ("tests/fuzz/a_fuzz.cc", "sst/sst_reader.h", True),
    ("tests/fuzz/a_fuzz.cc", "db/core.h", True),
    ("src/elsewhere/a.cc", "base/check.h", False),
])
def test_layers(path, included, allowed):
    findings = list(tidy.check_layers(path, f'#include "{included}"\n'))
    assert (findings == []) is allowed


def test_paths_of_one_machine_tabs_and_trailing_space_are_found():
    assert messages(tidy.check_text("docs/a.md", "see /ro" + "ot/x\n")) == [
        "a path of one machine's home folder"]
    assert messages(tidy.check_text("a.toml", "index" + "-url = x\n")) == [
        "a package index of one machine"]
    assert messages(tidy.check_text("a.sh", "x \n")) == ["space at the end of the line"]
    assert messages(tidy.check_text("a.sh", "\tx\n")) == ["a tab"]
    assert messages(tidy.check_text("a.sh", "x")) == ["no line break at the end of the file"]


def test_built_files_are_found():
    for path in ["a.o", "src/x.so", "build/x", "a/dist/b", "x.orig"]:
        assert len(list(tidy.check_junk(path))) == 1
    assert list(tidy.check_junk("src/builder/a.cc")) == []


def test_architecture_must_name_headers_and_folders():
    paths = ["include/marble/scan.h", "src/io/a.cc", "tools/a.sh", ".ci/run"]
    assert messages(tidy.check_map(paths, "include/ src/ tools/ src/io scan.h")) == []
    assert messages(tidy.check_map(paths, "include/ src/ src/io")) == [
        "does not mention scan.h", "does not mention tools/"]
    assert messages(tidy.check_map(paths, None)) == ["is missing"]
