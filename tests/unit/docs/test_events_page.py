"""docs/events.md lists every fact with its topic and its fields as the code has them."""

import re

from actors.events.facts import COMPACTED, ENTITIES, FACTS
from tests.unit.docs.pages import page, rows


def table(heading: str) -> list[list[str]]:
    return rows(page("events.md").partition(f"## {heading}\n")[2].partition("\n## ")[0])


def test_every_fact_has_its_fields() -> None:
    told = {cells[0].strip("`"): re.findall(r"`(\w+)`", cells[1]) for cells in table("Fields") if cells[0] != "fact"}
    assert told == {fact: list(picks) for fact, picks in FACTS.items()}


def test_every_topic_has_its_facts() -> None:
    told = {}
    for topic, _, facts in table("Topics and facts"):
        if topic.startswith("`") and not topic.startswith("`<"):
            told[topic.split("`")[1]] = ("compacted" in topic, facts.split(", "))
    wanted = {
        entity.topic: (
            entity.topic in COMPACTED,
            [fact for fact in FACTS if fact.partition(".")[0] == entity.fact],
        )
        for entity in ENTITIES.values()
    }
    assert told == wanted
