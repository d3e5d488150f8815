"""The packages as packages: imports, pyarrow's version, stubs and docstrings for everything
public."""

import ast
import importlib.util
import inspect
import pathlib
import subprocess
import sys

import marbledb
import pytest
from marbledb import _core, _dataset, _pyarrow_version
from sabot._cython.storage import storage_shim
from sabot._cython.stores import marbledb_store


def test_another_pyarrow_is_refused_in_plain_words():
    for version in ("25.0.0", "26.1.0", "27.0.0", "2.60.0"):
        with pytest.raises(
            ImportError, match=r"pyarrow 26\.0.*found " + version.replace(".", r"\.")
        ):
            _pyarrow_version.check(version)
    _pyarrow_version.check("26.0.9")
    _pyarrow_version.check()


def test_the_check_comes_before_the_compiled_module():
    script = (
        "import sys, types\n"
        "fake = types.ModuleType('pyarrow'); fake.__version__ = '27.0.0'\n"
        "sys.modules['pyarrow'] = fake\n"
        "try:\n"
        "    import marbledb\n"
        "except ImportError as error:\n"
        "    print(error, 'marbledb._core' in sys.modules)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert "27.0.0" in result.stdout and result.stdout.strip().endswith("False")


def test_sabot_is_a_namespace_package():
    assert importlib.util.find_spec("sabot").origin is None


def test_shim_alone_can_be_imported_first():
    script = "from sabot._cython.storage.storage_shim import STORAGE_SHIM_AVAILABLE as s; print(s)"
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert result.stdout == "True\n" and result.stderr == ""


def stub_of(module):
    path = pathlib.Path(module.__file__)
    return ast.parse((path.parent / f"{module.__name__.rpartition('.')[2]}.pyi").read_text())


def classes_of(module):
    return {
        name: cls
        for name, cls in vars(module).items()
        if inspect.isclass(cls) and cls.__module__ == module.__name__ and not name.startswith("_")
    }


def public(names):
    return {name for name in names if not name.startswith("_")}


@pytest.mark.parametrize("module", [_core, _dataset, storage_shim, marbledb_store])
def test_stubs_have_every_class_method_and_argument(module):
    stubs = {node.name: node for node in stub_of(module).body if isinstance(node, ast.ClassDef)}
    classes = classes_of(module)
    assert set(classes) <= set(stubs) and classes
    for name, cls in classes.items():
        functions = {}
        for node in stubs[name].body:
            if isinstance(node, ast.FunctionDef):
                functions.setdefault(node.name, node)
        inherited = {"pop", "popitem", "update", "clear"} if name == "KeyValue" else set()
        inherited |= {"get"} if name == "KeyValueSnapshot" else set()
        missing = public(vars(cls)) - set(functions) - inherited
        assert not missing, f"{name} has {missing} and the stub does not"
        for method, node in functions.items():
            if method.startswith("_"):
                continue
            member = inspect.getattr_static(cls, method)
            assert member is not None
            if not callable(member):
                continue
            extra = [a for a in (node.args.vararg, node.args.kwarg) if a is not None]
            listed = [a.arg for a in node.args.args + node.args.kwonlyargs + extra]
            actual = list(inspect.signature(member).parameters)
            overloaded = any(
                isinstance(d, ast.Name) and d.id == "overload" for d in node.decorator_list
            )
            assert listed == actual or overloaded, f"{name}.{method}: {listed} and {actual}"


@pytest.mark.parametrize(
    "module", [marbledb, _core, _dataset, storage_shim, marbledb_store, marbledb.errors]
)
def test_everything_public_has_a_docstring(module):
    assert module.__doc__
    for name, cls in classes_of(module).items():
        assert cls.__doc__, name
        for method in public(vars(cls)):
            member = inspect.getattr_static(cls, method)
            if (
                callable(member)
                or isinstance(member, property)
                or inspect.isgetsetdescriptor(member)
            ):
                assert member.__doc__, f"{name}.{method}"


def test_py_typed_is_there():
    assert (pathlib.Path(marbledb.__file__).parent / "py.typed").exists()
    assert set(marbledb.__all__) <= set(dir(marbledb))
