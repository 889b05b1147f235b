"""What nobody is to be shown is in no text, and nothing else changes."""

import pytest

from src.core import redaction
from src.core.redaction import hide_folders, hide_value, redacted
from src.core.result import FILE, Figure, Result, load, save
from src.core.store import Key, Store


@pytest.fixture(autouse=True)
def nothing_hidden(monkeypatch):
    monkeypatch.setattr(redaction, "_values", {})
    monkeypatch.setattr(redaction, "_folders", {})


def test_values_of_the_environment_are_written_as_their_variables():
    hide_value("KEY", "4711-geheim")
    hide_value("LONG", "4711-geheim-2")
    hide_value("SEED", "1")
    hide_value("CNN_ANATOMY_OUTPUTS", "/scratch/outputs")
    plain = {"a": ["x4711-geheimx", ("4711-geheim-2", 1)], "4711-geheim": None, "seed": "1", "at": "/scratch/outputs"}
    assert redacted(plain) == {
        "a": ["x${oc.env:KEY}x", ["${oc.env:LONG}", 1]], "4711-geheim": None, "seed": "1", "at": "/scratch/outputs"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("/home/me/out", "outputs"),
        ("/home/me/out/a/b.png: no such file", "outputs/a/b.png: no such file"),
        ("in /home/me/out.", "in outputs."),
        ("file:///home/me/photos", "file://data_root"),
        ("'/home/me/out','/home/me/x'", "'outputs','~/x'"),
        ("/home/me/outer/out", "~/outer/out"),
        ("/home/me/out.old", "~/out.old"),
        ("/home/me-too/out", "/home/me-too/out"),
        ("/mnt/home/me/out", "/mnt/home/me/out"),
        ("a/home/me", "a/home/me"),
        ("/srv/data/../x", "/srv/data/../x"),
    ],
)
def test_paths_are_written_relative_to_the_nearest_folder_with_a_name(text, written):
    hide_folders({"~": "/home/me", "own": None, "outputs": "/home/me/out", "data_root": "/home/me/photos/"})
    assert redacted(text) == written
    assert redacted(text, folders=False) == text


def test_a_folder_has_its_name_wherever_links_lead(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to("disk")
    hide_folders({"outputs": str(tmp_path / "link")})
    assert redacted([f"{tmp_path}/link/a", f"{tmp_path}/disk/a"]) == ["outputs/a", "outputs/a"]


def test_a_result_is_written_and_shown_without_them(tmp_path):
    hide_value("KEY", "4711-geheim")
    hide_folders({"outputs": str(tmp_path)})
    secret = f"{tmp_path}/a 4711-geheim"
    result = Result(
        "t", f"n/{secret}", verdict=secret, error=secret, events=[secret], config={"a": [secret]}, row={"a": secret},
        environment={"command": secret}, tables={"jobs": {"job": [secret, None], "f1": [0.5, 1.0]}},
        captions={"jobs": secret}, figures=[Figure("bars", "jobs", secret, secret, x="job", y="f1")],
    )  # fmt: skip
    save(result, tmp_path / "job")
    text = (tmp_path / "job" / FILE).read_text()
    assert "4711-geheim" not in text and str(tmp_path) not in text and text.count("outputs/a ${oc.env:KEY}") == 10
    assert load(tmp_path / "job") == result and result.tables["jobs"]["job"] == ["outputs/a ${oc.env:KEY}", None]


def test_an_entry_is_another_for_another_value_and_says_neither(tmp_path):
    store = Store(tmp_path)
    for value in ("4711-geheim", "4712-geheim"):
        hide_value("KEY", value)
        entry = store.make(Key("number", {"value": value}), lambda folder: None)
        assert entry.built and entry.manifest["recipe"] == {"value": "${oc.env:KEY}"}
        assert store.find(Key("number", {"value": value}))
