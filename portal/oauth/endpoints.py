"""The protocol for machines: token, introspection, revocation, userinfo, keys and metadata. No cookies, no forms, no pages."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import cast

from authlib.oauth2 import OAuth2Error
from flask import Blueprint, Response, current_app, jsonify, request

from portal import db, web
from portal.consents import of_client
from portal.oauth import bearer, keys, metadata, own_consent, pushed, userinfo
from portal.oauth.server import MachineRequest, PortalAuthorizationServer, check_grant_type

bp = Blueprint("oauth", __name__)


@bp.after_request
def keep_out_of_caches(response: Response) -> Response:
    """Every protocol answer, those to OPTIONS and the public ones too: what it says may be over with the next request."""
    if not isinstance(response, web.WholeAnswer):  # which has it
        response.headers["Cache-Control"] = "no-store"
    return response


def server() -> PortalAuthorizationServer:
    return cast(PortalAuthorizationServer, current_app.extensions["portal-oauth"])


def answer(work: Callable[[PortalAuthorizationServer, MachineRequest], Response]) -> Response:
    """Run one machine endpoint on one connection; what it raises of the OAuth family becomes its JSON answer."""
    with db.reader() as connection:
        machine = MachineRequest(web.current_request(), connection, now=db.utcnow())
        try:
            machine.read()
            return work(server(), machine)
        except OAuth2Error as error:
            return cast(Response, server().handle_error_response(machine, error))


@bp.post("/oauth/token")
def token() -> Response:
    """RFC 6749 §3.2."""

    def work(authorization_server: PortalAuthorizationServer, machine: MachineRequest) -> Response:
        check_grant_type(machine)
        return cast(Response, authorization_server.create_token_response(machine))

    return answer(work)


@bp.post("/oauth/par")
def pushed_authorization_request() -> Response:
    """RFC 9126 §2."""
    body = web.whole_body(request)

    def work(authorization_server: PortalAuthorizationServer, machine: MachineRequest) -> Response:
        client = authorization_server.authenticate_client(machine, None)
        parked = pushed.push(
            machine.connection, authorization_server.settings, client_id=client.client_id, body=body, now=machine.now
        )
        return authorization_server.handle_response(201, parked, [])

    return answer(work)


@bp.post("/oauth/introspect")
def introspection() -> Response:
    """RFC 7662 §2."""
    return answer(lambda authorization_server, machine: authorization_server.create_endpoint_response("introspection", machine))


@bp.post("/oauth/revoke")
def revocation() -> Response:
    """RFC 7009 §2."""
    return answer(lambda authorization_server, machine: authorization_server.create_endpoint_response("revocation", machine))


@bp.route("/oauth/userinfo", methods=["GET", "POST"])
def userinfo_endpoint() -> Response:
    """OIDC Core §5.3."""
    with db.reader() as connection:
        now = db.utcnow()
        found = userinfo.find(connection, web.current_request(), server().settings, now=now)
        if isinstance(found, Response):
            return found
        return web.WholeAnswer(web.encode(userinfo.claims(found)))


@bp.route("/oauth/consents/<consent_id>", methods=["GET", "DELETE"])
def consent(consent_id: str) -> Response:
    """A client reads its own consent, or ends it. Another client's is 404 with the same body as none."""
    with db.reader() as connection:
        now = db.utcnow()
        try:
            client = own_consent.authenticate(connection, request, server().settings, consent_id, now=now)
        except OAuth2Error as error:
            return cast(Response, server().handle_error_response(None, error))
        if isinstance(client, bearer.Challenge):
            return client.as_oauth()
        found = of_client.find(connection, client, consent_id, now=now) if client is not None else None
        if found is None:
            missing = {"error": "not_found", "error_description": "There is no such consent of this client."}
            return server().handle_response(404, missing, [])
        if request.method == "DELETE":
            of_client.end(
                connection, found, now=now, window=timedelta(seconds=server().settings.undo_seconds)
            )  # ended before is ended too
            return Response(status=204)
        return server().handle_response(200, own_consent.describe(found), [])


@bp.get("/oauth/jwks")
def jwks() -> Response:
    """RFC 7517 §5."""
    with db.reader() as connection:
        return jsonify(keys=keys.published(connection, now=db.utcnow()))


@bp.get("/.well-known/openid-configuration")
def openid_configuration() -> Response:
    """OIDC Discovery §4."""
    return jsonify(metadata.authorization_server(server().settings))


@bp.get("/.well-known/oauth-authorization-server")
def oauth_authorization_server() -> Response:
    """RFC 8414 §3; the same document, so that the two can never disagree."""
    return jsonify(metadata.authorization_server(server().settings))


@bp.get(metadata.API_METADATA)
@bp.get(metadata.PROTECTED_RESOURCE)
def oauth_protected_resource() -> Response:
    """RFC 9728 §3; also at the address without the API's path, where a client looks that knows only the host."""
    return jsonify(metadata.protected_resource(server().settings))
