"""Taking in a document: multipart/form-data (RFC 7578) with the file in it, written beside the store while it comes.

A worker's memory holds a piece of the file at a time, however large it is. The file has passed every check before a
transaction is opened, and was sent to a store that is far away; on every way out it is gone here, unless it was kept.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any, cast

from flask import Request, current_app, g
from werkzeug.datastructures import FileStorage, MultiDict
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge
from werkzeug.formparser import FormDataParser

from portal import db
from portal.api import bodies, objects, validation
from portal.api.bodies import Sent
from portal.api.validation import Fault, Invalid
from portal.config import Settings
from portal.errors import BadRequest, PortalError
from portal.funds import filenames, fund, kinds, scanning, storage, telling
from portal.funds.documents import NewDocument
from portal.funds.storage import LARGEST_BYTES, Address, ContentTooLarge, Incoming, Store
from portal.oauth.tokens import AccessLookup

MULTIPART = "multipart/form-data"
FORM_BYTES = 256 * 1024
"""What all parts but the file may have, their headers included; it is the parser's buffer too, so no less."""

MOST_PARTS = 32
REPEATED = "tags"
OPTIONAL = ("name", "period_start", "period_end")
FILE = "file"


class UnreadableForm(BadRequest):
    kind = "unreadable-form"
    title = "The body could not be read as multipart/form-data"
    message = "Nothing was stored. It stopped before its end, or is no multipart/form-data with a boundary. Send it again."


@dataclass(frozen=True, slots=True)
class Received:
    """A document that came in whole: what is said about it, and its content, which waits to be kept."""

    new: NewDocument
    upload: Incoming


@dataclass(frozen=True)
class DocumentForm:
    """The body of an upload. The fund in the path is looked up first, so that nothing is sent to one that is not there."""

    schema: str = "NewDocument"
    media_types: tuple[str, ...] = (MULTIPART,)
    refuses: tuple[type[PortalError], ...] = (
        UnreadableForm, Invalid, kinds.KindRefused, scanning.ContentRefused, scanning.ScannerUnavailable, storage.StoreUnavailable,
    )  # fmt: skip

    def read(self, request: Request, access: AccessLookup) -> Sent:
        bodies.check_media_type(request, self.media_types)
        fund_id = (request.view_args or {})["fund_id"]
        with db.reader() as connection:
            fund_name = objects.found(fund.find_name(connection, access.business_id, objects.checked(fund_id, "fund")), "fund")
        form, file, upload = _receive(request)
        said = _said(form, file)
        validation.check(said, self.schema, rules=_faults)
        kind = kinds.choose(file.mimetype if file else "", _file_name(file))
        kinds.check(kind, upload.path)
        _scan(upload, access, fund_id=fund_id, fund_name=fund_name)
        _store().send(Address(access.business_id, upload.sha256), upload)
        facts = json.dumps([said, kind.media_type, upload.sha256.hex()], sort_keys=True).encode()
        return Sent(Received(_new(said, kind), upload), hashlib.sha256(facts).digest())


def discard(_error: BaseException | None = None) -> None:
    """At the end of each request: what came in and was not kept is removed."""
    for upload in g.pop("uploads", ()):
        upload.discard()


def _receive(request: Request) -> tuple[MultiDict[str, str], FileStorage | None, Incoming]:
    """The fields, and the one file with its content. Raises ContentTooLarge, UnreadableForm or Invalid."""
    store = _store()
    uploads: list[Incoming] = g.setdefault("uploads", [])

    def begin(**_part: Any) -> Incoming:
        if uploads:
            raise Invalid([((FILE,), "must be given once, and be the only file")])
        uploads.append(Incoming(store.incoming))
        return uploads[0]

    storage.sweep(store)
    request.max_content_length = LARGEST_BYTES + FORM_BYTES  # of this request only; of any other it is web.BODY_BYTES
    parser = FormDataParser(begin, max_form_memory_size=FORM_BYTES, max_form_parts=MOST_PARTS, silent=False)  # type: ignore[arg-type]
    try:
        _, form, files = parser.parse(request.stream, MULTIPART, request.content_length, request.mimetype_params)
    except RequestEntityTooLarge:
        raise ContentTooLarge(detail="body too large") from None
    except (ValueError, ClientDisconnected) as error:
        raise UnreadableForm(detail=f"multipart: {type(error).__name__}") from None
    file = files.get(FILE)
    if file is None:
        raise Invalid([((FILE,), "is required, as a part with a file name")])
    if uploads[0].size == 0:
        raise Invalid([((FILE,), "is empty")])
    return form, file, uploads[0]


def _store() -> Store:
    return cast(Store, current_app.extensions["portal-documents"])


def _said(form: MultiDict[str, str], file: FileStorage | None) -> dict[str, Any]:
    """The fields as the schema has them. A field that was left empty is one that was not given, as forms do it."""
    twice = [name for name, values in form.lists() if len(values) > 1 and name != REPEATED]
    if twice:
        raise Invalid(((name,), "must be given once") for name in twice)
    said: dict[str, Any] = {name: value for name, value in form.items() if value or name not in OPTIONAL}
    said[REPEATED] = [tag for tag in form.getlist(REPEATED) if tag]
    said["name"] = filenames.clean(said.get("name") or filenames.last_part(_file_name(file)))
    said[FILE] = ""
    return said


def _faults(said: dict[str, Any]) -> Iterator[Fault]:
    """What no schema can say."""
    if fault := filenames.fault(said["name"]):
        yield ("name",), fault
    if said.get("period_start", "") > said.get("period_end", "9999-12-31"):
        yield ("period_end",), "must not be before period_start"


def _new(said: dict[str, Any], kind: kinds.Kind) -> NewDocument:
    start, end = (date.fromisoformat(said[name]) if name in said else None for name in ("period_start", "period_end"))
    return NewDocument(name=said["name"], type=said["type"], period_start=start, period_end=end, tags=said[REPEATED], kind=kind)


def _file_name(file: FileStorage | None) -> str:
    return (file.filename if file else None) or ""


def _scan(upload: Incoming, access: AccessLookup, **facts: str) -> None:
    """Raises ContentRefused and ScannerUnavailable. That a document was refused is told to the business, and stays told."""
    settings = cast(Settings, current_app.settings)  # type: ignore[attr-defined]
    try:
        scanning.check(upload.path, settings.scan_command, seconds=settings.scan_seconds)
    except scanning.ContentRefused:
        with db.transaction() as session:
            telling.tell(session, objects.partner_of(access), "data.document_refused", now=db.utcnow(), **facts)
        raise
