"""Pages of the frame: log in, log out, locked out. Named by fustor_site.urls and by settings."""

from typing import Any

from axes.helpers import get_cool_off, get_failure_limit
from django.contrib import messages
from django.contrib.auth import login
from django.contrib.auth.forms import AuthenticationForm, SetPasswordForm
from django.contrib.auth.models import User
from django.contrib.auth.views import INTERNAL_RESET_SESSION_TOKEN, LoginView, PasswordResetConfirmView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse_lazy
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from apps.pipes import factors, people, second_step
from apps.pipes.pages.people import actor_named
from apps.runtime import clock

# a right password waits in the session for the second factor
HELD = "login_held"
HELD_SECONDS = 600


class LoginForm(AuthenticationForm):
    """User name and password, in the look of the console."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.widget.attrs["class"] = "form-control"


class NewPasswordForm(SetPasswordForm):  # type: ignore[type-arg]  # generic in the stubs only
    """The new password, twice, in the look of the console."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.widget.attrs["class"] = "form-control"


class Login(LoginView):
    """Log in; whoever is logged in already goes on to the overview."""

    template_name = "account/login.html"
    authentication_form = LoginForm
    redirect_authenticated_user = True

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        """The password is right: log in, or ask for the second factor of a person who has one."""
        user = form.get_user()
        if not factors.has_factor(user):
            return super().form_valid(form)
        self.request.session[HELD] = {
            "user": user.pk,
            "password": user.get_session_auth_hash(),
            "backend": user.backend,
            "until": clock.now() + HELD_SECONDS,
            "next": self.get_success_url(),
        }
        return redirect("second_step")


@never_cache
@require_http_methods(["GET", "POST"])
def second(request: HttpRequest) -> HttpResponse:
    """`/login/second/`: a code or a passkey, from whoever gave the right password a moment ago."""
    held, user = request.session.get(HELD), _held_user(request)
    if held is None or user is None:
        request.session.pop(HELD, None)
        return redirect("login")
    code, passkey = request.POST.get("code", ""), request.POST.get("passkey", "")
    if request.method == "POST" and second_step.check(request, user, code, passkey):
        del request.session[HELD]
        login(request, user, backend=held["backend"])
        return redirect(held["next"])
    error = _("That is not right. Try again.") if request.method == "POST" else ""
    return render(request, "account/second.html", {"error": error, "name": user.get_username(), **second_step.ways(user)})


def _held_user(request: HttpRequest) -> User | None:
    held = request.session.get(HELD)
    if held is None or held["until"] < clock.now():
        return None
    user = User.objects.filter(pk=held["user"], is_active=True).first()
    return user if user and constant_time_compare(user.get_session_auth_hash(), held["password"]) else None


class SetPassword(PasswordResetConfirmView):
    """`/invitation/…`: the first password of somebody who was invited, or a new one in place of a lost one.

    Django moves the token from the address into the session before the form shows, so it is in no log and no referrer.
    """

    template_name = "account/set_password.html"
    form_class = NewPasswordForm
    success_url = reverse_lazy("login")

    def form_valid(self, form: "SetPasswordForm[User]") -> HttpResponse:
        """Through the service: it ends other logins and is on record."""
        user = form.user
        people.set_password(actor_named(self.request, user.username), user, form.cleaned_data["new_password1"])
        del self.request.session[INTERNAL_RESET_SESSION_TOKEN]
        messages.success(self.request, _("The password is set. Log in with it."))
        return redirect("login")


def locked_out(request: HttpRequest, response: HttpResponse | None, credentials: dict[str, Any]) -> HttpResponse:
    """Answer for a user and address with too many wrong passwords (settings.AXES_LOCKOUT_CALLABLE)."""
    cool_off = get_cool_off(request)
    minutes = max(1, round(cool_off.total_seconds() / 60)) if cool_off else 60
    context = {"failure_limit": get_failure_limit(request, credentials), "minutes": minutes}
    return render(request, "account/locked_out.html", context, status=429)
