from __future__ import annotations

from sqlalchemy import insert, text

from portal import Portal, db
from portal.funds import listing
from portal.funds.models import Fund
from tests.api.world import ABN, World

MANY = 3000


def plan_of(app: Portal, world: World, *, after: bool) -> str:
    """How the database would find one page, in its own words."""
    values = {"business_id": world.business_id, "rows": 21, "after_name": "Fund 01500", "after_id": ""}
    statement = listing.statement(status=False, tag=False, q=False, after=after).statement
    with app.app_context(), db.reader() as connection:
        compiled = statement.compile(connection.engine)
        named = compiled.construct_params(values)
        given = tuple(named[name] for name in compiled.positiontup or ()) if compiled.positional else named
        explain = "EXPLAIN QUERY PLAN " if connection.dialect.name == "sqlite" else "EXPLAIN "
        return "\n".join(str(tuple(row)) for row in connection.exec_driver_sql(explain + str(compiled), given))


def test_a_page_far_down_a_long_list_is_found_by_the_index_and_not_sorted(app: Portal) -> None:
    world, now = World(app), db.utcnow()
    other = world.add_business()
    rows = [
        {
            "id": db.new_id(), "business_id": owner, "name": f"Fund {number:05}", "code": str(number), "status": "active", "tags": [],
            "legal_entity_type": "Small APRA fund", "abn": ABN, "address": {}, "version": 1, "created_at": now, "updated_at": now,
        }
        for owner in (world.business_id, other)
        for number in range(MANY)
    ]  # fmt: skip
    with world.session() as session:
        session.execute(insert(db.table_of(Fund)), rows)
    with world.session() as session:
        session.execute(text("ANALYZE"))
    for after in (False, True):
        plan = plan_of(app, world, after=after)
        assert "ix_funds_business_id_name_id" in plan, plan
        assert "Sort" not in plan, plan
        assert "TEMP B-TREE" not in plan, plan
