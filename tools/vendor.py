"""Copies the browser files that the console needs into `static/vendor`, from exact npm versions.

`python tools/vendor.py` fetches (needs npm) and rewrites the folder; `--check` needs no network and proves that the folder is
exactly what its manifest says. The console itself needs no build step and no network.
"""

import argparse
import gzip
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

VENDOR = Path(__file__).resolve().parent.parent / "static" / "vendor"
MANIFEST = VENDOR / "manifest.json"
SOURCE_MAP = re.compile(rb"\n?(?:/\*|//)[#@] sourceMappingURL=[^\n*]*(?:\*/)?\s*$")
COMPRESSED = {".css", ".js", ".svg"}


@dataclass(frozen=True)
class Package:
    """One npm package: what is copied from it, as `path in the package` → `name under static/vendor`."""

    name: str
    version: str
    files: dict[str, str]
    licence: str | None = "LICENSE"


PACKAGES = (
    Package("@tabler/core", "1.6.1", {"dist/css/tabler.min.css": "tabler.min.css"}, licence=None),
    Package("htmx.org", "2.0.11", {"dist/htmx.min.js": "htmx.min.js"}),
    Package("idiomorph", "0.8.0", {"dist/idiomorph.min.js": "idiomorph.min.js"}),
    Package("uplot", "1.6.32", {"dist/uPlot.iife.min.js": "uplot.min.js", "dist/uPlot.min.css": "uplot.min.css"}),
)
ICON_PACKAGE = Package("@tabler/icons", "3.52.0", {})
ICON_SPRITE = "icons.svg"
# outline icons that templates and statuses name; `tests/console` checks that none is missing
ICONS = (
    "activity", "activity-heartbeat", "adjustments", "alert-circle", "alert-triangle", "antenna", "arrow-right",
    "arrows-sort", "arrows-split-2", "bell", "bolt", "broadcast", "check", "chevron-down", "chevron-left", "chevron-right",
    "circle-check", "circle-dashed", "circle-minus", "circle-x", "clock", "clock-pause", "clock-play", "copy", "crown",
    "database", "device-desktop-analytics", "download", "external-link", "eye", "eye-off", "file", "file-symlink", "filter",
    "flame", "folder", "folder-open", "ghost", "git-compare", "heart-rate-monitor", "help-circle", "history", "hourglass",
    "inbox", "info-circle", "key", "keyboard", "language", "layout-dashboard", "link", "list-check", "loader-2", "lock",
    "logout", "map-search", "menu-2", "microscope", "moon", "note", "player-pause", "player-play", "player-stop", "plug-connected",
    "plug-x", "point", "progress", "radar", "refresh", "route", "search", "server-2", "settings", "shield-check", "sitemap",
    "sort-ascending", "stack-2", "sun", "timeline", "trash", "user-circle", "users", "versions", "wifi-off", "world", "x",
    "zoom-scan",
)  # fmt: skip


def main() -> int:
    """Command line; the exit status is 0 when the folder is (now) right."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only compare the folder with its manifest")
    if parser.parse_args().check:
        faults = differences()
        for fault in faults:
            print(f"static/vendor: {fault}; run `python tools/vendor.py` and commit the result", file=sys.stderr)
        return 1 if faults else 0
    fetch_all()
    return 0


def differences() -> list[str]:
    """What in the folder is not as the manifest says: changed, missing and surplus files."""
    listed: dict[str, str] = json.loads(MANIFEST.read_text())["files"]
    present = {path.name for path in VENDOR.iterdir() if path != MANIFEST}
    faults = [f"{name} is not in the manifest" for name in sorted(present - listed.keys())]
    faults += [f"{name} is missing" for name in sorted(listed.keys() - present)]
    faults += [f"{name} was changed" for name in sorted(listed.keys() & present) if sha256(VENDOR / name) != listed[name]]
    return faults


def fetch_all() -> None:
    """Rewrite the folder and its manifest. Raises CalledProcessError when npm fails, ValueError when a version changed content."""
    known = json.loads(MANIFEST.read_text())["packages"] if MANIFEST.exists() else {}
    with tempfile.TemporaryDirectory() as scratch:
        folders = {package.name: unpack(package, Path(scratch), known) for package in (*PACKAGES, ICON_PACKAGE)}
        shutil.rmtree(VENDOR, ignore_errors=True)
        VENDOR.mkdir(parents=True)
        for package in PACKAGES:
            copy(package, folders[package.name][0])
        icons = folders[ICON_PACKAGE.name][0]
        write(ICON_SPRITE, sprite(icons / "icons" / "outline"))
        write_licence(ICON_PACKAGE, icons)
    packages = {
        package.name: {"version": package.version, "tarball_sha256": folders[package.name][1]}
        for package in (*PACKAGES, ICON_PACKAGE)
    }
    files = {path.name: sha256(path) for path in sorted(VENDOR.iterdir())}
    MANIFEST.write_text(json.dumps({"packages": packages, "files": files}, indent=2) + "\n")


def unpack(package: Package, scratch: Path, known: dict[str, dict[str, str]]) -> tuple[Path, str]:
    """The unpacked folder of a package and the digest of its archive."""
    target = scratch / package.name.replace("/", "-")
    target.mkdir()
    subprocess.run(["npm", "pack", "--silent", f"{package.name}@{package.version}"], cwd=target, check=True, capture_output=True)
    archive = next(target.glob("*.tgz"))
    digest, before = sha256(archive), known.get(package.name)
    if before and before["version"] == package.version and before["tarball_sha256"] != digest:
        raise ValueError(f"{package.name} {package.version} is not the archive that was vendored before")
    with tarfile.open(archive) as tar:
        tar.extractall(target, filter="data")
    return target / "package", digest


def copy(package: Package, folder: Path) -> None:
    """Copy the files of one package, without source map comments (their maps are not shipped), and its licence."""
    for inside, name in package.files.items():
        write(name, SOURCE_MAP.sub(b"", (folder / inside).read_bytes()) + b"\n")
    write_licence(package, folder)


def write(name: str, content: bytes) -> None:
    """Write a file and, beside text files, the compressed twin that the static server hands out."""
    (VENDOR / name).write_bytes(content)
    if Path(name).suffix in COMPRESSED:
        (VENDOR / f"{name}.gz").write_bytes(gzip.compress(content, 9, mtime=0))


def write_licence(package: Package, folder: Path) -> None:
    """Keep the licence under which a package came."""
    name = f"LICENSE.{package.name.strip('@').replace('/', '-')}.txt"
    if package.licence:
        shutil.copy(folder / package.licence, VENDOR / name)
        return
    # Tabler's archive holds no licence file: its notice heads its CSS, and the terms are those of its icons, by the same author
    head = (folder / next(iter(package.files))).read_text().split("*/", 1)[0].split("/*!", 1)[1]
    notice = "\n".join(line.strip(" *") for line in head.strip().splitlines())
    (VENDOR / name).write_text(f"{notice}\n\nThe terms are the same as in LICENSE.tabler-icons.txt.\n")


def sprite(folder: Path) -> bytes:
    """One SVG with a symbol per icon; a page shows one by `<use href="icons.svg#name">`."""
    symbols = [symbol(name, (folder / f"{name}.svg").read_text()) for name in ICONS]
    return ('<svg xmlns="http://www.w3.org/2000/svg">\n' + "\n".join(symbols) + "\n</svg>\n").encode()


def symbol(name: str, svg: str) -> str:
    """The drawing of one icon as a symbol; the invisible frame path is left out."""
    drawing = svg.split(">", 1)[1].rsplit("</svg>", 1)[0]
    shapes = [line.strip() for line in drawing.splitlines() if line.strip() and 'd="M0 0h24v24H0z"' not in line]
    return f'<symbol id="{name}" viewBox="0 0 24 24">{"".join(shapes)}</symbol>'


def sha256(path: Path) -> str:
    """Hex digest of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
