"""Second factors of a person: codes of an app (TOTP), passkeys, recovery codes. Called by login, confirmation and profile pages.

allauth keeps and checks them; its pages are not used, because they are built around e-mail, which an installation need not have.
This module is the only one that knows allauth. Passkeys need the request, which allauth takes from its middleware.
"""

import base64
import json
from collections.abc import Sequence
from typing import Any

from allauth.mfa.adapter import get_adapter
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret, validate_totp_code
from allauth.mfa.webauthn.internal import auth as webauthn
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import transaction

from apps.pipes import audit
from apps.pipes.audit import Actor
from apps.runtime.problems import Conflict, Invalid, NotFound

Kind = Authenticator.Type
FACTORS = (Kind.TOTP, Kind.WEBAUTHN)
LONGEST_CODE = 32
# what reading an answer that a browser did not make may raise
MALFORMED = (ValidationError, ValueError, KeyError, TypeError)
WRONG_CODE = "That code is not right."


def kinds(user: AbstractBaseUser) -> set[str]:
    """Which kinds of factors a person has."""
    return set(Authenticator.objects.filter(user_id=user.pk).values_list("type", flat=True))


def has_factor(user: AbstractBaseUser) -> bool:
    """Whether a person has a second factor; recovery codes alone are none."""
    return not kinds(user).isdisjoint(FACTORS)


def holders(users: Sequence[User]) -> set[int]:
    """The ids of those who have a second factor."""
    found = Authenticator.objects.filter(user__in=[user.pk for user in users], type__in=FACTORS)
    return set(found.values_list("user_id", flat=True))


def factors_of(user: AbstractBaseUser) -> list[Authenticator]:
    """App and passkeys, oldest first; each has `type`, `created_at`, `last_used_at` and a text for people."""
    return list(Authenticator.objects.filter(user_id=user.pk, type__in=FACTORS).order_by("created_at"))


# ---- codes ------------------------------------------------------------------------------------------------------


def new_secret() -> str:
    """A secret for an app that makes codes, as 32 letters and digits."""
    secret: str = generate_totp_secret()
    return secret


def picture_of(user: AbstractBaseUser, secret: str) -> str:
    """The QR code that hands the secret over to the app, as the address of an SVG picture."""
    adapter = get_adapter()
    svg = adapter.build_totp_svg(adapter.build_totp_url(user, secret))
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()


@transaction.atomic
def add_app(actor: Actor, user: User, secret: str, code: str) -> list[str]:
    """Take an app as a factor, when its code is right. Gives recovery codes, if they are the first. Raises Invalid, Conflict."""
    if Kind.TOTP in kinds(user):
        raise Conflict("There is an app already.", fix="Remove it first.")
    if not validate_totp_code(secret, code[:LONGEST_CODE]):
        raise Invalid(WRONG_CODE, field="code", fix="Wait for the next one; check the clock of the phone.")
    TOTP.activate(user, secret)
    audit.record(actor, "factor.add", f"people.{user.username}", after={"kind": "app"})
    return _first_recovery_codes(actor, user)


def check_code(user: AbstractBaseUser, code: str) -> bool:
    """Whether this is a code of the person's app, or one of the recovery codes; each is good once."""
    if not 0 < len(code) <= LONGEST_CODE:
        return False
    for factor in Authenticator.objects.filter(user_id=user.pk, type__in=(Kind.TOTP, Kind.RECOVERY_CODES)):
        if factor.wrap().validate_code(code):
            factor.refresh_from_db()
            factor.record_usage()
            return True
    return False


@transaction.atomic
def new_recovery_codes(actor: Actor, user: User) -> list[str]:
    """Ten codes for the day the phone is lost; older ones are good no more. Raises Conflict without a factor."""
    if not has_factor(user):
        raise Conflict("Recovery codes stand in for a second factor, and there is none.", fix="Add an app or a passkey first.")
    Authenticator.objects.filter(user_id=user.pk, type=Kind.RECOVERY_CODES).delete()
    audit.record(actor, "factor.recovery_codes", f"people.{user.username}")
    codes: list[str] = RecoveryCodes.activate(user).generate_codes()
    return codes


def recovery_codes_left(user: AbstractBaseUser) -> int:
    """How many recovery codes are unused."""
    row = Authenticator.objects.filter(user_id=user.pk, type=Kind.RECOVERY_CODES).first()
    return len(row.wrap().get_unused_codes()) if row else 0


# ---- passkeys ---------------------------------------------------------------------------------------------------


def passkey_options(user: User) -> dict[str, Any]:
    """What the browser needs to make a passkey; the challenge is kept in the session."""
    options: dict[str, Any] = webauthn.begin_registration(user, False)
    return options


@transaction.atomic
def add_passkey(actor: Actor, user: User, name: str, answer: str) -> list[str]:
    """Take a passkey as a factor. Gives the recovery codes, if they are the first. Raises Invalid."""
    credential = _answer(answer)
    try:
        webauthn.parse_registration_response(credential)
        webauthn.complete_registration(credential)
    except MALFORMED as error:
        raise Invalid("The browser's answer does not fit.", field="answer", fix="Try again.") from error
    webauthn.WebAuthn.add(user, name, credential)
    audit.record(actor, "factor.add", f"people.{user.username}", after={"kind": "passkey", "name": name})
    return _first_recovery_codes(actor, user)


def challenge(user: AbstractBaseUser) -> dict[str, Any]:
    """What the browser needs to prove a passkey of the person; it is kept in the session."""
    options: dict[str, Any] = webauthn.begin_authentication(user)
    return options


def check_passkey(user: AbstractBaseUser, answer: str) -> bool:
    """Whether this answers the last challenge with a passkey of the person."""
    try:
        credential = _answer(answer)
        webauthn.parse_authentication_response(credential)
        factor = webauthn.complete_authentication(user, credential)
    except (Invalid, *MALFORMED):
        return False
    factor.record_usage()
    return True


def _answer(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise Invalid("The browser sent no passkey.", field="answer", fix="Try again.")
    return found


# ---- away with them ---------------------------------------------------------------------------------------------


@transaction.atomic
def remove(actor: Actor, user: User, factor_id: int) -> None:
    """Take one factor away; recovery codes go with the last. Raises NotFound."""
    factor = Authenticator.objects.filter(pk=factor_id, user_id=user.pk, type__in=FACTORS).first()
    if factor is None:
        raise NotFound("There is no such second factor.")
    audit.record(actor, "factor.remove", f"people.{user.username}", before={"kind": factor.type, "name": str(factor)})
    factor.delete()
    if not has_factor(user):
        Authenticator.objects.filter(user_id=user.pk).delete()


@transaction.atomic
def reset(actor: Actor, user: User) -> int:
    """Take every factor of a person away (the phone is lost). How many."""
    held = len(factors_of(user))
    Authenticator.objects.filter(user_id=user.pk).delete()
    audit.record(actor, "factor.reset", f"people.{user.username}", before={"factors": held})
    return held


def _first_recovery_codes(actor: Actor, user: User) -> list[str]:
    return [] if Kind.RECOVERY_CODES in kinds(user) else new_recovery_codes(actor, user)
