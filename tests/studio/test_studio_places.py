"""The studio looks into the folders it was allowed to look into, wherever a path seems to lead."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.errors import InputError, UsageError
from trainer_ui.services import kept, places


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside" / "deep"
    folder.mkdir(parents=True)
    (folder / "train.json").write_text("[]")
    return folder


def test_the_data_folder_and_the_project_are_open_and_nothing_else(home: Path, project: Path, outside: Path) -> None:
    home.mkdir()
    assert {root.path for root in places.roots()} == {home, project}
    assert places.inside(home / "data" / "x.json") and not places.inside(outside)
    assert not places.inside(home / ".." / "outside") and not places.inside(Path("/"))


def test_a_link_out_of_an_open_folder_is_outside(home: Path, outside: Path) -> None:
    home.mkdir()
    (home / "link").symlink_to(outside, target_is_directory=True)
    (home / "file.json").symlink_to(outside / "train.json")
    assert not places.inside(home / "link" / "train.json")
    for refused in (lambda: places.file(str(home / "file.json")), lambda: places.listing(home / "link")):
        with pytest.raises(places.Outside) as told:
            refused()
        assert told.value.folder == outside


def test_a_folder_is_open_once_it_was_allowed_and_until_it_is_forgotten(outside: Path) -> None:
    file = str(outside / "train.json")
    with pytest.raises(places.Outside, match="not been allowed") as told:
        places.file(file, (".json",))
    places.allow(str(told.value.folder))
    places.allow(str(told.value.folder))
    assert places.file(file, (".json",)) == outside / "train.json"
    assert [root.path for root in places.roots() if root.added] == [outside]
    places.forget(outside)
    with pytest.raises(places.Outside):
        places.folder(str(outside))


@pytest.mark.parametrize("text", ["", "  ", "relative/path", "a\0b", "../x"])
def test_a_path_is_typed_from_its_beginning(text: str) -> None:
    for read in (places.file, places.folder, places.allow):
        with pytest.raises(UsageError, match="whole path"):
            read(text)


def test_what_is_not_there_is_said_by_name(home: Path) -> None:
    home.mkdir()
    with pytest.raises(InputError, match=r"no file .*nothing\.json"):
        places.file(str(home / "nothing.json"))
    with pytest.raises(InputError, match=r"no folder .*nothing"):
        places.folder(str(home / "nothing"))
    (home / "x.txt").touch()
    with pytest.raises(InputError, match=r"x\.txt is not one of the files that are wanted here: \.json, \.jsonl"):
        places.file(f' "{home / "x.txt"}" ', (".json", ".jsonl"))
    with pytest.raises(UsageError, match="not a folder"):
        places.allow(str(home / "x.txt"))
    with pytest.raises(UsageError, match="holds everything"):
        places.allow("/")


def test_a_listing_holds_folders_and_the_wanted_files_and_can_go_up_to_the_root(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("b", "a", ".hidden"):
        (home / "data" / name).mkdir(parents=True)
    for name in ("x.JSON", "y.txt", ".secret.json"):
        (home / "data" / name).touch()
    listing = places.listing(home / "data", (".json",))
    assert (listing.folders, listing.files, listing.parent, listing.more) == (("a", "b"), ("x.JSON",), home, 0)
    assert places.listing(home).parent is None
    monkeypatch.setattr(places, "MOST", 1)
    assert places.listing(home / "data", (".json",)).more == 1


def test_what_is_kept_survives_and_damage_counts_as_nothing(home: Path) -> None:
    with kept.changed("folders") as content:
        content["added"] = ["/somewhere"]
    assert kept.read("folders") == {"added": ["/somewhere"]}
    (home / "studio" / "folders.json").write_text("[1, 2")
    assert kept.read("folders") == {}
    assert [root for root in places.roots() if root.added] == []
