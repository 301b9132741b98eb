"""Which modules of the project a script depends on, so that it runs again when one of them changes."""

import ast

import pytest

from melanoma.snakefile import dependencies
from melanoma.snakefile.dependencies import MODULES, code_digest, local_imports
from project import SCRIPTS

TRAIN = str(SCRIPTS / "train.py")


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


@pytest.fixture
def new_process(tmp_path, monkeypatch):
    """Return a function that forgets what this process has read, in a folder of its own."""
    monkeypatch.chdir(tmp_path)

    def forget():
        for function in (code_digest, dependencies._imports, dependencies._module, dependencies._known):
            function.cache_clear()

    forget()
    yield forget
    forget()


def test_a_module_is_parsed_again_only_if_it_has_changed(new_process, monkeypatch, tmp_path):
    script = tmp_path / "script.py"
    script.write_text("x = 1\n")
    digests = {name: code_digest(name) for name in (TRAIN, str(script))}
    parsed, parse = [], ast.parse
    monkeypatch.setattr(ast, "parse", lambda text, **options: parsed.append(text) or parse(text, **options))
    new_process()
    assert {name: code_digest(name) for name in digests} == digests and parsed == []
    new_process()
    script.write_text("x = 2\n")
    assert code_digest(TRAIN) == digests[TRAIN] and code_digest(str(script)) != digests[str(script)]
    assert parsed == ["x = 2\n"]


@pytest.mark.parametrize("content", [b"", b"{}", b'{"reader": "0"}', b"[1]", None])
def test_the_file_of_known_modules_changes_no_digest_and_is_made_anew(new_process, content):
    digest = code_digest(TRAIN)
    kept = MODULES.read_bytes()
    MODULES.write_bytes(kept.replace(b'"0', b'"1', 1) if content is None else content)
    new_process()
    assert code_digest(TRAIN) == digest
    assert MODULES.read_bytes() == kept


def test_a_folder_that_cannot_be_written_changes_no_digest(new_process):
    digest = code_digest(TRAIN)
    MODULES.unlink()
    MODULES.mkdir()
    new_process()
    assert code_digest(TRAIN) == digest
