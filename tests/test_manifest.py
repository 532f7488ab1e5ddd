"""The manifest: complete, valid, honest about what is present, and strict about hashes and terms."""

import copy
import zipfile

import pytest
import yaml

from lib import manifest, paths
from lib.errors import AssetMissing, InputError, LicenceError, StudyError

ENTRY = {
    "id": "tiny", "title": "Tiny corpus", "kind": "corpus", "papers": ["cfd"], "page": "https://example.org",
    "licence": "MIT", "terms": {"redistribution": True, "commercial": False}, "gate": "open",
    "layout": {"path": "tiny", "files": ["*.txt"]}, "how_to_get": "make fetch", "substitute": "the puppet corpus",
}


def write(path, *entries):
    path.write_text(yaml.safe_dump({"assets": list(entries)}))
    return path


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A study with an own data folder and manifest; returns a function that sets the entries."""
    monkeypatch.setattr(paths, "DATA", tmp_path / "data")
    monkeypatch.delenv("STUDY_DATA", raising=False)

    def use(*entries):
        known = manifest.load(write(tmp_path / "manifest.yaml", *entries))
        monkeypatch.setattr(manifest, "assets", lambda: known)
        return tmp_path / "data"
    return use


def entry(**changes):
    return {**copy.deepcopy(ENTRY), **changes}


def serve(tmp_path, name, content):
    """A local file as the origin of a download."""
    (tmp_path / "origin").mkdir(exist_ok=True)
    (tmp_path / "origin" / name).write_bytes(content)
    return (tmp_path / "origin" / name).as_uri()


def copying(monkeypatch):
    """Downloads copy local files: no network in tests."""
    import shutil
    from urllib.parse import urlparse
    from urllib.request import url2pathname

    import pooch

    def retrieve(url, known_hash, fname, path):
        path.mkdir(parents=True, exist_ok=True)
        source = url2pathname(urlparse(url).path)
        if known_hash and pooch.file_hash(source) != known_hash.removeprefix("sha256:"):
            raise ValueError("SHA256 hash of downloaded file does not match the known hash")
        shutil.copy(source, path / fname)
    monkeypatch.setattr(pooch, "retrieve", retrieve)


def test_the_manifest_names_every_corpus_model_and_checkpoint_of_the_papers():
    known = manifest.load()
    named = {"voxceleb2", "lrw", "lrs2", "mead", "cremad", "ravdess_speech", "savee", "tess", "vocaset", "biwi",
             "multiface", "hdtf", "3d_etf", "flame_model", "bfm", "ict_face_model", "sfm_face_model",
             "wav2vec2-base-960h", "emoca", "fan", "dan_affectnet7",
             "scn_rafdb", "syncnet_weights", "autovc_weights", "makeittalk_weights", "pcavs_weights"}
    assert named <= known.keys()
    assert {paper for asset in known.values() for paper in asset.papers} == set(manifest.PAPERS)


def test_every_entry_says_how_to_get_it_and_what_replaces_it():
    for asset in manifest.load().values():
        assert asset.how_to_get and asset.substitute and asset.licence and asset.page.startswith("http")
        assert asset.layout.files, asset.id


def test_no_download_writes_outside_its_folder_and_every_address_is_complete():
    for asset in manifest.load().values():
        for download in asset.downloads:
            for to, address, _ in download.files():
                assert ".." not in to and not to.startswith("/") and "{" not in to + address
                assert address.startswith("http")


@pytest.mark.parametrize(("changes", "message"), [
    ({"kind": "movie"}, "kind"), ({"gate": "shut"}, "gate"), ({"papers": ["abc"]}, "papers"), ({"hue": "red"}, "hue"),
    ({"sha256": "123"}, "64 hexadecimal"), ({"layout": {"path": "../up"}}, "inside the asset folder"),
    ({"bytes": "many"}, "bytes"), ({"terms": {"commercial": True}}, "redistribution"),
    ({"gate": "form", "downloads": [{"to": "a", "url": "https://example.org/a"}]}, "only open"),
    ({"downloads": [{"to": "a"}]}, "needs either url")])
def test_an_entry_that_breaks_the_schema_is_named(tmp_path, changes, message):
    with pytest.raises(InputError, match=f"manifest.yaml: assets.*{message}"):
        manifest.load(write(tmp_path / "manifest.yaml", entry(**changes)))


def test_a_missing_field_a_repeated_id_and_a_foreign_file_are_named(tmp_path):
    without = {key: value for key, value in ENTRY.items() if key != "licence"}
    with pytest.raises(InputError, match="licence"):
        manifest.load(write(tmp_path / "a.yaml", without))
    with pytest.raises(InputError, match="id tiny stands there twice"):
        manifest.load(write(tmp_path / "b.yaml", entry(), entry()))
    (tmp_path / "c.yaml").write_text("a: [1, 2")
    for name in ("c.yaml", "none.yaml"):
        with pytest.raises(InputError, match=f"{name}: expected a manifest"):
            manifest.load(tmp_path / name)


def test_the_status_tells_present_incomplete_and_absent_apart(study):
    data = study(entry(), entry(id="empty", layout={"path": "empty", "files": ["*.txt"]}),
                 entry(id="secret", layout={"path": "secret"}, gate="agreement"))
    (data / "tiny").mkdir(parents=True)
    (data / "tiny" / "a.txt").write_text("a")
    (data / "empty").mkdir()
    table = manifest.status().set_index("id")
    assert table.present.to_dict() == {"tiny": True, "empty": False, "secret": False}
    assert "incomplete: *.txt missing" in table.why_absent["empty"]
    assert "signed agreement" in table.why_absent["secret"]


def test_terms_are_checked_before_use(study):
    data = study(entry())
    (data / "tiny").mkdir(parents=True)
    (data / "tiny" / "a.txt").write_text("a")
    assert manifest.require("tiny") == manifest.require("tiny", "publish") == data / "tiny"
    with pytest.raises(LicenceError, match="tiny: MIT does not allow commercial use"):
        manifest.require("tiny", "commercial")


def test_an_absent_asset_says_why_and_how_to_get_it(study):
    study(entry(gate="form", how_to_get="register on the page"))
    with pytest.raises(AssetMissing, match="tiny: its owner asks for a registration; register on the page"):
        manifest.require("tiny")
    with pytest.raises(InputError, match="no asset 'huge'.*known: tiny"):
        manifest.require("huge")


def test_a_wrong_hash_names_file_expected_and_found(study):
    data = study(entry())
    (data / "tiny").mkdir(parents=True)
    (data / "tiny" / "a.txt").write_text("a")
    manifest.write_sums(data / "tiny")
    assert manifest.verify(["tiny"]).verdict.tolist() == ["as fetched"]
    right = manifest.file_hash(data / "tiny" / "a.txt")
    (data / "tiny" / "a.txt").write_text("b")
    wrong = manifest.file_hash(data / "tiny" / "a.txt")
    with pytest.raises(InputError, match=f"a.txt: SHA-256 expected {right}, found {wrong}"):
        manifest.verify(["tiny"])
    (data / "tiny" / "a.txt").unlink()
    with pytest.raises(InputError, match="found no such file"):
        manifest.verify(["tiny"])


def test_a_list_of_hashes_beside_the_assets_is_used(study):
    data = study(entry(sha256=manifest.digest({"a.txt": "0" * 64})))
    (data / "tiny").mkdir(parents=True)
    (data / "tiny" / "a.txt").write_text("a")
    (data / "MANIFEST.csv").write_text(f"path,bytes,sha256\ntiny/a.txt,1,{'0' * 64}\n")
    with pytest.raises(InputError, match=f"expected {'0' * 64}"):
        manifest.verify(["tiny"])


def test_the_digest_is_that_of_sha256sum():
    assert manifest.digest({}) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"      # of nothing


def test_fetched_files_are_complete_verified_and_kept(study, tmp_path, monkeypatch):
    copying(monkeypatch)
    origin = serve(tmp_path, "a.txt", b"a")
    sha256 = manifest.file_hash(tmp_path / "origin" / "a.txt")
    data = study(entry(downloads=[{"to": "a.txt", "url": origin, "sha256": sha256},
                                  {"to": "deep/{n}.txt", "url": origin, "each": {"n": ["1", "2"]}}]))
    assert manifest.fetch(folder=data) == [data / "tiny"]
    assert sorted(p.name for p in (data / "tiny").rglob("*.txt")) == ["1.txt", "2.txt", "a.txt"]
    assert manifest.verify().verdict.tolist() == ["as fetched"] and manifest.fetch(folder=data) == []


def test_an_archive_is_unpacked(study, tmp_path, monkeypatch):
    copying(monkeypatch)
    serve(tmp_path, "all.zip", b"")
    with zipfile.ZipFile(tmp_path / "origin" / "all.zip", "w") as archive:
        archive.writestr("Actor_01/a.txt", "a")
    download = {"to": "all.zip", "url": (tmp_path / "origin" / "all.zip").as_uri(), "unpack": "zip"}
    data = study(entry(layout={"path": "tiny", "files": ["*/a.txt"]}, downloads=[download]))
    manifest.fetch(["tiny"], data)
    assert manifest.require("tiny") and (data / "tiny" / "Actor_01" / "a.txt").read_text() == "a"


def test_an_archive_that_reaches_outside_is_refused(study, tmp_path, monkeypatch):
    copying(monkeypatch)
    serve(tmp_path, "evil.zip", b"")
    with zipfile.ZipFile(tmp_path / "origin" / "evil.zip", "w") as archive:
        archive.writestr("../../evil.txt", "a")
    download = {"to": "evil.zip", "url": (tmp_path / "origin" / "evil.zip").as_uri(), "unpack": "zip"}
    data = study(entry(downloads=[download]))
    with pytest.raises(InputError, match="outside its folder"):
        manifest.fetch(["tiny"], data)
    assert not list(tmp_path.rglob("evil.txt"))


def test_a_failed_download_names_asset_address_and_remedy_and_leaves_no_asset(study, monkeypatch):
    import pooch

    def offline(*_, **__):
        raise ConnectionError("network is unreachable")
    monkeypatch.setattr(pooch, "retrieve", offline)
    data = study(entry(downloads=[{"to": "a.txt", "repository": "o/r", "commit": "abc", "path": "a.txt"}]))
    message = "tiny: https://raw.githubusercontent.com/o/r/abc/a.txt was not .*unreachable.*by hand from https://example"
    with pytest.raises(StudyError, match=message):
        manifest.fetch(["tiny"], data)
    assert not (data / "tiny").exists()


def test_a_download_with_another_hash_is_refused(study, tmp_path, monkeypatch):
    copying(monkeypatch)
    data = study(entry(downloads=[{"to": "a.txt", "url": serve(tmp_path, "a.txt", b"a"), "sha256": "0" * 64}]))
    with pytest.raises(StudyError, match="does not match the known hash"):
        manifest.fetch(["tiny"], data)
    assert not (data / "tiny").exists()


def test_what_is_not_open_cannot_be_fetched(study):
    data = study(entry(gate="agreement"))
    with pytest.raises(InputError, match="cannot be fetched .its owner asks for a signed agreement"):
        manifest.fetch(["tiny"], data)


def test_the_command_prints_the_table_and_fails_with_one_line(study, capsys):
    study(entry())
    assert manifest.main([]) == 0 and "no  tiny" in capsys.readouterr().out
    assert manifest.main(["verify", "huge"]) == 1 and capsys.readouterr().err.startswith("error: no asset 'huge'")
    assert manifest.main(["dance"]) == 1


@pytest.mark.skipif(paths.find_asset("biwi_topology") is None, reason="needs the asset biwi_topology")
def test_the_copies_at_hand_equal_the_manifest():
    assert manifest.verify(["biwi_topology"]).verdict[0] in ("as listed", "as fetched")
