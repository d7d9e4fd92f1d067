"""Every kind of problem that the API can answer with (RFC 9457), in one table: when it comes, and what a client does then.

The description of the API and the pages for developers are made from it. A kind never changes its meaning; its type is
the address of the page that explains it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from portal import errors
from portal.api import answers, bodies, contents, guard, idempotency, limits, parameters, uploads, validation
from portal.api.registry import Endpoint
from portal.errors import PortalError, problem_type
from portal.funds import cursor, documents, kinds, scanning, storage
from portal.oauth.tokens import DEAD_REASONS, EXPIRED

EXAMPLE_REFERENCE = "urn:portal:request:3f9c2a7be1d04c55"


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One kind. `members` are further members of the document, with the values of an example."""

    error: type[PortalError]
    when: str
    then: str
    members: Mapping[str, Any] = field(default_factory=dict)
    detail: str = ""
    """The sentence of the example; that of the error when empty."""

    @property
    def kind(self) -> str:
        return self.error.kind

    @property
    def status(self) -> int:
        return self.error.status

    @property
    def title(self) -> str:
        return self.error.title

    def example(self, issuer: str) -> dict[str, Any]:
        """A document of this kind."""
        return {
            "type": problem_type(issuer, self.kind),
            "title": self.title,
            "status": self.status,
            "detail": self.detail or self.error.api_message or self.error.message,
            "instance": EXAMPLE_REFERENCE,
            **self.members,
        }


FAULTS = [{"pointer": "#/address/postal_code", "detail": "may hold at most 200 characters"}]

TABLE: tuple[Problem, ...] = (
    Problem(
        error=guard.MalformedToken,
        when="The header Authorization came twice, holds no single token, or the address carries an access_token.",
        then="Send one header “Authorization: Bearer” with the token, and the token nowhere else.",
        members={"error": "invalid_request"},
    ),
    Problem(
        error=parameters.BadParameter,
        when="A query parameter came twice, or its value is not one of those described. `parameter` names it.",
        then="Correct the parameter. The same call will not succeed.",
        members={"parameter": "limit"},
        detail="The value of `limit` must be a whole number from 1 to 100. Correct it and call again.",
    ),
    Problem(
        error=cursor.BadCursor,
        when="`cursor` is not one that the same query has returned.",
        then="Pass `next_cursor` on as it came, with the same filters, or begin at the first page without a cursor.",
    ),
    Problem(
        error=idempotency.BadKey,
        when="The header Idempotency-Key is empty, too long, or holds other than visible ASCII characters.",
        then="Send a key of 1 to 255 such characters; a random UUID is a good one.",
    ),
    Problem(
        error=answers.BadTags,
        when="The header If-Match is no list of ETags: their double quotes are part of them.",
        then='Send the ETag as it came, such as "3" with its quotes.',
    ),
    Problem(
        error=bodies.UnreadableJson,
        when="The body is no JSON, or JSON that two readers could understand differently: a name given twice, NaN, broken Unicode.",
        then="Send one JSON value in UTF-8. The detail says where reading stopped.",
    ),
    Problem(
        error=uploads.UnreadableForm,
        when="The body stopped before its end, or is no multipart/form-data with a boundary.",
        then="Send the whole form again. Nothing of it was stored.",
    ),
    Problem(
        error=errors.BadRequest,
        when="The request could not be read for another reason, such as a Host that is not the portal’s.",
        then="Compare what was sent with the description of the call.",
    ),
    Problem(
        error=guard.NoToken,
        when="No access token came with the call.",
        then="Send one. The header WWW-Authenticate names the document that says where tokens come from.",
    ),
    Problem(
        error=guard.InvalidToken,
        when="The token is unknown or dead. `reason` says why, in a word to act on: " + ", ".join(DEAD_REASONS) + ".",
        then="After “expired” use the refresh token. After any other reason, and when refreshing is refused, "
        "ask the person to connect again.",
        members={"error": "invalid_token", "reason": EXPIRED},
        detail=guard.WHAT_TO_DO[EXPIRED],
    ),
    Problem(
        error=guard.InsufficientScope,
        when="The token is good and does not open the call: the person did not allow it, may not today, or less was asked for.",
        then="Do not repeat the call. Ask for `scope`, if need be by connecting again; go on with what `scope_of_token` opens.",
        members={"error": "insufficient_scope", "scope": "funds.basic", "scope_of_token": "openid funds.summary"},
        detail="The call needs funds.basic, which this token does not open: the person did not allow it or may not in their role "
        "today, or the token was asked for less. Ask for it, or ask them to connect again and to allow it.",
    ),
    Problem(
        error=errors.NotFound,
        when="The address is none, or the business of the token has nothing with this id. What belongs to another business is "
        "answered exactly so.",
        then="Take ids from the lists of this business. Forget an id that is no longer found.",
    ),
    Problem(
        error=errors.MethodNotAllowed,
        when="The address is right and the method is not.",
        then="Use a method that the header Allow names.",
    ),
    Problem(
        error=documents.AlreadyThere,
        when="The fund has a document with exactly this content. `document_id` names it.",
        then="Take it as done: the document is there.",
        members={"document_id": "01jzc9x3m0v5k8q2n7d4t6h1rb"},
    ),
    Problem(
        error=errors.Conflict,
        when="Two calls at once wanted what only one can have.",
        then="Read the thing again, and repeat the call if it is still wanted.",
    ),
    Problem(
        error=errors.PreconditionFailed,
        when="The thing was changed since it was read, so that If-Match names another state.",
        then="Read it again, and make the change on what it is today, with its new ETag.",
    ),
    Problem(
        error=errors.TooLarge,
        when="The body is larger than the call takes.",
        then="Send less.",
    ),
    Problem(
        error=errors.UnsupportedMediaType,
        when="The Content-Type of the body is not one that the call takes. The header Accept or Accept-Patch names those it takes.",
        then="Send the body as one of them.",
    ),
    Problem(
        error=kinds.KindRefused,
        when="The kind of the document is not taken, or its content is not of the kind that it is declared as.",
        then="Send the document as what it is. The detail names what is taken.",
    ),
    Problem(
        error=contents.RangeNotSatisfiable,
        when="`Range` asks for a part that lies behind the end of the document.",
        then="Ask for a part within the size, which the header Content-Range tells.",
    ),
    Problem(
        error=validation.Invalid,
        when="The body was read, and something in it cannot be taken. `errors` names every fault by its place.",
        then="Correct them all and send the body again. Nothing of it was stored.",
        members={"errors": FAULTS},
    ),
    Problem(
        error=validation.TaxFileNumberRefused,
        when="Something in the body is named like a tax file number, which this portal neither takes nor tells.",
        then="Leave it out. Neither its name nor its value was stored or logged.",
        members={"errors": [{"pointer": "#/tfn", "detail": "is a tax file number by its name"}]},
    ),
    Problem(
        error=idempotency.KeyReused,
        when="The Idempotency-Key came before, with another call or body.",
        then="Send another key with what is another call.",
    ),
    Problem(
        error=scanning.ContentRefused,
        when="The virus scan found something in the document.",
        then="Do not repeat the call. Tell the person who has the document.",
    ),
    Problem(
        error=errors.PreconditionRequired,
        when="A change came without If-Match, or with “*”, which would overwrite what nobody has read.",
        then="Read the thing first, and send its ETag as If-Match.",
    ),
    Problem(
        error=limits.QuotaExceeded,
        when="This access has made all the calls of this minute. `violated-policies` names the limit.",
        then="Wait for the seconds of Retry-After. RateLimit tells on every answer how many calls are left.",
        members={"violated-policies": [limits.POLICY]},
    ),
    Problem(
        error=PortalError,
        when="Something went wrong in the portal. Nothing was changed.",
        then="Try again in a moment, with the same Idempotency-Key if there was one. When it lasts, name `instance` to the operator.",
    ),
    Problem(
        error=errors.Unavailable,
        when="The portal cannot answer at the moment. Nothing was changed.",
        then="Try again in a moment, with the same Idempotency-Key if there was one.",
    ),
    Problem(
        error=storage.StoreUnavailable,
        when="The store of documents does not answer. Nothing was changed.",
        then="Try again in a moment, with the same Idempotency-Key if there was one.",
    ),
    Problem(
        error=scanning.ScannerUnavailable,
        when="The virus scan does not work, and nothing is taken unscanned.",
        then="Try again later, with the same Idempotency-Key if there was one.",
    ),
)
PROBLEMS: dict[str, Problem] = {problem.kind: problem for problem in TABLE}
"""By kind, in the order of their statuses."""

ALWAYS: tuple[type[PortalError], ...] = (
    guard.MalformedToken, errors.BadRequest, guard.NoToken, guard.InvalidToken, guard.InsufficientScope, limits.QuotaExceeded,
    PortalError, errors.Unavailable,
)  # fmt: skip


def of_call(line: Endpoint) -> list[Problem]:
    """The kinds that this call can answer with, in the order of the table."""
    can: set[type[PortalError]] = {*ALWAYS, *line.refuses}
    if line.query:
        can.add(parameters.BadParameter)
    if parameters.CURSOR in line.query:
        can.add(cursor.BadCursor)
    if "<" in line.path:
        can.add(errors.NotFound)
    if line.may_be_conditional:
        can |= {answers.BadTags, errors.PreconditionFailed, errors.PreconditionRequired}
    if line.idempotent:
        can |= {idempotency.BadKey, idempotency.KeyReused}
    if line.body is not None:
        can |= {errors.TooLarge, errors.UnsupportedMediaType, errors.Conflict, *line.body.refuses}
    known = {error.kind for error in can}
    return [problem for problem in TABLE if problem.kind in known]


def calls_of(kind: str, lines: list[Endpoint]) -> list[Endpoint]:
    """The calls that can answer with this kind."""
    return [line for line in lines if PROBLEMS[kind] in of_call(line)]
