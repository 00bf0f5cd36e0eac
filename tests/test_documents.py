"""The documents: their links lead somewhere, and the README is short and begins with what CI runs."""

import re
from pathlib import Path
from urllib.parse import unquote

import pytest

TOP = Path(__file__).parent.parent
README = TOP / "README.md"
DOCUMENTS = [README, *sorted((TOP / "examples").glob("*.md")), *sorted((TOP / ".github").glob("*.md"))]


def anchors(document: Path) -> set[str]:
    """The names that GitHub gives a document's headings."""
    text = re.sub(r"^```.*?^```$", "", document.read_text(encoding="utf-8"), flags=re.M | re.S)
    headings = re.findall(r"^#+ (.*)$", text, flags=re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(TOP)))
def test_every_relative_link_leads_to_a_file_and_a_heading_that_exist(document: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", document.read_text(encoding="utf-8"))
    for link in links:
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = unquote(link).partition("#")
        target = document.parent / path if path else document
        assert target.exists(), f"{document.name} links to {link}"
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), f"{document.name} links to {link}"


def test_the_readme_is_read_in_one_sitting() -> None:
    assert README.read_text(encoding="utf-8").count("\n") <= 260


def test_the_readmes_two_blocks_of_shell_commands_are_what_ci_runs() -> None:
    text = README.read_text(encoding="utf-8")
    install, test = re.findall(r"^```sh\n(.*?)^```$", text, flags=re.M | re.S)
    assert "pip install ." in install and "birnn predict examples/digits" in install
    assert test == 'pip install ".[test]" && pytest\n'
