"""The pages name only what is there: files, functions, links."""

import re
from pathlib import Path

import pytest

from tests.unit.docs.pages import DOCS, PAGES, ROOT, page

TOP_FOLDERS = ("actors", "benchmarks", "cluster", "docs", "persistence", "serve", "tests")
# `serve/route.py` (`GuardedRoute`), and several names with commas between
NAMED = re.compile(r"`([\w/]+\.py)`\s+\((`[\w.]+`(?:,\s+`[\w.]+`)*)")

pages = pytest.mark.parametrize(
    "path", [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *PAGES], ids=lambda path: path.name
)


@pages
def test_every_path_is_there(path: Path) -> None:
    named = re.findall(rf"`((?:{'|'.join(TOP_FOLDERS)})/[\w./-]*)", path.read_text(encoding="utf-8"))
    assert sorted(name for name in set(named) if not (ROOT / name).exists()) == []


@pages
def test_every_name_is_in_its_file(path: Path) -> None:
    missing = []
    for file, names in NAMED.findall(path.read_text(encoding="utf-8")):
        code = (ROOT / file).read_text(encoding="utf-8")
        for name in re.findall(r"`([\w.]+)`", names):
            missing += [f"{file} {name}" for part in name.split(".") if not re.search(rf"(def|class) {part}\b", code)]
    assert missing == []


@pages
def test_every_link_leads_somewhere(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    dead = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"https?:", target):
            continue
        file, _, anchor = target.partition("#")
        to = path.parent / file if file else path
        if not to.exists() or (anchor and anchor not in anchors(to)):
            dead.append(target)
    assert dead == []


def test_the_tree_of_the_architecture_page_is_the_repository_s() -> None:
    tree = page("architecture.md").partition("## The tree\n")[2].partition("```")[2].partition("```")[0]
    named = set(re.findall(r"[\w]+\.py", tree))
    for package in ("actors", "cluster", "persistence"):
        modules = {file.name for file in (ROOT / package).rglob("*.py") if is_told(file)}
        assert modules - named == set(), package
    missing = {name for name in named if not any(ROOT.glob(f"[acps]*/**/{name}"))}
    assert missing == set()


def is_told(file: Path) -> bool:
    """The tree names adapters and the audit by their folder."""
    return file.name != "__init__.py" and not {"memory", "postgres", "audit"} & set(file.relative_to(ROOT).parts)


def anchors(path: Path) -> set[str]:
    """The anchors of a page's headings, as forges make them."""
    heads = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def test_all_pages_are_looked_at() -> None:
    assert {path.name for path in PAGES} >= {"architecture.md", "api.md", "operations.md", "configuration.md"}
    assert DOCS.is_dir()
