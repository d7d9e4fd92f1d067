from __future__ import annotations

from tests.api.world import World


def test_a_disabled_client_is_refused_at_its_next_call_and_told_why(world: World) -> None:
    grant = world.grant("funds.summary")
    assert world.call("/funds", grant.token).status_code == 200
    operator = world.app.test_cli_runner()
    assert operator.invoke(args=["clients", "disable", grant.client_id]).exit_code == 0
    refused = world.call("/funds", grant.token)
    assert refused.status_code == 401 and "client_disabled" in refused.headers["WWW-Authenticate"]
    assert operator.invoke(args=["clients", "enable", grant.client_id]).exit_code == 0
    assert world.call("/funds", grant.token).status_code == 200
