"""The forms of this room: what may be typed, and what to say when it was something else.

Flask-WTF checks the CSRF token of every request before a view is reached, so the forms themselves do not.
"""

from __future__ import annotations

from flask import request
from flask_wtf import FlaskForm
from wtforms import Field, PasswordField, StringField
from wtforms.validators import InputRequired, StopValidation

from portal.accounts import users

EMAIL_SHAPE = "Enter an email address, such as name@example.com."


class EmailAddress:
    """Normalises the address in place, or says what one looks like."""

    def __call__(self, form: FlaskForm, field: Field) -> None:
        typed = (field.data or "").strip()
        if not typed:
            raise StopValidation("Enter your email.")
        if len(typed) > users.MAX_EMAIL_LENGTH:
            field.data = ""  # nobody types that, and it need not be sent back
            raise StopValidation(EMAIL_SHAPE)
        normal = users.normalise_email(typed)
        if normal is None:
            raise StopValidation(EMAIL_SHAPE)
        field.data = normal


class PostedForm(FlaskForm):  # type: ignore[misc]
    """A form filled from the body of the request alone, never from JSON or a file."""

    class Meta:
        csrf = False

    @classmethod
    def posted(cls) -> PostedForm:
        return cls(request.form)

    @property
    def problems(self) -> list[tuple[str | None, str]]:
        """What is wrong, for the summary on top of the page: the field's id, if it is one field, and the words."""
        return [(None, words) for words in self.form_errors] + [
            (name, field.errors[0]) for name, field in self._fields.items() if field.errors
        ]


class SignInForm(PostedForm):
    email = StringField("Email", validators=[EmailAddress()])
    password = PasswordField("Password", validators=[InputRequired("Enter your password.")])


class CodeForm(PostedForm):
    code = StringField("Authentication code", validators=[InputRequired("Enter the code.")])


class PasswordForm(PostedForm):
    current = PasswordField("Current password", validators=[InputRequired("Enter your current password.")])
    new = PasswordField("New password", validators=[InputRequired("Choose a new password.")])
    again = PasswordField("New password again", validators=[InputRequired("Type the new password again.")])
