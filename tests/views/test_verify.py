"""`verify_view` finds and repairs what is derived."""

import pytest
from django.core.management import CommandError, call_command

from apps.views import verify
from apps.views.models import Directory, File, OwnerTotal, Tree
from tests.views.conftest import Bench, d, f


@pytest.fixture
def filled(bench: Bench) -> Bench:
    agent = bench.session(protocol=3)
    bench.sn(agent, d("/a"), f("/a/x", 5.0, 7, uid=3), d("/a/b"), f("/a/b/y", 9.0, 4, uid=3), end=True)
    bench.rt(agent, f("/a/partial", is_atomic_write=False))
    bench.rm(agent, "/gone")
    return bench


def test_a_tree_as_the_engine_leaves_it_has_no_fault(filled: Bench) -> None:
    assert verify.verify(filled.tree.pk) == []
    call_command("verify_view", "v")


def test_wrong_totals_are_found_and_repaired(filled: Bench) -> None:
    Directory.objects.filter(path="/a").update(total_files=99, newest_mtime=1.0)
    OwnerTotal.objects.filter(directory__path="/").update(bytes=1)
    Tree.objects.update(tombstone_count=40)
    with pytest.raises(CommandError, match="3 faults"):
        call_command("verify_view")
    call_command("verify_view", "--repair")
    assert verify.verify(filled.tree.pk) == []


def test_a_directory_that_hangs_nowhere_is_found_and_removed(filled: Bench) -> None:
    Directory.objects.filter(path="/a/b").update(parent=None)
    assert [fault.path for fault in verify.verify(filled.tree.pk)][:1] == ["/a/b"]
    verify.verify(filled.tree.pk, repair=True)
    assert verify.verify(filled.tree.pk) == []
    assert "/a/b/y" not in filled.names()


def test_a_flag_without_its_record_is_found(filled: Bench) -> None:
    File.objects.filter(name="x").update(flags=1)
    assert [fault.what for fault in verify.verify(filled.tree.pk)] == ["flagged as suspect and not listed"]


def test_an_unknown_view_is_said(filled: Bench) -> None:
    with pytest.raises(CommandError, match="no view nowhere"):
        call_command("verify_view", "nowhere")
