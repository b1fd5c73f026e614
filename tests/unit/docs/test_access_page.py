"""docs/access.md is the matrix that tests/security/test_matrix.py asks for.

`STAMPEDE_WRITE_DOCS=1 pytest tests/unit/docs` writes the table anew after a change.
"""

import os
import re
from pathlib import Path

from persistence.stores import open_memory_stores
from serve.app import build_app, guarded_routes
from tests.http_app import FakeClock, FakeRefs, settings_for_tests
from tests.security.access_matrix import markdown
from tests.unit.docs.pages import DOCS, page

BLOCK = re.compile(r"(<!-- table:access -->\n)(.*?)(\n?<!-- end -->)", re.DOTALL)


def test_the_table_in_the_docs_is_the_matrix(tmp_path: Path) -> None:
    clock = FakeClock()
    app = build_app(FakeRefs(), open_memory_stores(clock.now_ms), settings_for_tests(tmp_path), clock)
    table = markdown(guarded_routes(app))
    text = page("access.md")
    if os.environ.get("STAMPEDE_WRITE_DOCS"):
        text = BLOCK.sub(lambda match: f"{match[1]}{table}\n<!-- end -->", text)
        (DOCS / "access.md").write_text(text, encoding="utf-8")
    found = BLOCK.search(text)
    assert found is not None
    assert found[2] == table
