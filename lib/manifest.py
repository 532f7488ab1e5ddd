"""What the study could use and may not ship: corpora, face models and checkpoints, and where each one stands.

    python -m lib.manifest                  table: present or absent, why, and how to get it
    python -m lib.manifest fetch [ids]      download the open ones that have an address (all, or those named) into data/
    python -m lib.manifest verify [ids]     compare the files that are present with their SHA-256

`data_manifest.yaml` is the list; the dataclasses below are its schema. A copy of an asset carries its file hashes
either in SHA256SUMS inside its folder (written by `fetch`) or in MANIFEST.csv beside it.
"""

import csv
import functools
import hashlib
import itertools
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from lib.errors import AssetMissing, InputError, LicenceError, StudyError, command_line, explain
from lib.paths import DATA, ROOT, asset_folders, find_asset, write_aside

if TYPE_CHECKING:
    import pandas

FILE = ROOT / "data_manifest.yaml"
SUMS = "SHA256SUMS"
PAPERS = ("cfd", "ecm", "vnet", "emoface", "eavanet")
WHY_ABSENT = {
    "open": "open, to be downloaded by hand",
    "form": "its owner asks for a registration",
    "agreement": "its owner asks for a signed agreement",
    "unpublished": "its authors have not published it",
}
Use = Literal["research", "publish", "commercial"]


@dataclass(frozen=True)
class Terms:
    """What the licence allows beyond research: to pass the material on, to earn money with it."""

    redistribution: bool
    commercial: bool
    note: str = ""
    __pydantic_config__ = {"extra": "forbid"}


@dataclass(frozen=True)
class Layout:
    """Where the asset stands below an asset folder, and glob patterns that must each match a file in it."""

    path: str
    files: tuple[str, ...] = ()
    __pydantic_config__ = {"extra": "forbid"}

    def __post_init__(self) -> None:
        if Path(self.path).is_absolute() or ".." in Path(self.path).parts or not self.path:
            raise ValueError(f"path {self.path!r} must lie inside the asset folder")


@dataclass(frozen=True)
class Source:
    """A folder or file of a public GitHub repository at one commit."""

    repository: str
    commit: str
    path: str = ""
    change: str = ""
    __pydantic_config__ = {"extra": "forbid"}


@dataclass(frozen=True)
class Download:
    """One file (or many: `each` replaces {names} in `url`, `path` and `to`) with its public address."""

    to: str
    url: str = ""
    repository: str = ""
    commit: str = ""
    path: str = ""
    sha256: str = ""
    unpack: Literal["", "zip"] = ""
    each: dict[str, tuple[str, ...]] = field(default_factory=dict)
    __pydantic_config__ = {"extra": "forbid"}

    def __post_init__(self) -> None:
        if bool(self.url) == bool(self.repository and self.commit and self.path):
            raise ValueError("a download needs either url, or repository, commit and path")
        if self.sha256 and (self.each or not _is_sha256(self.sha256)):
            raise ValueError("sha256 must be 64 hexadecimal digits of a single file")

    @property
    def address(self) -> str:
        return self.url or f"https://raw.githubusercontent.com/{self.repository}/{self.commit}/{self.path}"

    def files(self) -> Iterator[tuple[str, str, str]]:
        """(path below the asset, address, SHA-256 or "") of every file."""
        for values in itertools.product(*self.each.values()):
            names = dict(zip(self.each, values, strict=True))
            yield self.to.format(**names), self.address.format(**names), self.sha256


@dataclass(frozen=True)
class Asset:
    """One corpus, face model or checkpoint. `bytes`, `files`, `sha256` describe the copy the study was made with;
    `sha256` is that of its sorted lines "hash  path" (see `digest`)."""

    id: str
    title: str
    kind: Literal["corpus", "model", "checkpoint"]
    papers: tuple[Literal["cfd", "ecm", "vnet", "emoface", "eavanet"], ...]
    page: str
    licence: str
    terms: Terms
    gate: Literal["open", "form", "agreement", "unpublished"]
    layout: Layout
    how_to_get: str
    substitute: str
    bytes: int | None = None
    files: int | None = None
    sha256: str = ""
    obtained_from: tuple[Source, ...] = ()
    downloads: tuple[Download, ...] = ()
    facts: dict[str, str | int | float] = field(default_factory=dict)     # rates, speakers, emotions, published split
    __pydantic_config__ = {"extra": "forbid"}

    def __post_init__(self) -> None:
        if self.sha256 and not _is_sha256(self.sha256):
            raise ValueError(f"{self.id}: sha256 must be 64 hexadecimal digits")
        if self.downloads and self.gate != "open":
            raise ValueError(f"{self.id}: only open assets have downloads")

    @property
    def where(self) -> Path | None:
        """Folder or file of the asset, or None where it is absent."""
        return find_asset(self.layout.path)

    @property
    def absent_files(self) -> list[str]:
        """Required patterns that match nothing in the copy that is there."""
        where = self.where
        return [pattern for pattern in self.layout.files if where is None or next(where.glob(pattern), None) is None]


def load(path: Path | str = FILE) -> dict[str, Asset]:
    """Assets by id. Raises InputError naming the entry and field that break the schema."""
    import yaml
    from pydantic import TypeAdapter, ValidationError
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        assets = TypeAdapter(dict[Literal["assets"], tuple[Asset, ...]]).validate_python(content).get("assets", ())
    except ValidationError as error:
        first = error.errors()[0]
        place = " / ".join(map(str, first["loc"]))
        raise InputError(f"{path}: {place}: {first['msg']} ({error.error_count()} in all); mend the entry") from error
    except (OSError, yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: expected a manifest in YAML ({explain(error)})") from error
    names = [asset.id for asset in assets]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise InputError(f"{path}: id {repeated[0]} stands there twice; ids must be unique")
    return {asset.id: asset for asset in assets}


@functools.cache
def assets() -> dict[str, Asset]:
    """The study's own manifest, read once."""
    return load()


def get(name: str) -> Asset:
    """Entry of an id. Raises InputError for an unknown one."""
    if name not in assets():
        raise InputError(f"no asset {name!r} in {FILE.name}; known: {', '.join(assets())}")
    return assets()[name]


def require(name: str, use: Use = "research") -> Path:
    """Path of a complete asset whose terms allow the use.

    `use`: "research" (to read and measure), "publish" (to pass pictures or parts of it on), "commercial". Raises
    LicenceError where the terms forbid it, AssetMissing with reason and remedy where it is absent or incomplete.
    """
    asset = get(name)
    allowed = {"research": True, "publish": asset.terms.redistribution, "commercial": asset.terms.commercial}
    if use not in allowed:
        raise InputError(f"use {use!r}; expected one of {', '.join(allowed)}")
    if not allowed[use]:
        raise LicenceError(f"{name}: {asset.licence} does not allow {use} use; {asset.terms.note or 'research only'}; "
                           f"use {asset.substitute}")
    if asset.where is None or asset.absent_files:
        raise AssetMissing(f"{name}: {why_absent(asset)}; {asset.how_to_get}")
    return asset.where


def why_absent(asset: Asset) -> str:
    """One clause that says why the asset is not usable; empty where it is."""
    if asset.where is None:
        return "open, not fetched yet" if asset.downloads else WHY_ABSENT[asset.gate]
    absent = asset.absent_files
    return f"incomplete: {', '.join(absent)} missing in {asset.where}" if absent else ""


def status() -> "pandas.DataFrame":
    """One row per asset: id, kind, papers, present, where, licence, gate, why_absent, how_to_get, substitute."""
    import pandas
    return pandas.DataFrame([_row(asset) for asset in assets().values()])


def _row(asset: Asset) -> dict[str, object]:
    why = why_absent(asset)
    return {"id": asset.id, "kind": asset.kind, "papers": " ".join(asset.papers), "present": not why,
            "where": str(asset.where or ""), "licence": asset.licence, "gate": asset.gate, "why_absent": why,
            "how_to_get": asset.how_to_get, "substitute": asset.substitute}


def fetch(names: Iterable[str] = (), folder: Path = DATA) -> list[Path]:
    """Download open assets (all that have an address and are absent, or those named) into `folder`; their paths.

    An asset takes its place when all its files are there: until then they wait in `folder`/.fetching, where a repeated
    call resumes at the next file. Raises StudyError naming asset, address and remedy where a download fails or a hash
    differs.
    """
    chosen = [get(name) for name in names] or [a for a in assets().values() if a.downloads and a.where is None]
    for asset in chosen:
        if not asset.downloads:
            raise InputError(f"{asset.id}: cannot be fetched ({WHY_ABSENT[asset.gate]}); {asset.how_to_get}")
    return [_fetch(asset, folder / asset.layout.path, folder / ".fetching" / asset.id) for asset in chosen]


def _fetch(asset: Asset, place: Path, waiting: Path) -> Path:
    """Download into `waiting`, then move it to `place`; a `place` that exists is completed where it is."""
    from tqdm.auto import tqdm
    folder = place if place.exists() else waiting
    rows = [(download, *file) for download in asset.downloads for file in download.files()]
    for download, to, address, sha256 in tqdm(rows, desc=f"fetch {asset.id}", unit="file"):
        target = folder / to
        if not target.exists():
            _retrieve(address, target, sha256, asset)
        if download.unpack:
            _unpack(target)
    write_sums(folder)
    if folder is waiting:
        place.parent.mkdir(parents=True, exist_ok=True)
        os.replace(waiting, place)
    return place


def _retrieve(address: str, target: Path, sha256: str, asset: Asset) -> None:
    """One download through pooch, which writes aside and renames."""
    import pooch
    pooch.get_logger().setLevel("WARNING")
    try:
        pooch.retrieve(address, f"sha256:{sha256}" if sha256 else None, fname=target.name, path=target.parent)
    except Exception as error:                       # requests, urllib3, ftplib and pooch each raise their own kinds
        raise StudyError(f"{asset.id}: {address} was not fetched ({explain(error)}); check the network, or get it by "
                         f"hand from {asset.page} and put it at {target}; {asset.how_to_get}") from error


def _unpack(archive: Path) -> None:
    """Extract a zip beside itself; zipfile keeps every member inside that folder."""
    import zipfile
    try:
        with zipfile.ZipFile(archive) as content:
            for member in content.infolist():
                target = archive.parent / member.filename
                if not member.is_dir() and not target.exists():
                    _extract(content, member, target)
    except zipfile.BadZipFile as error:
        raise InputError(f"{archive}: broken archive ({explain(error)}); delete it and fetch again") from error


def _extract(content: object, member: object, target: Path) -> None:
    import shutil
    if ".." in Path(member.filename).parts or Path(member.filename).is_absolute():
        raise InputError(f"{member.filename}: an archive member outside its folder; do not use this archive")
    with write_aside(target) as aside, content.open(member) as source, aside.open("wb") as sink:
        shutil.copyfileobj(source, sink)


def verify(names: Iterable[str] = ()) -> "pandas.DataFrame":
    """Hash the files of present assets: rows id, files, verdict ("as listed", "as fetched", "no hashes known").

    Raises InputError naming file, expected and found hash at the first file that differs or is gone.
    """
    import pandas
    chosen = [get(name) for name in names] or [asset for asset in assets().values() if asset.where]
    return pandas.DataFrame([_verify(asset) for asset in chosen], columns=["id", "files", "verdict"])


def _verify(asset: Asset) -> dict[str, object]:
    where = asset.where
    if where is None:
        raise AssetMissing(f"{asset.id}: {why_absent(asset)}; {asset.how_to_get}")
    known = {**known_hashes(where), **_manifest_hashes(asset, where)}
    for name, expected in known.items():
        check_hash(where / name, expected)
    if asset.sha256 and digest(known) == asset.sha256:
        return {"id": asset.id, "files": len(known), "verdict": "as listed"}
    return {"id": asset.id, "files": len(known), "verdict": "as fetched" if known else "no hashes known"}


def check_hash(path: Path, expected: str) -> None:
    """Raise InputError naming expected and found SHA-256 where the file differs or is gone."""
    found = file_hash(path) if path.is_file() else "no such file"
    if found != expected:
        raise InputError(f"{path}: SHA-256 expected {expected}, found {found}; delete the file and get it again")


def file_hash(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest(hashes: dict[str, str]) -> str:
    """SHA-256 of the sorted lines "hash  path" of a folder, as sha256sum would print them."""
    return hashlib.sha256("".join(f"{hashes[name]}  {name}\n" for name in sorted(hashes)).encode()).hexdigest()


def write_sums(folder: Path) -> None:
    """Write SHA256SUMS of every file below `folder`."""
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != SUMS)
    with write_aside(folder / SUMS) as aside:
        aside.write_text("".join(f"{file_hash(p)}  {p.relative_to(folder).as_posix()}\n" for p in files))


def known_hashes(where: Path) -> dict[str, str]:
    """Hash by path below `where`, from SHA256SUMS inside it or MANIFEST.csv beside it; empty without either."""
    if (where / SUMS).is_file():
        lines = (where / SUMS).read_text(encoding="utf-8").splitlines()
        return {name: value for value, name in (line.split("  ", 1) for line in lines if "  " in line)}
    listing = where.parent / "MANIFEST.csv"
    if where.parent not in [folder.resolve() for folder in asset_folders()] + asset_folders() or not listing.is_file():
        return {}
    with listing.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row.get("path") and row.get("sha256")]
    prefix = f"{where.name}/"
    return {row["path"].removeprefix(prefix): row["sha256"] for row in rows if row["path"].startswith(prefix)}


def _manifest_hashes(asset: Asset, where: Path) -> dict[str, str]:
    """Hashes of single files that the manifest itself knows, where the file is there."""
    rows = [row for download in asset.downloads for row in download.files()]
    return {to: sha256 for to, _, sha256 in rows if sha256 and (where / to).is_file()}


def _is_sha256(text: str) -> bool:
    return len(text) == 64 and set(text) <= set("0123456789abcdef")


def _print_status() -> None:
    table = status()
    for kind, rows in table.groupby("kind", sort=False):
        print(f"\n{kind} ({int(rows.present.sum())} of {len(rows)} present)")
        for row in rows.itertuples():
            place = row.where if row.present else f"{row.why_absent}; {row.how_to_get}"
            print(f"  {'yes' if row.present else 'no ':3} {row.id:26} {row.gate:11} {row.licence:24.24} {place}")


@command_line
def main(arguments: list[str]) -> int:
    """Command line: no argument, `fetch [ids]` or `verify [ids]`; 1 after an error."""
    command, names = (arguments or ["status"])[0], arguments[1:]
    if command == "fetch":
        print("\n".join(map(str, fetch(names))) or "everything open with an address is present")
    elif command == "verify":
        print(verify(names).to_string(index=False))
    elif command == "status":
        _print_status()
    else:
        raise InputError(f"unknown command {command!r}; expected status, fetch or verify")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
