"""What a call answers: JSON, the tag of its state, and 304 to those who have it already (RFC 9110 §8.8.3, §13.1.2).

A thing that can be changed is tagged with its version, which `If-Match` of a change brings back; everything else with a
digest of the answer itself.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flask import Request, Response

from portal import web
from portal.errors import BadRequest, PreconditionRequired

Body = Mapping[str, Any]

encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=str).encode
"""Made once. Dates and decimals become text; their `str` is the ISO date and the exact decimal."""

DIGEST_BYTES = 12
VERSION = re.compile(r"0|[1-9][0-9]{0,17}")
TAG = r'(W/)?"[!#-~]*"'
TAGS = rf"[ \t,]*{TAG}([ \t]*,[ \t,]*{TAG})*[ \t,]*"
"""A list of entity tags (RFC 9110 §8.8.3, §5.6.1.2), in ASCII as ours are: what `If-Match` may say, besides `*`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """A body with what stands in the headers about it."""

    body: Body
    version: int | None = None
    """That of the one thing the body shows; the ETag."""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer as it goes out, and as it is kept to be given again."""

    status: int
    headers: Mapping[str, str]
    body: str

    def as_response(self) -> Response:
        return web.WholeAnswer(self.body, self.status, self.headers.items())


def etag_of_version(version: int) -> str:
    return f'"{version}"'


def reply(made: Answer | Body, status: int = 200) -> Reply:
    """The reply of a call that changed something; tagged when the body shows one thing with a version."""
    answer = made if isinstance(made, Answer) else Answer(body=made)
    headers = dict(answer.headers)
    if answer.version is not None:
        headers["ETag"] = etag_of_version(answer.version)
    return Reply(status, headers, encode(answer.body))


def reading(made: Answer | Body, request: Request) -> Response:
    """The answer to a call that reads, always tagged; 304 without a body when `If-None-Match` names its tag."""
    told = reply(made)
    tag = told.headers.get("ETag") or _digest(told.body)
    if "If-None-Match" in request.headers and _is_named(tag, request):
        return Response(status=304, headers={"ETag": tag})
    return web.WholeAnswer(told.body, told.status, {**told.headers, "ETag": tag}.items())


def _is_named(tag: str, request: Request) -> bool:
    known = request.if_none_match
    return known.star_tag or known.contains_weak(tag.strip('"'))


def _digest(text: str) -> str:
    digest = hashlib.blake2b(text.encode(), digest_size=DIGEST_BYTES).digest()
    return f'"{base64.urlsafe_b64encode(digest).decode()}"'


class BadTags(BadRequest):
    kind = "bad-if-match"
    title = "The header If-Match cannot be used"
    message = "Nothing was changed. If-Match must be the ETag of what was read, its double quotes included, or a list of such."


def versions_to_change(request: Request, *, required: bool) -> frozenset[int] | None:
    """The versions that `If-Match` names, by strong comparison (RFC 9110 §13.1.1); a tag that is no version names none.

    None without the header, where it is not required. Raises PreconditionRequired (RFC 6585 §3) where it is, and for `*`,
    which would match what nobody has read. Raises BadTags for what is no list of tags, which would never match.
    """
    sent = request.headers.get("If-Match")
    if sent is None and not required:
        return None
    if sent is None or sent.strip() == "*":
        raise PreconditionRequired
    if re.fullmatch(TAGS, sent) is None:
        raise BadTags(detail="unreadable If-Match")
    return frozenset(int(tag) for tag in request.if_match.as_set() if tag and VERSION.fullmatch(tag))
