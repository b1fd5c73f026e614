"""docs/configuration.md lists every setting as the code has it.

`STAMPEDE_WRITE_DOCS=1 pytest tests/unit/docs/test_configuration_page.py` writes the tables anew after a change.
"""

import os
import re

import pytest

from tests.unit.docs.pages import DOCS, page
from tests.unit.docs.settings_tables import MEANINGS, TABLES, markdown, variables


def block(name: str) -> re.Pattern[str]:
    return re.compile(rf"(<!-- table:{name} -->\n)(.*?)(\n<!-- end -->)", re.DOTALL)


@pytest.mark.parametrize("name", sorted(TABLES))
def test_the_table_in_the_docs_is_what_the_classes_say(name: str) -> None:
    text = page("configuration.md")
    if os.environ.get("STAMPEDE_WRITE_DOCS"):
        text = block(name).sub(lambda match: match[1] + markdown(name) + match[3], text)
        (DOCS / "configuration.md").write_text(text, encoding="utf-8")
    found = block(name).search(text)
    assert found is not None, f"docs/configuration.md has no table:{name}"
    assert found[2] == markdown(name)


@pytest.mark.parametrize("name", sorted(TABLES))
def test_every_setting_has_a_meaning(name: str) -> None:
    assert [variable for variable, field in variables(name) if not (field.description or MEANINGS.get(variable))] == []


def test_no_meaning_is_left_over() -> None:
    silent = {variable for name in TABLES for variable, field in variables(name) if not field.description}
    assert set(MEANINGS) - silent == set()
