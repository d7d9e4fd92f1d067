"""Forms as a browser sends them: found in the page, filled in by name, posted with whatever hidden fields they have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin, urlsplit

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

Values = Mapping[str, str | Iterable[str]]
TEXT_TYPES = ("text", "email", "password", "search", "tel", "url", "number", "hidden", "date")


class FormError(AssertionError):
    """The page does not have what the test wants to fill in or press."""


@dataclass
class Field:
    """One control. `value` is what it sends while `on`; text is always on, a choice when ticked."""

    name: str
    kind: str
    value: str
    on: bool
    disabled: bool


@dataclass
class Form:
    """A form of a page: where it goes, how, and its controls in order."""

    action: str
    method: str
    fields: list[Field] = field(default_factory=list)

    def names(self) -> set[str]:
        return {control.name for control in self.fields}

    def choices(self, name: str) -> list[str]:
        """The values that can be ticked, chosen or pressed under this name."""
        return [control.value for control in self._of(name) if control.kind not in TEXT_TYPES and not control.disabled]

    def ticked(self, name: str) -> list[str]:
        """The values that the page itself has ticked."""
        return [control.value for control in self._of(name) if control.on and not control.disabled]

    def fill(self, values: Values) -> None:
        for name, wanted in values.items():
            controls = [control for control in self._of(name) if not control.disabled]
            if controls and controls[0].kind in TEXT_TYPES:
                controls[0].value = str(wanted)
            else:
                self._choose(name, controls, {wanted} if isinstance(wanted, str) else set(wanted))

    def press(self, button: str | None) -> None:
        """Press the button of this name, or `name=value`. None is for a form whose buttons send nothing of their own."""
        buttons = [control for control in self.fields if control.kind == "submit" and not control.disabled]
        if button is None:
            if len({(control.name, control.value) for control in buttons if control.name}) > 1:
                raise FormError(f"which button? {[f'{b.name}={b.value}' for b in buttons]}")
            return
        for control in buttons:
            if button in (control.name, f"{control.name}={control.value}"):
                control.on = True
                return
        raise FormError(f"no button {button!r} among {[f'{b.name}={b.value}' for b in buttons]}")

    def data(self) -> dict[str, list[str]]:
        """What a browser would send."""
        sent: dict[str, list[str]] = {}
        for control in self.fields:
            if control.name and control.on and not control.disabled:
                sent.setdefault(control.name, []).append(control.value)
        return sent

    def _of(self, name: str) -> list[Field]:
        return [control for control in self.fields if control.name == name]

    def _choose(self, name: str, controls: list[Field], wanted: set[str]) -> None:
        missing = wanted - {control.value for control in controls}
        if missing or not controls:
            raise FormError(f"no field or choice {name}={sorted(missing)} in {self.action}; it has {sorted(self.names())}")
        for control in controls:
            control.on = control.value in wanted


class _Reader(HTMLParser):
    """Collects the forms of a page; a control may stand outside its form and name it with `form=`."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self._by_id: dict[str, Form] = {}
        self._open: Form | None = None
        self._select: str | None = None
        self._select_disabled = False
        self._textarea: Field | None = None
        self._disabled_fieldsets: list[bool] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        has = dict(attributes)
        match tag:
            case "form":
                self._open = Form(has.get("action") or "", (has.get("method") or "get").lower())
                self.forms.append(self._open)
                self._by_id[has.get("id") or ""] = self._open
            case "fieldset":
                self._disabled_fieldsets.append("disabled" in has)
            case "select":
                self._select, self._select_disabled = has.get("name"), "disabled" in has
            case "option" if self._select:
                self._add(
                    has, self._select, "option", has.get("value") or "", on="selected" in has, disabled=self._select_disabled
                )
            case "textarea":
                self._textarea = self._add(has, has.get("name"), "text", "", on=True)
            case "button":
                if has.get("type", "submit") == "submit":
                    self._add(has, has.get("name"), "submit", has.get("value") or "", on=False)
            case "input":
                self._input(has)

    def handle_endtag(self, tag: str) -> None:
        match tag:
            case "form":
                self._open = None
            case "select":
                self._select = None
            case "textarea":
                self._textarea = None
            case "fieldset":
                self._disabled_fieldsets.pop()

    def handle_data(self, data: str) -> None:
        if self._textarea is not None:
            self._textarea.value += data

    def _input(self, has: dict[str, str | None]) -> None:
        kind = has.get("type") or "text"
        choice = kind in ("checkbox", "radio")
        value = has.get("value")
        on = "checked" in has if choice else kind != "submit"
        self._add(has, has.get("name"), kind, value if value is not None else "on" if choice else "", on=on)

    def _add(
        self, has: dict[str, str | None], name: str | None, kind: str, value: str, *, on: bool, disabled: bool = False
    ) -> Field | None:
        form = self._by_id.get(has["form"] or "") if "form" in has else self._open
        disabled = disabled or "disabled" in has or any(self._disabled_fieldsets)
        control = Field(name or "", kind, value, on, disabled)
        if form is not None:
            form.fields.append(control)
        return control


def forms_in(response: TestResponse) -> list[Form]:
    reader = _Reader()
    reader.feed(response.text)
    return reader.forms


def form_in(response: TestResponse, *, having: Iterable[str] = (), action: str | None = None) -> Form:
    """The one form of the page that has these fields and, when given, whose action ends so. The first of several alike."""
    wanted = set(having)
    for form in forms_in(response):
        if wanted <= form.names() and (action is None or form.action.endswith(action)):
            return form
    found = [f"{form.method} {form.action} {sorted(form.names())}" for form in forms_in(response)]
    raise FormError(f"status {response.status_code}: no form with {sorted(wanted)} to {action or 'anywhere'}; there are {found}")


def submit(
    browser: FlaskClient,
    response: TestResponse,
    fields: Values | None = None,
    *,
    button: str | None = None,
    action: str | None = None,
    **options: Any,
) -> TestResponse:
    """Fill in and send a form of this page as a browser would. Raises FormError for a field or choice it does not have.

    `button` is the name of the button to press, or `name=value`; `action` picks a form by the end of its address;
    `options` go to the test client (`follow_redirects=True`, `headers={"HX-Request": "true"}`).
    """
    having = [*(fields or {}), *([button.partition("=")[0]] if button else [])]
    form = form_in(response, having=having, action=action)
    form.fill(fields or {})
    form.press(button)
    parts = urlsplit(urljoin(response.request.url, form.action))
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    if form.method == "get":
        return browser.get(parts.path, query_string=form.data(), **options)
    return browser.post(target, data=form.data(), **options)
