"""Bodies of auth and users: snake_case, as the reference has them."""

import unicodedata
from typing import Annotated, Final, Literal

from email_validator import EmailNotValidError, validate_email
from pydantic import AfterValidator, Field, StringConstraints

from persistence.records import UserRecord
from serve.auth.passwords import PASSWORD_BYTES_MAX, PASSWORD_CHARACTERS_MIN, password_bytes
from serve.clock import iso
from serve.schemas.base import SnakeIn, SnakeOut, visible

EMAIL_CHARACTERS_MAX: Final = 254
_LOCAL: Final = ".local"
_STAND_IN: Final = ".example.com"


def valid_email(text: str) -> str:
    """The address in its normal form. Raises `ValueError` with a message that does not repeat it.

    `.local` is a special-use name that the checker refuses and that demo accounts have: the rest of such an address is
    checked as if it ended otherwise.
    """
    domain_is_local = text.lower().endswith(_LOCAL) and "@" in text
    checked = text[: -len(_LOCAL)] + _STAND_IN if domain_is_local else text
    try:
        normal = validate_email(checked, check_deliverability=False).normalized
    except EmailNotValidError:
        raise ValueError("must be an e-mail address") from None
    return normal.removesuffix(_STAND_IN) + _LOCAL if domain_is_local else normal


def email_key(email: str) -> str:
    """What makes two addresses the same account's: case, and how an accented letter is composed, do not count."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", email).casefold())


def login_key(email: str) -> str:
    """`email_key` of an address as somebody types it, who may write its domain in either of its two forms.

    Something that is no address has a key too, which no account has.
    """
    try:
        return email_key(valid_email(email))
    except ValueError:
        return email_key(email)


def _acceptable_password(password: str) -> str:
    if len(password_bytes(password)) > PASSWORD_BYTES_MAX:
        raise ValueError(f"must have at most {PASSWORD_BYTES_MAX} bytes in UTF-8")
    if "\x00" in password:
        raise ValueError("must not have NUL")
    return password


Email = Annotated[
    str,
    StringConstraints(min_length=3, max_length=EMAIL_CHARACTERS_MAX),
    AfterValidator(valid_email),
    Field(examples=["test@example.com"]),
]
NewPassword = Annotated[
    str,
    StringConstraints(min_length=PASSWORD_CHARACTERS_MIN, max_length=PASSWORD_BYTES_MAX),
    AfterValidator(_acceptable_password),
    Field(examples=["test1234"], description="at least 8 characters, at most 72 bytes"),
]
OfferedPassword = Annotated[str, StringConstraints(min_length=1, max_length=1_024), Field(examples=["test1234"])]
PersonName = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$"),
    AfterValidator(visible),
    Field(examples=["Test"]),
]
GuestCartId = Annotated[
    str,
    StringConstraints(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9._:-]+$"),
    Field(examples=["user_123"], description="the guest cart to merge into the account's"),
]
RefreshToken = Annotated[str, StringConstraints(min_length=1, max_length=512)]


class RegisterIn(SnakeIn):
    """Make an account."""

    email: Email
    password: NewPassword
    first_name: PersonName
    last_name: PersonName


class LoginIn(SnakeIn):
    """Prove an account; `cart_id` names a guest cart that joins the account's."""

    # Not checked for form: an address that no account can have is answered as any unknown one.
    email: Annotated[str, StringConstraints(min_length=1, max_length=EMAIL_CHARACTERS_MAX)] = Field(
        examples=["test@example.com"]
    )
    password: OfferedPassword
    cart_id: GuestCartId | None = None


class ValidateIn(SnakeIn):
    """A token to look at, when it is not in the Authorization header."""

    token: Annotated[str, StringConstraints(min_length=1, max_length=4_096)]


class RefreshIn(SnakeIn):
    """A refresh token."""

    refresh_token: RefreshToken


class ProfileIn(SnakeIn):
    """The names of an account."""

    first_name: PersonName
    last_name: PersonName


class ChangePasswordIn(SnakeIn):
    """The old and the new password."""

    current_password: OfferedPassword
    new_password: NewPassword


class UserOut(SnakeOut):
    """An account, as its owner sees it."""

    id: str = Field(examples=["usr_7f9c24e5d1a84b6f9b1e6a0c3d2f4e58"])
    email: str = Field(examples=["test@example.com"])
    first_name: str = Field(examples=["Test"])
    last_name: str = Field(examples=["User"])
    role: str = Field(examples=["customer"])
    created_at: str = Field(examples=["2026-01-31T12:00:00.250Z"])

    @classmethod
    def of(cls, user: UserRecord) -> "UserOut":
        """The account without its secrets."""
        return cls(
            id=user.id,
            email=user.email,
            first_name=user.first_name,
            last_name=user.last_name,
            role=user.role,
            created_at=iso(user.created_at_ms),
        )


class SessionOut(SnakeOut):
    """What logging in gives. `expires_in` is the life of `token` in seconds."""

    user: UserOut
    token: str
    refresh_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - the scheme's name
    expires_in: int = Field(examples=[900])


class ValidateOut(SnakeOut):
    """What a valid token says."""

    valid: Literal[True] = True
    user_id: str
    email: str | None
    role: str
    expires_at: str


class LogoutOut(SnakeOut):
    """The refresh token and all of its family are revoked."""

    logged_out: Literal[True] = True
