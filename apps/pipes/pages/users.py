"""Users and roles: list, invite or make, change role, switch off, end logins, new link, reset second factor, delete."""

from collections.abc import Callable, Sequence
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.models import User
from django.core.paginator import Paginator
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST

from apps.pipes import factors, logins, people
from apps.pipes.models import Role
from apps.pipes.pages.account import told
from apps.pipes.pages.people import actor_of
from apps.pipes.permissions import Verb, granted_role
from apps.runtime.console import page
from apps.runtime.problems import NotFound, Problem
from apps.views.models import View

PAGE_SIZE = 50
STATES = {"active": Q(is_active=True), "off": Q(is_active=False)}


class RoleForm(forms.Form):
    """What a person may do, and for a viewer where."""

    role = forms.ChoiceField(label=gettext_lazy("Role"), choices=Role.choices, initial=Role.VIEWER)
    restricted = forms.BooleanField(
        label=gettext_lazy("Only the views chosen here"), required=False, help_text=gettext_lazy("For viewers only.")
    )
    views = forms.ModelMultipleChoiceField(
        View.objects.order_by("slug"), label=gettext_lazy("Views"), required=False, widget=forms.CheckboxSelectMultiple
    )

    def wanted_views(self) -> Sequence[View] | None:
        """The views as the service takes them: None is all."""
        return list(self.cleaned_data["views"]) if self.cleaned_data["restricted"] else None


class UserForm(RoleForm):
    """A new user; without a password here there is a link at which the person sets one."""

    username = forms.RegexField(r"^[\w.@+-]+$", label=gettext_lazy("User name"), max_length=150)
    password = forms.CharField(
        label=gettext_lazy("Password"),
        required=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=gettext_lazy("Leave it empty to get a link, good once, at which the person sets a password of their own."),
    )
    field_order = ("username", "password", "role", "restricted", "views")


@page(Verb.PEOPLE)
def users(request: HttpRequest) -> HttpResponse:
    """`/people/`: by name, with role, second factor and last login."""
    state, role, words = request.GET.get("state", "active"), request.GET.get("role", ""), request.GET.get("q", "").strip()
    matching = User.objects.filter(username__icontains=words).select_related("person").prefetch_related("person__views")
    if role in Role.values:
        matching = matching.filter(_has_role(role))
    found = matching.filter(STATES.get(state, Q())).order_by("username")
    chunk = Paginator(found, PAGE_SIZE).get_page(request.GET.get("page"))
    context = {
        "chunk": chunk,
        "rows": _rows(list(chunk)),
        "words": words,
        "state": state,
        "states": [(name, matching.filter(condition).count()) for name, condition in STATES.items()],
        "role": role,
        "roles": [(value, label.partition(":")[0]) for value, label in Role.choices],
    }
    return render(request, "people/list.html", context)


@require_http_methods(["GET", "POST"])
@page(Verb.PEOPLE, confirm=True)
def create(request: HttpRequest) -> HttpResponse:
    """`/people/new/`."""
    form = UserForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        who = (actor_of(request), given["username"])
        terms = (given["role"], form.wanted_views())
        try:
            if not given["password"]:
                user, path = people.invite(*who, *terms)
                return _link_shown(request, user, path)
            people.create(*who, given["password"], *terms)
        except Problem as problem:
            form.add_error(problem.field if problem.field in form.fields else None, told(problem))
        else:
            messages.success(request, _("%(name)s can log in now.") % {"name": given["username"]})
            return redirect("user", given["username"])
    return render(request, "people/form.html", {"form": form}, status=422 if form.errors else 200)


@require_http_methods(["GET", "POST"])
@page(Verb.PEOPLE, confirm=True)
def user(request: HttpRequest, username: str) -> HttpResponse:
    """`/people/<name>/`: role and views, logins, and what an admin may do about them."""
    person = _existing(username)
    now = people.describe(person)
    initial = {
        "role": now["role"],
        "restricted": now["views"] is not None,
        "views": View.objects.filter(slug__in=now["views"] or []),
    }
    form = RoleForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            people.change_role(actor_of(request), person, form.cleaned_data["role"], form.wanted_views())
        except Problem as problem:
            form.add_error(problem.field if problem.field in form.fields else None, told(problem))
        else:
            messages.success(request, _("%(name)s is %(role)s now.") % {"name": username, "role": granted_role(person).label})
            return redirect("user", username)
    context = {
        "person": person,
        "now": now,
        "role": granted_role(person).label,
        "form": form,
        "logins": logins.of(person),
        "factors": factors.factors_of(person),
        "is_self": person.pk == request.user.pk,
    }
    return render(request, "people/detail.html", context, status=422 if form.errors else 200)


@require_POST
@page(Verb.PEOPLE, confirm=True)
def switch(request: HttpRequest, username: str) -> HttpResponse:
    """Let a user log in, or not."""
    active = request.POST.get("active") == "yes"
    words = _("%(name)s may log in.") if active else _("%(name)s may not log in any more, and every login has ended.")
    return _told(request, username, lambda person: people.switch(actor_of(request), person, active=active), words)


@require_POST
@page(Verb.PEOPLE, confirm=True)
def end_logins(request: HttpRequest, username: str) -> HttpResponse:
    """Log a user out everywhere."""
    return _told(
        request, username, lambda person: people.end_logins(actor_of(request), person), _("%(name)s is logged out everywhere.")
    )


@require_POST
@page(Verb.PEOPLE, confirm=True)
def reset_factor(request: HttpRequest, username: str) -> HttpResponse:
    """Take every second factor of a user away."""
    words = _("%(name)s logs in with the password alone until there is a new second factor.")
    return _told(request, username, lambda person: factors.reset(actor_of(request), person), words)


@require_POST
@page(Verb.PEOPLE, confirm=True)
def new_link(request: HttpRequest, username: str) -> HttpResponse:
    """A link at which a user sets a new password; shown once."""
    person = _existing(username)
    return _link_shown(request, person, people.new_link(actor_of(request), person))


@require_POST
@page(Verb.PEOPLE, confirm=True)
def delete(request: HttpRequest, username: str) -> HttpResponse:
    """Delete a user for good."""
    person = _existing(username)
    try:
        people.delete(actor_of(request), person)
    except Problem as problem:
        messages.error(request, told(problem))
        return redirect("user", username)
    messages.success(request, _("%(name)s is deleted.") % {"name": username})
    return redirect("users")


def _existing(username: str) -> User:
    try:
        return people.find(username)
    except NotFound as problem:
        raise Http404(problem.detail) from problem


def _told(request: HttpRequest, username: str, order: Callable[[User], object], words: str) -> HttpResponse:
    try:
        order(_existing(username))
        messages.success(request, words % {"name": username})
    except Problem as problem:
        messages.error(request, told(problem))
    return redirect("user", username)


def _link_shown(request: HttpRequest, person: User, path: str) -> HttpResponse:
    response = render(request, "people/link.html", {"person": person, "link": request.build_absolute_uri(path)})
    response.headers["Cache-Control"] = "no-store"
    return response


def _rows(found: Sequence[User]) -> list[dict[str, Any]]:
    holders = factors.holders(found)
    return [{"user": row, "role": granted_role(row).label.partition(":")[0], "factor": row.pk in holders} for row in found]


def _has_role(role: str) -> Q:
    if role == Role.ADMIN:
        return Q(is_superuser=True)
    plain = Q(is_superuser=False, person__role=role)
    return plain | Q(is_superuser=False, person=None) if role == Role.VIEWER else plain
