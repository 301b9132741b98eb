"""A study file from somebody else runs no code, and writes nothing outside results/ and data/."""

import re
from pathlib import Path

import pytest
import yaml

from melanoma.common.errors import InputError
from melanoma.snakefile.study_files import read_study, stop_if_unreadable
from minimal_config import MINIMAL, with_
from workflow import clone, failing

HACKED = "hacked"
TOUCH = f"__import__('pathlib').Path('../{HACKED}').touch()"
SHELL = f"$(touch ../{HACKED})"
STUDY = yaml.safe_dump(MINIMAL)
URL = {"url": "http://nowhere.invalid/x"}
PROBE = {"network": "linear_probe", "backbone": {"pretrained": False}}
LEVELS = range(1, 25)
LIST_BOMB = "a0: &a0 [1, 1]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in LEVELS)
MERGE_BOMB = "a0: &a0 {x: 1}\n" + "".join(f"a{n}: &a{n}\n  <<: [*a{n - 1}, *a{n - 1}]\n" for n in LEVELS)


def sources(**changes: object) -> str:
    return yaml.safe_dump(with_("data.sources", [MINIMAL["data"]["sources"][0] | changes]))


def model(name: str = "cnn", **recipe: object) -> str:
    return yaml.safe_dump(MINIMAL | {"models": {name: {"network": "baseline_cnn"} | recipe}})


def fetched(path: str) -> str:
    return yaml.safe_dump(MINIMAL | {"fetch": {path: URL}})


HOSTILE = {
    "template": (f"{STUDY}__use_yte__: true\n?{TOUCH}: 1\n", "it is a template that runs code"),
    "template with definitions": (f"{STUDY}__use_yte__: 1\n__definitions__: [{TOUCH!r}]\n", "a template that runs"),
    "template by a merged key": (f"{STUDY}<<: {{__use_yte__: true}}\n__variables__: {{a: {TOUCH!r}}}\n", "a template"),
    "Python call": (
        f"{STUDY}x: !!python/object/apply:os.system ['touch ../{HACKED}']\n",
        "constructor for the tag",
    ),
    "Python object": (
        f"{STUDY}x: !!python/object/new:os.system ['touch ../{HACKED}']\n",
        "constructor for the tag",
    ),
    "Python function": (f"{STUDY}x: !!python/name:os.system ''\n", "constructor for the tag"),
    "Python module": (f"{STUDY}x: !!python/module:os ''\n", "constructor for the tag"),
    "wrong tag": (f"{STUDY}x: !!bool 7\n", "not YAML"),
    "study outside": (yaml.safe_dump(with_("study", f"../../{HACKED}")), "study: .* must be lower-case letters"),
    "study in the shell": (yaml.safe_dump(with_("study", SHELL)), "study: .* must be lower-case letters"),
    "source outside": (sources(name=f"../../../{HACKED}"), "name: .* must be lower-case letters"),
    "source in the shell": (sources(name=SHELL), "name: .* must be lower-case letters"),
    "model in the shell": (model(SHELL), "models: .* must be lower-case letters"),
    "model of two lines": (model(f"a\ntouch ../{HACKED}"), "models: .* must be lower-case letters"),
    "fusion outside": (
        yaml.safe_dump(MINIMAL | {"fusions": {f"../../{HACKED}": {"members": ["cnn", "mlp"]}}}),
        "fusions: .* must be lower-case letters",
    ),
    "fetch over the code": (fetched("scripts/yaml.py"), "is not below data/"),
    "fetch above data": (fetched(f"data/../../{HACKED}"), "is not below data/"),
    "fetch anywhere": (fetched(f"/tmp/{HACKED}"), "is not below data/"),
    "fetch of a wildcard": (fetched("data/{path}"), "has braces, which are a wildcard"),
    "network in the shell": (model(network=f"timm/{SHELL}"), "network: .* is not allowed"),
    "network outside": (model(network=f"timm/../../{HACKED}"), "network: .* is not allowed"),
    "network of a probe in the shell": (
        model(**PROBE, linear_probe={"network": f"timm/davit_giant.{SHELL}"}),
        "linear_probe.network: .* is not allowed",
    ),
    "tuned option of Python": (
        model(tune={"space": {"__class__.__init__": [1]}}),
        "tune.space: no option",
    ),
    "huge number": (f"{STUDY}x: {'9' * 5000}\n", "Exceeds the limit"),
    "huge hexadecimal number": (f"{STUDY}x: 0x{'F' * 5000}\n", "Exceeds the limit"),
    "infinite number": (model(dropout=float("inf")), "dropout: expected a number, got inf"),
    "aliases of aliases": (f"{STUDY}{LIST_BOMB}", "more than 100000 values"),
    "merges of merges": (f"{STUDY}{MERGE_BOMB}", "more than 100000 values"),
    "alias of itself": (f"{STUDY}x: &x [*x]\n", "nested too deeply"),
    "deep nesting": (f"{STUDY}x: {'[' * 5000}{']' * 5000}\n", "nested too deeply"),
    "deep nesting in JSON": (f'{{"x": {"[" * 500}{"]" * 500}}}', "nested too deeply"),
}


@pytest.mark.parametrize(("text", "message"), HOSTILE.values(), ids=list(HOSTILE))
def test_a_hostile_study_is_refused_and_does_nothing(
    text: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    file = Path("study.yaml")
    file.write_text(text)
    with pytest.raises(InputError) as error:
        read_study([file])
    assert re.search(message, str(error.value))
    assert [path.name for path in tmp_path.rglob("*")] == ["project", "study.yaml"]


@pytest.mark.parametrize("name", ["template", "template with definitions", "aliases of aliases"])
def test_what_snakemake_would_run_stops_before_snakemake_reads_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("study.yaml").write_text(HOSTILE[name][0])
    with pytest.raises(SystemExit, match=r"Error: study\.yaml: "):
        stop_if_unreadable([Path("study.yaml")])


def test_snakemake_refuses_a_template_of_a_study(tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    folder = clone(tmp_path / "project")
    (folder / "study.yaml").write_text(HOSTILE["template"][0])
    done = failing(folder, "-n", "--configfile", "study.yaml")
    assert done.returncode == 1 and "study.yaml: with the key __use_yte__" in done.stdout
    assert not (tmp_path / HACKED).exists()
