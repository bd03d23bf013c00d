"""Pages of one's own account: profile, look, password, logins. Second factors are in apps.pipes.pages.factors."""

import zoneinfo
from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.forms import PasswordChangeForm
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST

from apps.pipes import factors, logins, people
from apps.pipes.models import Theme
from apps.pipes.pages.people import actor_of
from apps.pipes.permissions import granted_role, lacks_factor, person_of
from apps.runtime.console import OWN, page
from apps.runtime.problems import Problem


class LookForm(forms.Form):
    """Theme and time zone."""

    theme = forms.ChoiceField(label=gettext_lazy("Theme"), choices=Theme.choices, required=False)
    time_zone = forms.ChoiceField(label=gettext_lazy("Time zone"), required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        zones = sorted(zoneinfo.available_timezones() - {"UTC", "localtime"})
        self.fields["time_zone"].choices = [("", "UTC"), *((zone, zone) for zone in zones)]  # type: ignore[attr-defined]


@page(OWN, confirm=True)
def confirm(request: HttpRequest) -> HttpResponse:
    """`/confirm/?next=…`: asks for the proof, then goes on to a page of this server."""
    wanted = request.GET.get("next", "/")
    return redirect(wanted if url_has_allowed_host_and_scheme(wanted, allowed_hosts=None) else "/")


@page(OWN)
def profile(request: HttpRequest) -> HttpResponse:
    """`/profile/`."""
    user = owner_of(request)
    person, held = person_of(user), factors.kinds(user)
    context = {
        "role": granted_role(user).label,
        "person": person,
        "form": LookForm(initial={"theme": person.theme, "time_zone": person.time_zone} if person else {}),
        "factors": factors.factors_of(user),
        "has_app": factors.Kind.TOTP in held,
        "codes_left": factors.recovery_codes_left(user),
        "lacks_factor": lacks_factor(user),
        "logins": logins.of(user, request.session.session_key),
        "may_use_passkeys": request.is_secure() or request.get_host().partition(":")[0] == "localhost",
    }
    return render(request, "account/profile.html", context)


@require_POST
@page(OWN)
def look(request: HttpRequest) -> HttpResponse:
    """Save theme and time zone."""
    theme, zone = request.POST.get("theme", ""), request.POST.get("time_zone", "")
    return obey(request, lambda: people.save_own_settings(owner_of(request), theme, zone), _("Saved."))


@require_http_methods(["GET", "POST"])
@page(OWN)
def password(request: HttpRequest) -> HttpResponse:
    """`/profile/password/`: the old one, and the new one twice. Other logins end."""
    user = owner_of(request)
    form = PasswordChangeForm(user, request.POST or None)
    if request.method == "POST" and form.is_valid():
        here = request.session.session_key
        people.set_password(actor_of(request), user, form.cleaned_data["new_password1"], keep=here)
        update_session_auth_hash(request, user)
        logins.moved(request, here)
        messages.success(request, _("Your password is changed. Every other login of yours has ended."))
        return redirect("profile")
    context = {"form": form, "heading": _("Change your password"), "words": _("Change it"), "picture": "lock"}
    return render(request, "account/form.html", context, status=422 if form.errors else 200)


@require_POST
@page(OWN)
def end_login(request: HttpRequest, login_id: int) -> HttpResponse:
    """End one login of one's own."""
    return obey(request, lambda: logins.end_one(actor_of(request), owner_of(request), login_id), _("That login has ended."))


@require_POST
@page(OWN)
def end_other_logins(request: HttpRequest) -> HttpResponse:
    """End every login of one's own but this one."""
    here = request.session.session_key
    return obey(request, lambda: people.end_logins(actor_of(request), owner_of(request), but=here), _("Only this login is left."))


def owner_of(request: HttpRequest) -> User:
    """The user whose account this is."""
    return get_object_or_404(User, pk=request.user.pk)


def told(problem: Problem) -> str:
    """A problem in one line."""
    return f"{problem.detail} {problem.fix or ''}".strip()


def obey(request: HttpRequest, order: Callable[[], object], words: str) -> HttpResponse:
    """Carry out an order on one's own account; `words`, or what was the matter, show on the profile."""
    try:
        order()
        messages.success(request, words)
    except Problem as problem:
        messages.error(request, told(problem))
    return redirect("profile")
