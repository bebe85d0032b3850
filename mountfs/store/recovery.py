"""What is done before a store serves: replay the journal, put drafts back to what was acknowledged, clear leftovers.

Everything here may be cut off at any point and run again.
"""

import logging
import os
from itertools import islice

from mountfs import journal
from mountfs.catalog import Catalog
from mountfs.contents import ContentFiles
from mountfs.drafts import DraftFile, Until, remove_draft
from mountfs.errors import CorruptContent, MountfsError
from mountfs.journal import Journal, Record
from mountfs.model import Content, Entry, Place, Standing
from mountfs.statedir import StateDirectory, boot_id
from mountfs.store.files import Files
from mountfs.store.live import LiveFile
from mountfs.store.settler import Settler

log = logging.getLogger(__name__)
GROUP = 500


def applied(catalog: Catalog) -> tuple[int, int]:
    """(number of the last journal record in the tables, transactions of other kinds so far)."""
    number, _, epoch = (catalog.meta("applied") or "0 0").partition(" ")
    return int(number), int(epoch)


def replay_journal(catalog: Catalog, state: StateDirectory) -> None:
    """Bring what was acknowledged and never reached the catalog into it."""
    before, epoch = applied(catalog)
    stamp = catalog.meta("stamp") or ""
    same_boot = catalog.meta("boot_id") == boot_id()
    records = journal.replay(state.journal, after=before, epoch=epoch, over_gaps=same_boot)
    replayed = 0
    while group := list(islice(records, GROUP)):
        replayed += len(group)
        with catalog.transaction():
            for record in group:
                _apply(catalog, record)
            stamp = max(stamp, *(_highest_stamp(record.entry) for record in group))
            catalog.set_meta("applied", f"{group[-1].number} {epoch}")
            catalog.set_meta("stamp", stamp)
    if (last := applied(catalog)[0]) > before:
        log.info("replayed %d records of the journal", replayed)
    if same_boot and (lost := last - before - replayed):
        log.error("integrity check: %d records of the journal are damaged; what they acknowledged is lost", lost)
    if (highest := journal.highest_number(state.journal)) > last:
        with catalog.transaction():
            catalog.set_meta("applied", f"{highest} {epoch}")


def _highest_stamp(entry: Entry) -> str:
    return max(entry.stamp, entry.mode_stamp or "", entry.owner_stamp or "", entry.mtime_stamp or "")


def _apply(catalog: Catalog, record: Record) -> None:
    entry = record.entry
    if entry.content is not None and record.content_bytes and catalog.content(entry.content) is None:
        found = Content.in_journal(entry.content, record.content_bytes, segment=record.segment, offset=record.offset)
        catalog.insert_contents([found])
    elif entry.content is not None and catalog.content(entry.content) is None:
        known = catalog.entry(entry.ino)  # an equal content took the place of this one, under its own id
        if known is None or known.size != entry.size:
            return
        entry.content = known.content
    catalog.put_entries([entry])
    if record.is_new:
        catalog.touch_directories([(entry.birth_ns, entry.parent)])


def recover(
    catalog: Catalog,
    files: Files,
    settler: Settler,
    contents: ContentFiles,
    state: StateDirectory,
    segments: Journal,
) -> None:
    """After the journal was replayed: drafts, marks, leftovers, and the list of what is still to be settled."""
    same_boot = catalog.meta("boot_id") == boot_id()
    with catalog.transaction():
        catalog.mark_recovered()
    if not same_boot:
        _check_unsynced(catalog, files, segments)
    _recover_drafts(catalog, files, state, same_boot=same_boot)
    _clear_leftovers(catalog, contents, state)
    if not same_boot:
        contents.remove([path for path in contents.names() if not _in_use(catalog, path)])
    settler.backlog.extend(
        (content.id, owner.ino)
        for content in catalog.unsettled()
        if content.place == Place.JOURNAL
        for owner in catalog.entries_of(content.id)[:1]
    )
    with catalog.transaction():
        catalog.set_meta("boot_id", boot_id())


def _check_unsynced(catalog: Catalog, files: Files, segments: Journal) -> None:
    """After power loss: what was closed but never synced may be damaged, and is lost."""
    for content in catalog.unsettled():
        if content.place != Place.JOURNAL:
            continue
        try:
            segments.read_content(content.segment, content.offset)
        except CorruptContent as error:
            for entry in catalog.entries_of(content.id):
                log.warning("%r was closed but not yet synced when the machine went down: %s", entry.name, error)
                with catalog.transaction():
                    _go_back(catalog, files, entry, None)


def _recover_drafts(catalog: Catalog, files: Files, state: StateDirectory, *, same_boot: bool) -> None:
    for content_id, base, closed in catalog.drafts():
        owners = catalog.entries_of(content_id)
        if not owners:
            with catalog.transaction():
                catalog.delete_draft(content_id)
            continue
        try:
            reader = files.open_base(base) if base is not None else None
            until = _until(closed=closed, has_base=base is not None, same_boot=same_boot)
            draft = DraftFile.recover(state.drafts, content_id, reader, until=until)
        except (MountfsError, FileNotFoundError) as error:
            _lose_draft(catalog, files, content_id, base, owners[0], error, same_boot=same_boot)
            continue
        _take_up(catalog, files, owners[0], draft, base, recovered=not closed or not same_boot)


def _until(*, closed: bool, has_base: bool, same_boot: bool) -> Until:
    """A new file is kept as far as it is there; one that had content before goes back to what is certain."""
    if not closed:
        return Until.FOUND
    return Until.PUBLISHED if same_boot or not has_base else Until.SYNCED


def _lose_draft(
    catalog: Catalog,
    files: Files,
    content_id: int,
    base: int | None,
    owner: Entry,
    error: Exception,
    *,
    same_boot: bool,
) -> None:
    """A draft that cannot be opened is damaged; after power loss it was never synced, and its base is back."""
    if same_boot:
        log.error("the draft of %r is damaged: %s", owner.name, error)
        with catalog.transaction():
            catalog.mark_damaged(content_id)
        return
    log.warning("%r: what was not yet synced when the machine went down is lost: %s", owner.name, error)
    before = catalog.content(base) if base is not None else None
    with catalog.transaction():
        _go_back(catalog, files, owner, before)
        catalog.delete_draft(content_id)


def _go_back(catalog: Catalog, files: Files, owner: Entry, before: Content | None) -> None:
    """To the content it had before, or to none: the name may be older than what is lost, and stays."""
    owner.content, owner.size = (before.id, before.size) if before is not None else (None, 0)
    owner.standing = Standing.RECOVERED
    files.said_anew(owner)
    catalog.put_entries([owner])


def _take_up(
    catalog: Catalog, files: Files, entry: Entry, draft: DraftFile, base: int | None, *, recovered: bool
) -> None:
    """Make a recovered draft a live file that waits to be settled."""
    entry.size = draft.size
    if recovered:
        entry.standing = Standing.RECOVERED
        files.said_anew(entry)
    with catalog.transaction():
        if draft.size:
            catalog.resize_content(draft.content_id, draft.size)
            catalog.put_draft(draft.content_id, base=base, closed=True)
        else:
            entry.content = None
            catalog.delete_draft(draft.content_id)
        catalog.put_entries([entry])
    if not draft.size:
        draft.remove()
        return
    live = LiveFile(entry, entry, draft=draft, draft_base=base, publishes=1, due=0.0)
    live.draft_noted = live.draft_closed = True
    files.take_up(live)


def _clear_leftovers(catalog: Catalog, contents: ContentFiles, state: StateDirectory) -> None:
    known = {str(row[0]) for row in catalog.drafts()}
    for name in os.listdir(state.drafts):
        number = name.partition(".")[0]
        if number not in known and number.isdigit():
            remove_draft(state.drafts, int(number))
        elif name.endswith(".frames"):
            (state.drafts / name).unlink(missing_ok=True)
    doomed = catalog.doomed()
    contents.remove([path for path in doomed if not _in_use(catalog, path)])
    with catalog.transaction():
        catalog.spare(doomed)


def _in_use(catalog: Catalog, path: str) -> bool:
    known = catalog.content_of_file(path.rpartition("/")[2])
    return known is not None and known.place == Place.FILE
