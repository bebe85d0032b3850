"""The scenarios S01 to S35 of the protocol's model, written anew against the real code.

Each function tells one story by its name and its first line; it passes when no invariant is broken on the way and none
after everything has settled. `without` names the rules of `rules.py` of which the story shows what they are for.
The grace is 60 minutes, half of it 30, clears stay for 600.
"""

from collections.abc import Callable
from dataclasses import dataclass

from tests.bucket.protocol.script import Script
from tests.bucket.protocol.world import Setup

Story = Callable[[Script], None]


@dataclass(frozen=True)
class Scenario:
    name: str
    story: Story
    setup: Setup
    without: tuple[str, ...]  # rules: taken out together, the story breaks an invariant

    def tell(self, script: Script) -> None:
        """The story, and how everything settles after it. Raises Violation."""
        self.story(script)
        script.settle()


SCENARIOS: dict[str, Scenario] = {}
THREE = Setup((0, 0, 0))
EARLY = Setup((900, 0))
"""The first machine's clock runs ahead, as little as a server's whole seconds cannot tell."""


def scenario(number: str, *without: str, setup: Setup = THREE) -> Callable[[Story], Story]:
    def kept(story: Story) -> Story:
        SCENARIOS[number] = Scenario(story.__name__, story, setup, without)
        return story

    return kept


# -- what comes back ----------------------------------------------------------------------------------------------


def lost_and_deleted_elsewhere(s: Script) -> None:
    """Machine 0 publishes a file and never hears of it; machine 1 sees it and deletes the job."""
    s.write(0, "j/p", 0)
    s.begin(0, "publish", before="Put")
    s.lose_answer(0, "publish")
    s.refresh(1)
    s.remove_job(1)
    s.second()
    s.publish(1)


@scenario("S01", "keep30")
def answer_lost_deleted_elsewhere_clear_gone_early_retry(s: Script) -> None:
    """Were the clear gone, the repeat of the unanswered PUT would bring back what it deleted."""
    lost_and_deleted_elsewhere(s)
    for _ in range(3):
        s.merge(1)
        s.minutes(61)
    s.publish(0)


@scenario("S02", "sweep_merge")
def answer_lost_deleted_elsewhere_job_emptied_after_the_grace_retry(s: Script) -> None:
    """An emptied job that went after the grace would take its clears along."""
    lost_and_deleted_elsewhere(s)
    s.merge(1)
    for _ in range(3):
        s.sweep(1)
        s.minutes(61)
    s.publish(0)


def clear_gone_by_right(s: Script) -> None:
    lost_and_deleted_elsewhere(s)
    s.merge(1)
    s.minutes(661)
    s.merge(1)
    s.minutes(61)
    s.merge(1)


@scenario("S03", "set_aside")
def answer_lost_deleted_elsewhere_retry_after_the_clear_has_gone_by_right(s: Script) -> None:
    """What waited for longer than clears stay is not published as it is."""
    clear_gone_by_right(s)
    s.publish(0)


@scenario("S04", "tried_aside")
def the_path_looks_unchanged_but_a_put_was_begun(s: Script) -> None:
    """Nor is it stamped anew: it may have landed, and been deleted since, and no trace of both is left."""
    clear_gone_by_right(s)
    s.publish(0)


@scenario("S05", "sweep_merge", setup=EARLY)
def emptying_a_job_dies_in_the_middle_clear_gone_first(s: Script) -> None:
    """Of the bundles of an emptied job the clears would go first, and what they cleared be back."""
    s.write(0, "j/p", 0)
    s.publish(0)
    s.refresh(1)
    s.remove_job(1)
    s.publish(1)
    s.sweep(1)
    s.minutes(61)
    s.world.apply(("start", 1, "sweep", "j"))
    s.world.apply(("before", 1, ("sweep", "j"), "Delete", 2))
    s.kill(1)


@scenario("S17", "clear_void", setup=EARLY)
def a_clear_and_what_it_voids_leave_in_one_merge_that_dies(s: Script) -> None:
    """A clear goes only when nothing is left that it voids, in the bucket and not only in the merge."""
    s.write(0, "j/p", 0)
    s.publish(0)
    s.refresh(1)
    s.unlink(1, "j/p")
    s.publish(1)
    s.minutes(661)
    s.begin(1, "merge", before="Delete", count=2)
    s.kill(1)


@scenario("S18", "clear_all")
def a_merge_of_some_bundles_drops_a_clear_that_voids_something_in_another(s: Script) -> None:
    """All manifests of the job decide whether a clear may go, not only those that are merged."""
    s.write(0, "j/p", 0)
    s.publish(0)
    s.refresh(1)
    s.second()
    s.unlink(1, "j/p")
    s.publish(1)
    s.second()
    s.write(1, "j/q", 2)
    s.publish(1)
    s.minutes(661)
    s.merge(1, part=6)


# -- merges that overlap --------------------------------------------------------------------------------------------


@scenario("S06", "keep_dups")
def two_merges_each_leave_out_the_duplicate(s: Script) -> None:
    """A merge carries every content of its sources: the other copy may be leaving in another merge."""
    for machine, content in ((0, 0), (1, 0), (0, 2)):
        s.write(machine, "j/p" if machine == 0 and content == 0 else "j/q", content)
        s.publish(machine)
        s.second()
    s.chmod(1, "j/q", 3)
    s.publish(1)
    s.begin(0, "merge", before="Put", part=1)
    s.begin(1, "merge", before="Put", part=6)
    s.go_on(0, "merge")
    s.go_on(1, "merge")


@scenario("S10", "intent")
def prefix_deleted_during_a_merge_the_merger_dies(s: Script) -> None:
    """A merge is noted before its PUT, so that whoever starts again takes it back."""
    two_bundles(s)
    s.begin(1, "merge", before="Put")
    s.delete_prefix()
    s.step(1, "merge")
    s.kill(1)


@scenario("S11", "resume_safe")
def an_interrupted_merge_that_had_begun_to_delete_is_undone(s: Script) -> None:
    """From then on the output is the only place of what it carries."""
    two_bundles(s)
    s.refresh(1)
    s.begin(1, "merge", before="Delete", count=2)
    s.kill(1)


@scenario("S30", "merge_look")
def a_source_gone_by_another_hand(s: Script) -> None:
    """Whoever deletes the prefix while a merge is on its way has deleted the job."""
    two_bundles(s)
    s.begin(1, "merge", before="Put")
    s.delete_prefix()
    s.go_on(1, "merge")


def two_bundles(s: Script) -> None:
    s.write(0, "j/p", 0)
    s.publish(0)
    s.second()
    s.write(0, "j/q", 2)
    s.publish(0)


@scenario("S19", "carry_unlisted")
def a_paged_list_passes_the_name_of_a_large_object_before_its_slow_upload_lands_a_merge_forgets_it(s: Script) -> None:
    """A place is carried whether its object was listed or not."""
    s.write(0, "j/q", 0)
    s.publish(0)
    s.minutes(1)
    s.write(0, "j/p", 1)
    s.begin(0, "publish", before="PutLarge")
    s.minutes(1)
    s.write(1, "j/q", 2)
    s.publish(1)
    s.second()
    s.chmod(1, "j/q", 3)
    s.publish(1)
    s.minutes(1)
    s.begin(1, "merge", before="List", count=2)
    s.go_on(0, "publish")
    s.go_on(1, "merge")


@scenario("S20", "merge_last")
def a_list_in_pages_passes_the_place_where_a_merge_then_puts_its_output(s: Script) -> None:
    """The name of the output sorts after all sources: who missed a source has not passed it."""
    s.write(0, "j/p", 0)
    s.publish(0)
    for content in (2, None, 0):
        s.minutes(3)
        if content is None:
            s.chmod(0, "j/q", 3)
        else:
            s.write(0, "j/q", content)
        s.publish(0)
    s.refresh(1)
    s.begin(1, "refresh", before="List", count=2)
    s.merge(0, part=5)
    s.go_on(1, "refresh")


# -- readings -------------------------------------------------------------------------------------------------------


@scenario("S21", "judge")
def a_bundle_published_while_the_list_runs_is_taken_for_gone(s: Script) -> None:
    """A LIST judges only what was known before it began."""
    s.minutes(1)
    s.write(0, "j/q", 0)
    s.publish(0)
    s.minutes(1)
    s.write(0, "j/q", 2)
    s.publish(0)
    s.begin(1, "refresh", before="Tail")
    s.write(1, "j/p", 0)
    s.publish(1)
    s.go_on(1, "refresh")


@scenario("S22", "one_apply")
def the_listed_merged_bundle_is_merged_on_before_it_is_read(s: Script) -> None:
    """A manifest that is gone starts the reading again: its sources were to be dropped for it."""
    s.write(0, "j/p", 0)
    s.publish(0)
    s.refresh(1)
    s.minutes(1)
    s.write(0, "j/q", 2)
    s.publish(0)
    s.minutes(1)
    s.merge(0)
    s.chmod(0, "j/q", 3)
    s.publish(0)
    s.begin(1, "refresh", before="Tail")
    s.minutes(1)
    s.merge(0)
    s.go_on(1, "refresh")


@scenario("S23", "locate_all")
def content_dropped_uploaded_again_under_a_new_name(s: Script) -> None:
    """The first place that a manifest names is gone: all are tried."""
    s.write(0, "j/p", 1)
    s.publish(0)
    s.unlink(0, "j/p")
    s.publish(0)
    s.drop(0)
    s.minutes(61)
    s.drop(0)
    s.write(0, "j/q", 1)
    s.publish(0)


# -- what is dropped --------------------------------------------------------------------------------------------------


@scenario("S07", "hold_queued")
def evicted_because_published_in_another_job(s: Script) -> None:
    """Published is said of a content in a job: the record of another one still needs it from here."""
    s.write(0, "j/p", 1)
    s.publish(0)
    s.write(0, "k/p", 1)
    s.evict(0, 1)
    s.unlink(0, "j/p")
    s.publish(0)
    s.drop(1)
    s.minutes(61)
    s.drop(1)
    s.publish(0, "k")


def restored_meanwhile(s: Script) -> None:
    """Machine 2 finds a content dead; it is restored and removed again before it looks the next time."""
    s.write(0, "j/p", 1)
    s.publish(0)
    s.unlink(0, "j/p")
    s.publish(0)
    s.drop(2)
    s.minutes(25)
    s.restore(0, "j/p", 1)
    s.publish(0)
    s.minutes(30)
    s.refresh(1)
    s.unlink(0, "j/p")
    s.publish(0)


@scenario("S08", "dead_mark")
def a_reference_came_and_went_unseen(s: Script) -> None:
    """A merge took the record away that would have told; the mark that it writes tells."""
    restored_meanwhile(s)
    s.merge(0)
    s.rename(1, "j/p", "q")
    s.minutes(7)
    s.drop(2)
    s.publish(1)


@scenario("S09", "reset_count")
def a_reference_came_and_went_unseen_without_a_merge(s: Script) -> None:
    """A record that the first reading did not show starts the count anew, superseded or not."""
    restored_meanwhile(s)
    s.rename(1, "j/p", "q")
    s.minutes(7)
    s.drop(2)
    s.publish(1)


@scenario("S16", "at_read")
def a_large_object_nothing_names_yet_age_measured_at_the_deletion(s: Script) -> None:
    """Ages are those at the beginning of the reading that decides, however long it takes."""
    s.write(0, "j/q", 0)
    s.publish(0)
    s.write(0, "j/p", 1)
    s.begin(0, "publish", before="Put")
    s.begin(1, "drop", before="Tail")
    s.go_on(0, "publish")
    s.minutes(61)
    s.go_on(1, "drop")


@scenario("S24", "drop_listed")
def a_drop_by_digest_hits_the_new_upload(s: Script) -> None:
    """Deleted are the objects that were seen dead, not the content."""
    s.write(0, "j/p", 1)
    s.publish(0)
    s.unlink(0, "j/p")
    s.publish(0)
    s.drop(1)
    s.minutes(61)
    s.begin(1, "drop", before="Delete")
    s.minutes(1)
    s.write(0, "j/q", 1)
    s.publish(0)
    s.go_on(1, "drop")


@scenario("S33", "grace_drop")
def dropped_at_once_another_relies_on_it(s: Script) -> None:
    """What died waits for the grace: somebody may be about to rely on it."""
    s.write(0, "j/p", 1)
    s.publish(0)
    s.refresh(1)
    s.unlink(0, "j/p")
    s.publish(0)
    s.rename(1, "j/p", "q")
    s.drop(0)
    s.publish(1)


@scenario("S34", "count_end")
def the_count_begins_at_the_start_of_a_long_reading(s: Script) -> None:
    """It begins at its end: a reference may have come and gone while it ran."""
    s.write(0, "j/p", 1)
    s.publish(0)
    s.unlink(0, "j/p")
    s.publish(0)
    s.begin(2, "drop", before="List", count=2)
    s.restore(0, "j/p", 1)
    s.publish(0)
    s.minutes(58)
    s.refresh(1)
    s.rename(1, "j/p", "q")
    s.unlink(0, "j/p")
    s.publish(0)
    s.go_on(2, "drop")
    s.minutes(3)
    s.drop(2)
    s.publish(1)


@scenario("S26", "nolive")
def a_tag_above_the_clear_of_a_deleted_path_keeps_the_job_for_ever(s: Script) -> None:
    """A job is empty when no path exists, whatever is still said of some."""
    s.write(0, "j/p", 0)
    s.publish(0)
    s.refresh(1)
    s.remove_job(0)
    s.publish(0)
    s.minutes(1)
    s.tag(1, "j/p", 2)
    s.publish(1)


# -- what may be relied on --------------------------------------------------------------------------------------------


@scenario("S12", "postcheck")
def paused_between_check_and_put_relying_on_a_reading(s: Script) -> None:
    """After the PUT the server's time tells whether what it relied on may be gone."""
    s.write(0, "j/p", 1)
    s.publish(0)
    s.refresh(0)
    s.write(0, "j/q", 1)
    s.begin(0, "publish", before="Put")
    s.refresh(1)
    s.unlink(1, "j/p")
    s.publish(1)
    s.drop(1)
    s.minutes(61)
    s.drop(1)
    s.go_on(0, "publish")


@scenario("S13", "own_ref")
def landed_too_late_relies_on_itself_when_published_again(s: Script) -> None:
    """A record that landed too late is no reference: it names what may be nowhere."""
    s.write(1, "j/p", 1)
    s.publish(1)
    s.refresh(0)
    s.rename(0, "j/p", "q")
    s.begin(0, "publish", before="Put")
    s.unlink(1, "j/p")
    s.publish(1)
    s.drop(1)
    s.minutes(61)
    s.drop(1)
    s.go_on(0, "publish")


@scenario("S14", "b_limit", "postcheck")
def upload_two_days_without_network_bundle(s: Script) -> None:
    """An upload that no bundle names is taken for left over after the grace."""
    s.write(0, "j/p", 1)
    s.begin(0, "publish", before="Put")
    s.network(0)
    s.step(0, "publish")
    s.minutes(61)
    s.drop(1)
    s.network(0)
    s.publish(0)


@scenario("S15", "b_limit", "postcheck")
def upload_crash_long_pause_bundle_by_the_restarted_machine(s: Script) -> None:
    """The same, where the upload is remembered over a crash."""
    s.write(0, "j/p", 1)
    s.begin(0, "publish", before="Put")
    s.kill(0)
    s.minutes(61)
    s.drop(1)
    s.publish(0)


@scenario("S25", "fold_refs")
def relying_on_a_superseded_record(s: Script) -> None:
    """Only a record that wins the fold refers to its content."""
    s.write(0, "j/p", 1)
    s.publish(0)
    s.minutes(1)
    s.write(0, "j/p", 0)
    s.publish(0)
    s.drop(1)
    s.minutes(58)
    s.refresh(0)
    s.minutes(3)
    s.begin(1, "drop", before="Delete")
    s.write(0, "j/q", 1)
    s.publish(0)
    s.go_on(1, "drop")


@scenario("S31", "c_limit")
def relying_on_a_reading_older_than_half_the_grace(s: Script) -> None:
    """What it showed may be gone."""
    s.write(1, "j/p", 1)
    s.publish(1)
    s.refresh(0)
    s.unlink(1, "j/p")
    s.publish(1)
    s.drop(1)
    s.minutes(61)
    s.drop(1)
    s.rename(0, "j/p", "q")
    s.publish(0)


@scenario("S32", "restore_copies")
def restored_without_a_copy_while_the_drop_is_under_way(s: Script) -> None:
    """What comes back from the trash comes under a new name: the old object may be on its way out."""
    s.write(0, "j/p", 1)
    s.publish(0)
    s.unlink(0, "j/p")
    s.publish(0)
    s.drop(1)
    s.minutes(61)
    s.refresh(0)
    s.begin(1, "drop", before="Delete")
    s.restore(0, "j/p", 1)
    s.publish(0)
    s.go_on(1, "drop")


@scenario("S35", "void_lost")
def a_queued_record_whose_content_is_nowhere(s: Script) -> None:
    """It is set aside, and never published without its content."""
    s.write(0, "j/p", 1)
    s.publish(0)
    s.refresh(1)
    s.rename(1, "j/p", "q")
    s.network(1)
    s.unlink(0, "j/p")
    s.publish(0)
    s.drop(0)
    s.minutes(61)
    s.drop(0)
    s.merge(0)
    s.minutes(61)
    s.merge(0)
    s.network(1)
    s.publish(1)


# -- tags of two machines ---------------------------------------------------------------------------------------------


@scenario("S27", "lean_create")
def two_machines_make_the_same_path_each_sets_a_tag(s: Script) -> None:
    """A creation voids nothing where no earlier life is known."""
    s.write(0, "j/p", 0)
    s.tag(0, "j/p", 2)
    s.publish(0)
    s.minutes(1)
    s.write(1, "j/p", 2)
    s.tag(1, "j/p", 3)
    s.publish(1)


@scenario("S28", "lean_create")
def two_machines_make_the_same_path_in_the_other_order_of_publishing(s: Script) -> None:
    """The same, whoever comes first."""
    s.write(0, "j/p", 0)
    s.tag(0, "j/p", 2)
    s.minutes(1)
    s.write(1, "j/p", 2)
    s.tag(1, "j/p", 3)
    s.publish(1)
    s.publish(0)


@scenario("S29", "lean_create")
def two_machines_make_a_path_again_that_both_know_as_deleted(s: Script) -> None:
    """Of an earlier life that a clear has ended nothing is left to void."""
    s.write(0, "j/p", 0)
    s.publish(0)
    s.unlink(0, "j/p")
    s.publish(0)
    s.refresh(1)
    s.minutes(1)
    s.write(0, "j/p", 0)
    s.tag(0, "j/p", 2)
    s.publish(0)
    s.minutes(1)
    s.write(1, "j/p", 2)
    s.tag(1, "j/p", 3)
    s.publish(1)
