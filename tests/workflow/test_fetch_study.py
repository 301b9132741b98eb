"""Downloads of a study: planned from the configuration, and never in place of an existing file."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from file_server import Server, serving
from melanoma.common.errors import InputError
from melanoma.common.files import sha256
from melanoma.config.data import Download
from melanoma.config.study import Study, resolve
from real_data import real_data
from workflow import clone, failing, planned, snakemake
from zips import zipped

CATALOG = ("results/fetched/catalog/catalog.parquet", "--configfile", "study.yaml")


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as started:
        yield started


def resolved(**sections: Any) -> Study:
    source = {"name": "a", "table": "t.csv", "images": "jpeg"}
    config = {"study": "a", "data": {"sources": [source]}, "models": {"m": {"network": "metadata_mlp"}}}
    return resolve(config | sections)


def test_official_files_are_known_and_an_address_of_ones_own_takes_their_place() -> None:
    known = resolved().fetch
    assert known["data/isic2020/jpeg/train"].unzip == "folder"
    assert known["data/weights/resnest269-0cc87c48.pth"].sha256 == "0cc87c48"
    mine = {"data/isic2020/train.csv": {"url": "https://mirror/t.csv"}, "data/x.csv": {"url": "https://mirror/x.csv"}}
    with_mine = resolved(fetch=mine).fetch
    assert set(with_mine) == {*known, "data/x.csv"}
    assert with_mine["data/isic2020/train.csv"] == Download(url="https://mirror/t.csv")


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "end_of_line"),
    [
        ("train.csv", b"\n"),
        ("ISIC_2020_Training_GroundTruth_v2.csv", b"\r\n"),
        ("ISIC_2020_Training_Duplicates.csv", b"\r\n"),
    ],
)
def test_the_known_bytes_and_hash_are_those_of_the_official_table(name: str, end_of_line: bytes) -> None:
    data = real_data(f"isic2020-tables/{name}").read_bytes().replace(b"\n", end_of_line)  # the copies have LF alone
    known = resolved().fetch[f"data/isic2020/{name}"]
    assert (len(data), sha256(data)) == (known.bytes, known.sha256)


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"fetch": {"x": {}}}, r"fetch.x: missing 'url' \(url: Address"),
        ({"fetch": {"x": {"url": "u", "sha": ""}}}, r"unknown key 'sha' \(did you mean 'sha256'\?\)"),
        ({"fetch": {"x": {"url": "u", "unzip": "all"}}}, r"'all' is not allowed"),
        (
            {"data": {"sources": [{"name": "a", "layout": "columns", "table": "t", "images": "i"}]}},
            r"missing 'columns' \(columns: the table's name of each",
        ),
        (
            {
                "data": {
                    "sources": [{"name": "a", "table": "t", "images": "i", "columns": {"image": "f", "lable": "l"}}]
                }
            },
            r"unknown key 'lable'",
        ),
        ({"data": {"sources": [{"name": "a", "layout": "isic2019", "table": "t", "images": "i"}]}}, r"mean 'isic'"),
        ({"data": {"sources": [{"name": "a", "role": "train", "table": "t", "images": "i"}]}}, r"mean 'extra_train'"),
    ],
)
def test_a_mistake_in_the_configuration_is_told(sections: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        resolved(**sections)


@pytest.mark.parametrize(
    "path",
    [
        "scripts/yaml.py", ".git/hooks/x", "/tmp/x", "data/../scripts/x", "../data/x", "data", "data/", "data/.", "x",
        "database/x", "./scripts/../x", "/data/x", "~/data/x", "C:/data/x",
    ],
)  # fmt: skip
def test_nothing_is_downloaded_to_a_place_outside_data(path: str) -> None:
    with pytest.raises(InputError, match=rf"fetch: '{re.escape(path)}' is not below data/, where all downloads go"):
        resolved(fetch={path: {"url": "https://mirror/x"}})


@pytest.mark.parametrize("path", ["data/x", "./data/x", "data/mine/../x", "data//mine/..x"])
def test_every_spelling_of_a_place_below_data_may_be_downloaded_to(path: str) -> None:
    assert path in resolved(fetch={path: {"url": "https://mirror/x"}}).fetch


def test_a_download_is_one_file_and_no_pattern_of_files() -> None:
    """As a wildcard, this would stand for data/../scripts/x.py, too."""
    with pytest.raises(InputError, match="has braces, which are a wildcard to Snakemake"):
        resolved(fetch={"data/{x}": {"url": "https://mirror/x"}})


def test_weights_are_read_from_anywhere_and_downloaded_below_data_alone() -> None:
    def models(weights: str) -> dict[str, Any]:
        return {"m": {"network": "timm/resnet18", "backbone": {"weights": weights}}}

    assert resolved(models=models("/shared/w.pth")).models["m"].weights_file == "/shared/w.pth"
    fetch = {"data/weights/w.pth": {"url": "https://mirror/w.pth"}}
    assert "data/weights/w.pth" in resolved(models=models("data/weights/w.pth"), fetch=fetch).fetch
    with pytest.raises(InputError, match=r"fetch: '/shared/w.pth' is not below data/"):
        resolved(models=models("/shared/w.pth"), fetch={"/shared/w.pth": {"url": "https://mirror/w.pth"}})


@pytest.fixture
def project(server: Server, tmp_path: Path) -> Path:
    """A clone with a study whose table, metadata and images can be downloaded."""
    (tmp_path / "project").mkdir()
    folder = clone(tmp_path / "project")
    rows = [f"ISIC_{n},{n % 2},{1 - n % 2}" for n in range(40)]
    server.files["/truth.csv"] = "\n".join(["image,MEL,NV", *rows]).encode()
    server.files["/more.csv"] = "\n".join(["image,age_approx", *(f"ISIC_{n},50" for n in range(40))]).encode()
    made = zipped(tmp_path / "made.zip", {f"in/ISIC_{n}.jpg": b"jpeg" for n in range(40)})
    server.files["/train.zip"] = made.read_bytes()
    source = {"name": "isic2019", "layout": "isic", "table": "data/x/truth.csv", "metadata": "data/x/more.csv"}
    downloads = {
        "data/x/truth.csv": {"url": f"{server.url}/truth.csv?a=1&b=2"},
        "data/x/more.csv": {"url": f"{server.url}/more.csv"},
        "data/x/jpeg": {"url": f"{server.url}/train.zip", "unzip": "folder"},
    }
    server.files["/truth.csv?a=1&b=2"] = server.files.pop("/truth.csv")
    study = {
        "study": "fetched",
        "data": {"sources": [source | {"images": "data/x/jpeg"}]},
        "fetch": downloads,
        "models": {"logistic": {"network": "logistic_regression"}},
    }
    (folder / "study.yaml").write_text(yaml.safe_dump(study))
    return folder


@pytest.mark.large
def test_a_study_is_planned_alike_from_nothing_and_with_its_data(server: Server, project: Path) -> None:
    nothing = planned(project, *CATALOG)
    assert sum(name.startswith("fetch_") for name in nothing) == 3
    assert "(100%) done" in failing(project, *CATALOG, "--cores", 2).stdout
    with_data = planned(project, *CATALOG, "--forceall")
    assert with_data == {name: n for name, n in nothing.items() if not name.startswith("fetch_")}
    assert "Nothing to be done" in snakemake(project, "-n", *CATALOG)
    assert {path.name for path in (project / "data" / "x").iterdir()} == {"truth.csv", "more.csv", "jpeg"}


@pytest.mark.large
def test_no_run_deletes_or_replaces_what_the_user_has(server: Server, project: Path) -> None:
    mine = project / "data" / "x" / "truth.csv"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"image,MEL,NV\nISIC_1,1,1\n")
    for options in ((), ("--forceall", "--rerun-incomplete")):
        done = failing(project, *CATALOG, "--cores", 2, *options)
        assert done.returncode != 0 and "ISIC_1" in done.stdout
        (project / "scripts" / "fetch.py").write_text((project / "scripts" / "fetch.py").read_text() + "\n")
    assert mine.read_bytes() == b"image,MEL,NV\nISIC_1,1,1\n"
    assert not [path for path in server.asked if path is not None] and len(server.asked) == 2


@pytest.mark.large
def test_the_official_study_is_planned_from_nothing(project: Path) -> None:
    counts = planned(project, "--configfile", "studies/isic2020.yaml")
    assert sum(name.startswith("fetch_data_isic2020") for name in counts) == 3 and counts["prepare_shard"] == 8
    assert {name for name in counts if name.startswith("fetch_data_weights")} == {
        "fetch_data_weights_resnest269_0cc87c48_pth",
        "fetch_data_weights_efficientnet_b2_rwightman_c35c1473_pth",
        "fetch_data_weights_efficientnet_b4_rwightman_23ab8bcd_pth",
        "fetch_data_weights_efficientnet_b6_lukemelas_24a108a5_pth",
        "fetch_data_weights_tf_efficientnet_b6_ns_51548356_pth",
    }
    (project / "data" / "weights").mkdir(parents=True)
    (project / "data" / "weights" / "resnest269-0cc87c48.pth").touch()
    assert "fetch_data_weights_resnest269_0cc87c48_pth" not in planned(project, "--configfile", "studies/isic2020.yaml")


@pytest.mark.large
def test_offline_the_workflow_says_what_to_put_where(server: Server, project: Path) -> None:
    study = yaml.safe_load((project / "study.yaml").read_text())
    study["fetch"]["data/x/jpeg"]["url"] = f"{server.url}/nowhere.zip"
    (project / "study.yaml").write_text(yaml.safe_dump(study))
    done = failing(project, *CATALOG, "--cores", 2)
    assert done.returncode != 0
    assert f"download {server.url}/nowhere.zip elsewhere and unzip its files into data/x/jpeg" in done.stdout
