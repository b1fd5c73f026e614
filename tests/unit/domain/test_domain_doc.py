"""docs/domain.md says what the code does: its tables are worked out from `decide`, and compared.

`STAMPEDE_WRITE_DOCS=1 pytest tests/unit/domain/test_domain_doc.py` writes them anew after a change of the rules.
"""

import os
import re
from pathlib import Path
from typing import get_args

import pytest

from actors.domain import order
from tests.unit.domain.rule_tables import TABLES, markdown
from tests.unit.domain.test_order_claims import STATES
from tests.unit.domain.test_order_machine import LEGAL

PAGE = Path(__file__).parents[3] / "docs" / "domain.md"


def block(name: str) -> re.Pattern[str]:
    return re.compile(rf"(<!-- table:{name} -->\n)(.*?)(\n<!-- end -->)", re.DOTALL)


@pytest.mark.parametrize("name", sorted(TABLES))
def test_the_table_in_the_docs_is_what_the_code_does(name: str) -> None:
    text = PAGE.read_text(encoding="utf-8")
    if os.environ.get("STAMPEDE_WRITE_DOCS"):
        text = block(name).sub(lambda match: match[1] + markdown(name) + match[3], text)
        PAGE.write_text(text, encoding="utf-8")
    found = block(name).search(text)
    assert found is not None, f"docs/domain.md has no table:{name}"
    assert found[2] == markdown(name)


def test_every_status_of_an_order_is_in_its_table() -> None:
    shown = {state.status for state in STATES.values() if state is not None}
    assert shown == set(get_args(order.Status))


def test_what_an_order_allows_are_legal_transitions() -> None:
    for status, allowed in order.ALLOWED.items():
        assert set(allowed) <= LEGAL[status]
    for state in STATES.values():
        if state is not None and state.cancelling:
            assert state.allowed == ()
