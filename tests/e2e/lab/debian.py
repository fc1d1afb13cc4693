"""WordPress as Debian packages it, unpacked without being installed."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.e2e.lab.programs import run

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
#: Packages whose files WordPress' own are links to, and the theme that a new site has.
PARTS = re.compile(r"(?:libjs|libphp|wordpress-theme|tinymce)(?:-[a-z0-9-]+)?|php-getid3")
#: Debian's own configuration of a server-wide installation.
UNWANTED = (".htaccess", "wp-config.php")


def wordpress_files(suite: str) -> Path:
    """A folder of that suite's WordPress, to be copied and never written to.

    It is fetched once and stays in the user's cache folder; who wants a newer one deletes it there.
    """
    kept = _cache() / f"wordpress-{suite}"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=kept.parent, prefix=".wordpress-") as folder:
            made = _unpack(suite, Path(folder))
            try:
                made.rename(kept)
            except OSError:  # another run was faster
                if not kept.exists():
                    raise
    return kept


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "django-wp-ai-tests"


def _unpack(suite: str, folder: Path) -> Path:
    unpacked, made = folder / "unpacked", folder / "made"
    for package in _download(suite, folder):
        run("dpkg-deb", "--extract", package, unpacked, cwd=folder)
    site = unpacked / "usr/share/wordpress"
    for name in UNWANTED:
        (site / name).unlink(missing_ok=True)
    # Links become files; one that leads nowhere is an error, as its package is not among the parts.
    shutil.copytree(site, made)
    return made


def _download(suite: str, folder: Path) -> list[Path]:
    """The packages, by an apt that has nothing in common with the machine's but mirror and proxy."""
    lists, sources, packages = folder / "lists", folder / "sources.list", folder / "packages"
    (lists / "partial").mkdir(parents=True)
    packages.mkdir()
    options = [f"--option=Dir::State::Lists={lists}", *map("--option={}".format, _APT)]
    sources.write_text(f"deb [signed-by={KEYRING}] {_mirror(options, folder)} {suite} main\n")
    options += [f"--option=Dir::Etc::SourceList={sources}", "--option=Dir::Etc::SourceParts=/dev/null"]
    run("apt-get", *options, "update", cwd=folder)
    about = run("apt-cache", *options, "show", "wordpress", cwd=folder)
    related = ", ".join(re.findall(r"^(?:Depends|Recommends): (.+)", about, re.MULTILINE))
    names = {alternatives.split()[0] for alternatives in related.split(",")}
    run("apt-get", *options, "download", "wordpress", *sorted(filter(PARTS.fullmatch, names)), cwd=packages)
    return sorted(packages.glob("*.deb"))


_APT = (
    "APT::Sandbox::User=",  # the folder is closed to apt's own user
    "Dir::Cache::PkgCache=",
    "Dir::Cache::SrcPkgCache=",
    "Acquire::Languages=none",
    "Acquire::Retries=3",
)


def _mirror(options: list[str], folder: Path) -> str:
    """The machine's own mirror of Debian, in whichever format it is configured."""
    listed = run("apt-get", *options, "update", "--print-uris", cwd=folder)
    found = re.search(r"^'(\S+/debian/)dists/", listed, re.MULTILINE)
    assert found, "WordPress comes from Debian's archive, and the sources of this machine's apt name no mirror of it."
    return found[1]
