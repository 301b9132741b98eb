"""A bundle is read whole or refused, and the refusal names the file."""

import pytest

from melanoma.bundle.contents import NAME, read_bundle, write_bundle
from melanoma.common.errors import InputError
from melanoma.common.files import read_json, write_json

FILES = {"README.md": b"a card", "models/cnn.json": b"{}", "models/cnn/refit.safetensors": bytes(range(256))}
ABOUT = {"format": 1, "name": "cnn", "models": {"cnn": "network"}}


@pytest.fixture
def bundle(tmp_path):
    write_bundle(tmp_path / "bundle", ABOUT, FILES)
    return tmp_path / "bundle"


def change(bundle, **entries):
    about = read_json(bundle / NAME)
    write_json(bundle / NAME, about | entries)


def test_what_is_written_is_read(bundle):
    about, files = read_bundle(bundle)
    assert files == FILES
    assert {name: about[name] for name in ABOUT} == ABOUT


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("place", [0, -1])
def test_one_flipped_byte_is_refused_with_the_name_of_the_file(bundle, name, place):
    data = bytearray(FILES[name])
    data[place] ^= 1
    (bundle / name).write_bytes(data)
    with pytest.raises(InputError, match=f"{name}: its SHA-256 is not the one in bundle.json"):
        read_bundle(bundle)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(bundle, name):
    (bundle / name).unlink()
    with pytest.raises(InputError, match=f"is missing. Copy the bundle again:\n.*{name}"):
        read_bundle(bundle)


def test_a_newer_format_is_refused(bundle):
    change(bundle, format=2)
    with pytest.raises(InputError, match=r"format 2; this version of the workflow reads 1"):
        read_bundle(bundle)


def test_a_file_outside_the_bundle_is_not_read(bundle, tmp_path):
    (tmp_path / "secret").write_bytes(b"secret")
    change(bundle, files={"../secret": "0"})
    with pytest.raises(InputError, match=r"a file outside the bundle. Do not use this bundle"):
        read_bundle(bundle)


@pytest.mark.parametrize("text", ["", "[]", '{"name": "cnn"}', "{"])
def test_a_damaged_description_is_refused_by_name(bundle, text):
    (bundle / NAME).write_text(text)
    with pytest.raises(InputError, match=r"bundle.json: damaged"):
        read_bundle(bundle)


def test_another_folder_is_neither_read_nor_written_to(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"no bundle, because bundle.json is missing"):
        read_bundle(tmp_path)
    with pytest.raises(InputError, match=r"not empty and not a bundle; give a new folder"):
        write_bundle(tmp_path, ABOUT, FILES)
