"""The text-to-SQL example: its data is what it says, and its metric really asks the databases."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.examples.text_to_sql.databases import DOMAINS, write_database
from tests.examples.text_to_sql.material import database_of
from tests.examples.text_to_sql.metric import execution_match
from tests.examples.text_to_sql.questions import questions

SHOP = DOMAINS[0]
COUNT = "SELECT COUNT(*) FROM orders"
NEVER_ENDING = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT SUM(i) FROM n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sql")
    (folder / "databases").mkdir()
    for domain in DOMAINS:
        write_database(database_of(folder, domain.name), domain, links=2000, seed=0)
    return folder


@pytest.fixture(scope="module")
def shop(folder: Path) -> dict[str, Any]:
    return {"database": str(database_of(folder, "shop"))}


def test_every_question_has_an_answer_in_its_database(folder: Path) -> None:
    made = questions(300, seed=3)
    assert len({one.domain.name for one in made}) == len(DOMAINS)
    for one in made:
        row = {"question": one.text, "database": str(database_of(folder, one.domain.name))}
        assert execution_match(one.sql, one.sql, row) == 1.0
    filled = 0
    for one in made:
        with sqlite3.connect(database_of(folder, one.domain.name)) as connection:
            filled += bool(connection.execute(one.sql).fetchall())
    assert filled / len(made) > 0.95


def test_the_same_seed_makes_the_same_material(tmp_path: Path) -> None:
    assert questions(50, seed=1) == questions(50, seed=1) != questions(50, seed=2)
    for number in (1, 2):
        write_database(tmp_path / f"{number}.sqlite", SHOP, links=100, seed=5)
    one, two = (list(sqlite3.connect(tmp_path / f"{number}.sqlite").iterdump()) for number in (1, 2))
    assert one == two


@pytest.mark.parametrize(
    ("prediction", "score"),
    [
        (COUNT, 1.0),
        ("select count(id) from orders where year > 0", 1.0),
        ("SELECT COUNT(*) FROM customers", 0.0),
        ("SELECT COUNT(* FROM orders", 0.0),
        ("SELECT COUNT(*) FROM nowhere", 0.0),
        ("", 0.0),
        ("SELECT 1; SELECT 2", 0.0),
        ("DROP TABLE orders", 0.0),
    ],
)
def test_a_query_counts_by_what_it_gives(shop: dict[str, Any], prediction: str, score: float) -> None:
    assert execution_match(prediction, COUNT, shop) == score


def test_order_counts_where_it_is_asked_for(shop: dict[str, Any]) -> None:
    up, down = (f"SELECT id FROM customers ORDER BY id {way}" for way in ("ASC", "DESC"))
    assert execution_match(down, up, shop) == 0.0
    assert execution_match(down, "SELECT id FROM customers", shop) == 1.0


def test_a_predicted_query_changes_nothing(shop: dict[str, Any]) -> None:
    before = hashlib.sha256(Path(shop["database"]).read_bytes()).hexdigest()
    assert execution_match("DELETE FROM orders", COUNT, shop) == 0.0
    assert hashlib.sha256(Path(shop["database"]).read_bytes()).hexdigest() == before


def test_a_query_without_an_end_is_ended(shop: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.examples.text_to_sql.metric.QUERY_SECONDS", 0.2)
    assert execution_match(NEVER_ENDING, COUNT, shop) == 0.0


def test_a_right_query_that_cannot_be_run_is_an_error(shop: dict[str, Any]) -> None:
    with pytest.raises(sqlite3.Error, match="no such table"):
        execution_match(COUNT, "SELECT * FROM nowhere", shop)


def test_samples_can_be_scored_at_the_same_time(shop: dict[str, Any]) -> None:
    scores: list[float] = []
    threads = [threading.Thread(target=lambda: scores.append(execution_match(COUNT, COUNT, shop))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert scores == [1.0] * 8


def test_the_metric_stands_alone(tmp_path: Path, shop: dict[str, Any]) -> None:
    """It is loaded from its file by whoever scores with it."""
    source = Path(__file__).parent / "text_to_sql" / "metric.py"
    names: dict[str, Any] = {"__name__": "elsewhere"}
    exec(compile(source.read_text(), str(source), "exec"), names)
    assert names["execution_match"](COUNT, COUNT, json.loads(json.dumps(shop))) == 1.0
