"""What a person may order from the console: run a phase, hand leadership over, end a session, cancel or retry a job, scan a path.

Each action asks for its verb, calls one service, says what came of it, and goes back to the page it came from.
"""

import uuid
from collections.abc import Callable

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from apps.pipes.models import Agent, Pipe
from apps.pipes.pages.people import actor_of
from apps.pipes.permissions import Verb
from apps.pipes.services import pause_pipe
from apps.runtime import clock
from apps.runtime.console import page
from apps.runtime.problems import Invalid, Problem
from apps.sessions.models import Job, Leadership, Session
from apps.sessions.services import agents, jobs, leadership, phases, retries, scans, sessions
from apps.views import audits, services
from apps.views.models import Audit
from apps.views.pages.place import place_of
from apps.views.ports import ports
from fustor_schema import paths

RUNNABLE = (Job.Kind.SNAPSHOT, Job.Kind.AUDIT, Job.Kind.SENTINEL)


def _told(request: HttpRequest, back: str, order: Callable[[str], str]) -> HttpResponse:
    """Carry out an order in the person's name; its words, or what was the matter, show on the next page."""
    try:
        messages.success(request, order(request.user.get_username()))
    except Problem as problem:
        messages.error(request, f"{problem.detail} {problem.fix or ''}".strip())
    return redirect(back)


@require_POST
@page(Verb.RUN)
def run_phase(request: HttpRequest, slug: str) -> HttpResponse:
    """Run a snapshot, an audit or a sentinel check on the pipe's leader now."""
    pipe = get_object_or_404(Pipe, slug=slug)
    wanted = request.POST.get("kind", "")

    def order(actor: str) -> str:
        if wanted not in RUNNABLE:
            raise Invalid(f"{wanted or 'nothing'} is no phase that can be run.", field="kind")
        job = phases.run_now(pipe, Job.Kind(wanted), actor)
        return _("%(kind)s ordered; it is among the jobs below.") % {"kind": job.get_kind_display()}

    return _told(request, f"/pipes/{slug}/", order)


@require_POST
@page(Verb.CONTROL)
def pause(request: HttpRequest, slug: str) -> HttpResponse:
    """Let a pipe refuse events for a while, or go on; agents keep what they see meanwhile."""
    pipe = get_object_or_404(Pipe, slug=slug)
    paused = request.POST.get("paused") == "yes"

    def order(actor: str) -> str:
        pause_pipe(pipe, paused=paused, actor=actor_of(request))
        return _("%(pipe)s is paused.") % {"pipe": slug} if paused else _("%(pipe)s goes on.") % {"pipe": slug}

    return _told(request, f"/pipes/{slug}/", order)


@require_POST
@page(Verb.CONTROL)
def hand_over(request: HttpRequest, number: int) -> HttpResponse:
    """Make this session the leader of every scope that its pipe feeds and that another session leads."""
    session = get_object_or_404(Session.objects.select_related("pipe"), number=number)

    def order(actor: str) -> str:
        terms = Leadership.objects.filter(session__pipe=session.pipe).exclude(session=session).select_related("tree")
        with transaction.atomic():
            done = [leadership.hand_over(term.tree, session, actor) for term in terms.order_by("tree_id")]
        if not done:
            raise Invalid(f"There is nothing to hand over: no other session of {session.pipe.slug} leads.")
        return _("%(task)s leads now.") % {"task": session.task_id}

    return _told(request, f"/sessions/{number}/", order)


@require_POST
@page(Verb.CONTROL)
def end_session(request: HttpRequest, number: int) -> HttpResponse:
    """End a session; its agent opens a new one with its next heartbeat."""
    session = get_object_or_404(Session, number=number)

    def order(actor: str) -> str:
        if not sessions.end(session, Session.EndCause.ENDED):
            raise Invalid(f"The session of {session.task_id} was over already.")
        return _("The session of %(task)s is ended.") % {"task": session.task_id}

    return _told(request, f"/sessions/{number}/", order)


@require_POST
@page(Verb.CONTROL)
def reload_agent(request: HttpRequest, slug: str) -> HttpResponse:
    """Have an agent fetch the configuration that it should run."""
    agent = get_object_or_404(Agent, slug=slug)

    def order(actor: str) -> str:
        agents.order_reload(agent, actor)
        return _("%(agent)s fetches its configuration with its next heartbeat.") % {"agent": slug}

    return _told(request, f"/agents/{slug}/", order)


@require_POST
@page(Verb.CONFIGURE)
def upgrade_agent(request: HttpRequest, slug: str) -> HttpResponse:
    """Have an agent run the upgrade command of its own host."""
    agent = get_object_or_404(Agent, slug=slug)

    def order(actor: str) -> str:
        agents.order_upgrade(agent, actor_of(request))
        return _("%(agent)s upgrades itself; how that ends shows here.") % {"agent": slug}

    return _told(request, f"/agents/{slug}/", order)


@require_POST
@page(Verb.RUN)
def cancel_job(request: HttpRequest, job_id: uuid.UUID) -> HttpResponse:
    """Ask for the end of a job."""
    job = get_object_or_404(Job, pk=job_id)

    def order(actor: str) -> str:
        jobs.cancel(job, actor)
        return _("The job is being cancelled.")

    return _told(request, f"/jobs/{job_id}/", order)


@require_POST
@page(Verb.RUN)
def retry_job(request: HttpRequest, job_id: uuid.UUID) -> HttpResponse:
    """Run an ended job again; goes to the new one."""
    job = get_object_or_404(Job.objects.select_related("tree"), pk=job_id)
    try:
        again = retries.retry(job, request.user.get_username())
    except Problem as problem:
        messages.error(request, f"{problem.detail} {problem.fix or ''}".strip())
        return redirect("job", job_id=job_id)
    messages.success(request, _("The job runs again."))
    return redirect("job", job_id=again.pk)


@require_POST
@page(Verb.RUN)
def scan(request: HttpRequest, slug: str) -> HttpResponse:
    """Have the leaders of a view look at a path again."""
    place = place_of(request, slug)

    def order(actor: str) -> str:
        scans.request_scan(place.view, place.key, True, actor, Job.Trigger.PERSON)
        return _("A scan of %(path)s is ordered; what it finds shows up by itself.") % {"path": paths.display(place.key)}

    where = "inspect" if request.POST.get("from") == "inspect" else "tree"
    return _told(request, f"/views/{slug}/{where}/?{request.META.get('QUERY_STRING', '')}", order)


@require_POST
@page(Verb.RUN)
def close_blind_spots(request: HttpRequest, slug: str) -> HttpResponse:
    """A person has seen to the blind spots at a path, or with `all` to every one of the view; of the member that was chosen."""
    place = place_of(request, slug)
    wanted = None if "all" in request.POST else [place.key]

    def order(actor: str) -> str:
        with transaction.atomic():
            closed = services.close_blind_spots(place.view, wanted, actor, place.scope or None)
            ports.record(request, actor, "view.close_blind_spots", f"views.{slug}")
        if not closed:
            return _("No blind spot is open there any more.")
        return ngettext("%(count)s blind spot is closed.", "%(count)s blind spots are closed.", closed) % {"count": closed}

    where = "inspect" if request.POST.get("from") == "inspect" else "consistency"
    query = request.META.get("QUERY_STRING", "") if where == "inspect" else "show=blind-spots"
    return _told(request, f"/views/{slug}/{where}/?{query}", order)


@require_POST
@page(Verb.RUN)
def approve_audit(request: HttpRequest, slug: str, audit_id: int) -> HttpResponse:
    """Carry out the deletions that the brake held back (R21)."""
    place = place_of(request, slug)
    audit = get_object_or_404(Audit, pk=audit_id, tree__view=place.view)

    def order(actor: str) -> str:
        with transaction.atomic():
            done = audits.approve(audit, actor, clock.now_ms())
        return _("Approved: %(count)s nodes deleted.") % {"count": done.deleted}

    return _told(request, f"/views/{slug}/consistency/", order)
