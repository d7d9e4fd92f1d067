"""The documents of the demo: small, made here byte by byte, and real enough for any reader to open."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import insert
from sqlalchemy.orm import Session

from portal.db import table_of
from portal.demo.chance import Chance
from portal.demo.portfolio import Rows
from portal.funds.models import Document
from portal.funds.storage import Address, Incoming, Store

FUNDS_WITH_DOCUMENTS = 8
"""Of each business, the first by name: those that people see first."""

PAGE = "BT /F1 14 Tf 56 780 Td 20 TL {lines} ET"


def add(session: Session, store: Store, funds: Rows, chance: Chance, *, now: datetime) -> int:
    """Put some documents into the funds that come first, and return how many. Raises StoreUnavailable."""
    rows: Rows = []
    for fund in _first_of_each_business(funds):
        for facts, content in _of_fund(fund, chance, now.date()):
            upload = Incoming(store.incoming)
            try:
                upload.write(content)
                upload.seek(0)
                store.keep(Address(fund["business_id"], upload.sha256), upload)
            finally:
                upload.discard()
            uploaded_at = now - timedelta(days=chance.random.randint(1, 300), minutes=chance.random.randint(0, 1439))
            rows.append(
                {
                    "id": chance.new_id(uploaded_at), "fund_id": fund["id"], "size": upload.size, "sha256": upload.sha256,
                    "uploaded_at": uploaded_at, "version": 1, **facts,
                }
            )  # fmt: skip
    session.execute(insert(table_of(Document)), rows)
    return len(rows)


def _first_of_each_business(funds: Rows) -> Iterator[dict[str, Any]]:
    seen: dict[str, int] = {}
    for fund in sorted(funds, key=lambda fund: str(fund["name"])):
        number = seen[fund["business_id"]] = seen.get(fund["business_id"], 0) + 1
        if number <= FUNDS_WITH_DOCUMENTS:
            yield fund


def _of_fund(fund: dict[str, Any], chance: Chance, today: date) -> Iterator[tuple[dict[str, Any], bytes]]:
    """What is known of each document, and its content."""
    year = today.year if today.month > 6 else today.year - 1
    period = {"period_start": date(year - 1, 7, 1), "period_end": date(year, 6, 30)}
    titles: tuple[tuple[str, str, list[str]], ...] = (
        ("annual_return", "Annual return", ["lodged"]),
        ("minutes", "Minutes of the trustees’ meeting", []),
    )
    for kind, title, tags in titles:
        content = pdf(fund["name"], f"{title} {year}", "This document is made up for the demo.")
        yield {"name": f"{title} {year}", "type": kind, "tags": tags, "media_type": "application/pdf", **period}, content
    lines = [f"{date(year, month, 28)},Interest,{chance.amount(40, 900)}" for month in range(1, 7)]
    statement = "\r\n".join(["Date,Description,Amount", *lines, ""])
    facts = {"name": f"Bank statement {year}.csv", "type": "bank_statement", "tags": [], "media_type": "text/csv", **period}
    yield facts, f"# {fund['name']}\r\n{statement}".encode()


def pdf(*lines: str) -> bytes:
    """One page with these lines (ISO 32000-1 §7.5)."""
    shown = " T* ".join(f"<{line.encode('cp1252', 'replace').hex()}> Tj" for line in lines)
    drawing = PAGE.format(lines=shown)
    objects = (
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
        f"<< /Length {len(drawing)} >>\nstream\n{drawing}\nendstream",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    )
    written, places = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, start=1):
        places.append(len(written))
        written += f"{number} 0 obj\n{content}\nendobj\n".encode()
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    count = len(objects) + 1
    end = f"xref\n0 {count}\n0000000000 65535 f \n{table}trailer\n<< /Size {count} /Root 1 0 R >>\nstartxref\n{len(written)}\n%%EOF\n"
    return written + end.encode()
