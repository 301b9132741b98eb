"""Which modules of the project a script depends on, so that it runs again when one of them changes."""

from melanoma.snakefile.dependencies import local_imports


def test_local_imports_are_found_at_any_depth(tmp_path):
    (tmp_path / "library").mkdir()
    (tmp_path / "library" / "__init__.py").write_text("")
    (tmp_path / "library" / "a.py").write_text("def f():\n    from library.b import x\n")
    (tmp_path / "library" / "b.py").write_text("import os\nimport library.c\n")
    (tmp_path / "library" / "c.py").write_text("")
    (tmp_path / "library" / "unused.py").write_text("")
    (tmp_path / "script.py").write_text("from library import a\nimport numpy\n")
    found = [path.relative_to(tmp_path).as_posix() for path in local_imports(tmp_path / "script.py")]
    assert found[0] == "script.py"
    assert set(found[1:]) == {"library/__init__.py", "library/a.py", "library/b.py", "library/c.py"}
