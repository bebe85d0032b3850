"""What the random search found in the real code, each kept as a scenario by the name of what went wrong.

They stand beside those of the model (`scenarios.py`) and are run by the same tests.
"""

from functools import partial

from tests.bucket.protocol.scenarios import THREE, Scenario, Story
from tests.bucket.protocol.script import Script
from tests.bucket.protocol.world import Setup

FOUND: dict[str, Scenario] = {}
AHEAD = Setup((0, 90 * 60_000))
"""The second machine's clock is far ahead, and nobody has told it yet."""


def found(story: Story, *, setup: Setup = THREE) -> Story:
    FOUND[story.__name__] = Scenario(story.__name__, story, setup, ())
    return story


@found
def a_clear_voided_the_mode_of_its_own_file_once_the_file_was_written_again(s: Script) -> None:
    """The clear of a rename that replaced went with the next content, above what had been said with the first."""
    s.write(2, "j/p", 3)
    s.publish(2)
    s.write(2, "j/q", 3)
    s.rename(2, "j/q", "p")
    s.write(2, "j/p", 3)


@found
def a_file_removed_while_it_was_being_published_came_back(s: Script) -> None:
    """From the moment its records are made a removal has to be told, not only from the PUT on."""
    s.write(0, "j/p", 1)
    s.begin(0, "publish", before="PutLarge")
    s.unlink(0, "j/p")
    s.go_on(0, "publish")


@found
def setting_aside_brought_back_an_older_reading(s: Script) -> None:
    """Two runs of one machine brought the state of a job into its rows at once, one of them with an old fold."""
    s.write(1, "j/p", 0)
    s.publish(1)
    s.write(0, "j/p", 1)
    s.write(0, "j/p", 1)
    s.minutes(700)
    s.unlink(1, "j/p")
    s.refresh(0)
    s.begin(0, "publish", before="Work")
    s.publish(1)
    s.refresh(0)
    s.go_on(0, "publish")


@found
def a_mode_set_on_a_file_that_went_elsewhere_was_never_told(s: Script) -> None:
    """It counts: somebody else may have made the path again without knowing that it was gone."""
    s.write(2, "j/q", 3)
    s.write(0, "j/q", 3)
    s.begin(0, "publish", before="PutLarge")
    s.publish(2)
    s.world.apply(("start", 1, "refresh", "j"))
    s.rename(2, "j/q", "p")
    s.go_on(1, "refresh")
    s.minutes(5)
    s.publish(2)
    s.write(1, "j/q", 2)
    s.chmod(0, "j/q", 3)
    s.world.apply(("start", 0, "drop", "j"))


@found
def a_tag_on_a_directory_whose_name_a_file_took_was_never_told(s: Script) -> None:
    """The file steps aside, and the path is the file's: so is the tag."""
    s.write(1, "j/d/e/p", 0)
    s.minutes(1)
    s.write(0, "j/d", 0)
    s.publish(0)
    s.minutes(1)
    s.tag(1, "j/d", 2)
    s.refresh(1)


@found
def a_tag_on_a_directory_that_was_cleared_and_made_again_elsewhere_was_never_told(s: Script) -> None:
    """In between it was a directory that nobody had made."""
    s.write(0, "j/d", 3)
    s.minutes(700)
    s.network(1)
    s.publish(0)
    s.unlink(0, "j/d")
    s.publish(0)
    s.write(0, "j/d/e/p", 0)
    s.write(1, "j/d/e", 0)
    s.tag(1, "j/d", 2)
    s.publish(0)
    s.network(1)
    s.refresh(1)


@partial(found, setup=AHEAD)
def a_machine_whose_clock_is_ahead_took_a_fresh_upload_for_left_over(s: Script) -> None:
    """Ages are never measured before the server has told its time."""
    s.write(0, "j/q", 3)
    s.begin(0, "publish", before="Put")
    s.world.apply(("start", 1, "maintain", "j"))
    s.go_on(1, "maintain")
    s.go_on(0, "publish")


@found
def an_emptied_job_took_a_fresh_upload_along(s: Script) -> None:
    """Only its last bundle goes, and large objects by the rule for large objects (the model's own sweep takes both)."""
    s.write(0, "j/p", 0)
    s.publish(0)
    s.refresh(1)
    s.remove_job(1)
    s.publish(1)
    s.merge(1)
    s.minutes(661)
    s.merge(1)
    s.sweep(1)
    s.minutes(61)
    s.write(0, "j/p", 1)
    s.begin(0, "publish", before="Put")
    s.sweep(1)
    s.go_on(0, "publish")


@found
def a_reading_that_came_later_made_an_older_one_look_young(s: Script) -> None:
    """What is relied on is as old as the reading by which it was decided, whoever has read the job since."""
    s.write(1, "j/p", 1)
    s.write(1, "j/c", 0)
    s.publish(1)
    s.refresh(0)
    s.unlink(1, "j/c")
    s.publish(1)
    s.refresh(0)
    s.rename(0, "j/p", "q")
    s.restore(0, "j/c", 0)
    s.begin(0, "publish", before="Range")
    s.unlink(1, "j/p")
    s.publish(1)
    s.drop(2)
    s.minutes(35)
    s.refresh(0)
    s.minutes(26)
    s.drop(2)
    s.go_on(0, "publish")


@found
def what_was_not_published_yet_was_forgotten_when_its_directory_went_to_another_job(s: Script) -> None:
    """What is owed is owed by the job that it lies in now."""
    s.write(1, "j/d/p", 0)
    s.begin(1, "publish", before="Put")
    s.act(1, "move", "j", "d", "k", "d")


@found
def what_was_in_flight_counted_as_published_where_its_directory_had_gone_to(s: Script) -> None:
    """It arrives in the old job: there it has to be cleared, and in the new one to be published."""
    s.write(1, "j/d/p", 0)
    s.begin(1, "publish", before="Put")
    s.act(1, "move", "j", "d", "k", "d")
    s.publish(1, "k")
    s.go_on(1, "publish")


@found
def a_file_that_had_stepped_aside_kept_that_name_once_the_directory_had_gone(s: Script) -> None:
    """Somebody made another one of its path, and both were published under it."""
    s.write(1, "j/d", 0)
    s.write(0, "j/d/p", 0)
    s.publish(0)
    s.refresh(1)
    s.rename(1, "j/d", "c")
    s.write(1, "j/d", 2)
    s.write(0, "j/d/e/p", 3)


@found
def a_file_came_back_that_was_on_its_way_to_two_jobs_when_the_first_run_gave_up(s: Script) -> None:
    """It is on its way as long as one of them may bring it."""
    s.write(1, "j/p", 1)
    s.begin(1, "publish", before="PutLarge")
    s.act(1, "move", "j", "p", "k", "q")
    s.begin(1, "publish", before="Put", job="k")
    s.world.apply(("refused", 1, ("publish", "j")))
    s.unlink(1, "k/q")
    s.go_on(1, "publish", job="k")


@found
def a_file_vanished_that_was_made_where_a_directory_had_just_been_renamed_away(s: Script) -> None:
    """What lay below it went when it was renamed, not when that was looked at."""
    s.write(1, "j/d/p", 0)
    s.publish(1)
    s.rename(1, "j/d", "c")
    s.write(1, "j/d/p", 2)


@found
def a_file_vanished_when_the_one_before_it_was_removed_from_its_renamed_directory(s: Script) -> None:
    s.write(1, "j/d/p", 0)
    s.publish(1)
    s.rename(1, "j/d", "c")
    s.write(1, "j/d/p", 2)
    s.unlink(1, "j/c/p")


@found
def a_file_vanished_when_the_one_before_it_was_renamed_out_of_its_renamed_directory(s: Script) -> None:
    s.write(1, "j/d/p", 0)
    s.publish(1)
    s.rename(1, "j/d", "c")
    s.write(1, "j/d/p", 2)
    s.rename(1, "j/c/p", "q")


@found
def files_vanished_when_two_directories_with_the_same_names_in_them_were_exchanged(s: Script) -> None:
    s.write(1, "j/d/p", 0)
    s.write(1, "j/c/p", 2)
    s.publish(1)
    s.act(1, "exchange", "j", "d", "c")


@found
def the_clear_of_a_directory_that_was_renamed_over_was_told_of_its_old_path(s: Script) -> None:
    """What the renamed directory owed itself was taken for that of what lies below it, which is known elsewhere."""
    s.write(0, "k/d/e", 2)
    s.unlink(0, "k/d/e")
    s.write(0, "j/d/e", 0)
    s.publish(0, "k")
    s.act(0, "move", "j", "d", "k", "d")
    s.remove_job(0, "k")


@found
def the_clear_of_a_directory_that_was_renamed_over_went_with_its_next_rename(s: Script) -> None:
    s.write(0, "k/d/e", 2)
    s.unlink(0, "k/d/e")
    s.write(0, "j/d/e", 0)
    s.publish(0, "k")
    s.act(0, "move", "j", "d", "k", "d")
    s.rename(0, "k/d", "q")
