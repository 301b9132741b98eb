"""What a study is given by: each key has its file and line, nothing is given twice, --config means what YAML means."""

from pathlib import Path

import pytest

from melanoma.common.errors import InputError
from melanoma.config.yaml_files import check_command_line, key_places, with_typed_options


def test_every_key_and_item_has_a_place_merged_keys_where_they_are_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("s.yaml").write_text(
        "models:\n"
        "  cnn: &cnn\n"
        "    epochs: 2\n"
        "    head: image_only\n"
        "  joint:\n"
        "    <<: *cnn\n"
        "    head: image_and_metadata\n"
        "fetch:\n"
        "  data/a.csv: {url: u}\n"
        "fusions: {f: {members: [cnn,\n"
        "  joint]}}\n"
    )
    places = key_places([tmp_path / "s.yaml"], {})
    assert places[""] == "s.yaml"
    assert places["models.cnn.epochs"] == places["models.joint.epochs"] == "s.yaml:3"
    assert places["models.joint.head"] == "s.yaml:7"
    assert places["fetch.data/a.csv.url"] == "s.yaml:9"
    assert places["fusions.f.members.1"] == "s.yaml:11"


def test_the_later_file_is_named_and_config_before_all(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a.yaml").write_text("study: a\nsplit: {seed: 1, folds: 3}\n")
    Path("b.yaml").write_text("\n\nstudy: b\n")
    places = key_places(["a.yaml", "b.yaml"], {"split": {"seed": "2"}})
    assert places["study"] == "b.yaml:3"
    assert places["split.folds"] == "a.yaml:2" and places["split.seed"] == places["split"] == "--config"


def test_every_key_that_is_given_twice_is_named_once_with_both_lines(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("s.yaml").write_text(
        "models:\n  cnn: &cnn\n    epochs: 1\n    epochs: 2\n  cnn2: *cnn\n  cnn:\n    <<: *cnn\nstudy: s\nstudy: t\n"
    )
    with pytest.raises(InputError, match=r"3 key\(s\)") as found:
        key_places(["s.yaml"], {})
    said = str(found.value)
    assert "s.yaml:4: models.cnn.epochs is given a second time, after line 3" in said
    assert "s.yaml:6: models.cnn is given a second time, after line 2" in said
    assert "s.yaml:9: study is given a second time, after line 8" in said


def test_a_key_may_overrule_one_that_it_merges_and_json_is_read_too(tmp_path):
    (tmp_path / "s.yaml").write_text("a: &a {x: 1}\nb: {<<: *a, x: 2}\n")
    (tmp_path / "s.json").write_text('{"study":\n\t"s"}')
    assert key_places([tmp_path / "s.yaml", tmp_path / "s.json"], {})


def test_values_of_config_are_read_as_yaml_and_text_options_stay_texts():
    options = {
        "study": "s",
        "split": {"seed": "3", "run_folds": ["0", "1"], "duplicates": "null", "test_fraction": "0.3"},
        "fetch": {"x": {"url": "u", "sha256": "75117900"}},
        "models": {"cnn": {"compile": "true", "metadata": {"widths": ["8"]}, "epochs": "many"}},
    }
    config = {**options, "images": {"size": 32}, "split": {**options["split"], "folds": 2}}
    typed = with_typed_options(config, options)
    assert typed["split"] == {
        "seed": 3, "run_folds": [0, 1], "duplicates": None, "test_fraction": 0.3, "folds": 2,
    }  # fmt: skip
    assert typed["fetch"]["x"]["sha256"] == "75117900"
    assert typed["models"]["cnn"] == {"compile": True, "metadata": {"widths": [8]}, "epochs": "many"}
    assert typed["images"] == {"size": 32}


def test_a_text_of_a_file_stays_a_text_beside_options(tmp_path):
    config = {"split": {"seed": "3", "folds": "2"}}
    assert with_typed_options(config, {"split": {"folds": "2"}})["split"] == {"seed": "3", "folds": 2}


@pytest.mark.parametrize("again", [["--configfile", "b"], ["--configfile=b"], ["--configfiles", "b"]])
def test_configfile_given_twice_is_an_error_that_says_what_to_write(again):
    check_command_line(["snakemake", "--configfile", "a", "b", "--config", "study=s"])
    with pytest.raises(InputError, match=r"--configfile studies/a\.yaml studies/b\.yaml"):
        check_command_line(["snakemake", "--configfile", "a", *again])
