"""The tables of the catalog, the meaning of each column beside it, and the migrations that make them.

Migrations run through sqlite-utils, which is imported only when there is one to run: opening an up-to-date
catalog costs two pragmas.
"""

import sqlite3
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite_utils

APPLICATION_ID = 0x6D746673  # "mtfs"

_FIRST = """
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,            -- store_id, applied (last journal record that is in the tables, and the epoch),
                                       -- stamp (the highest given out), boot_id, …
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE content (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    place   TEXT NOT NULL CHECK (place IN ('journal', 'draft', 'catalog', 'file')),
    digest  BLOB CHECK (length(digest) = 32),   -- SHA-256 of the plain bytes; NULL until settled
    size    INTEGER NOT NULL CHECK (size > 0),  -- plain bytes; an empty file has no content
    stored  INTEGER NOT NULL CHECK (stored >= 0), -- bytes it costs here
    codec   TEXT NOT NULL DEFAULT 'none' CHECK (codec IN ('zstd', 'none')),
    sums    BLOB NOT NULL DEFAULT x'',          -- raw content: CRC-32 of each MiB, u32 little endian
    segment INTEGER NOT NULL DEFAULT 0,         -- journal segment that holds the plain bytes (place = journal)
    offset  INTEGER NOT NULL DEFAULT 0,         -- where in that segment its record begins
    links   INTEGER NOT NULL DEFAULT 0 CHECK (links >= 0),  -- entries and drafts that need it; kept by the triggers
                                                            -- below,
                                                -- a foreign key would scan all entries when a content goes
    damaged INTEGER NOT NULL DEFAULT 0 CHECK (damaged IN (0, 1)),  -- an integrity check failed here
    CHECK ((place IN ('catalog', 'file')) = (digest IS NOT NULL))
) STRICT;
CREATE UNIQUE INDEX content_digest ON content (digest, codec) WHERE digest IS NOT NULL;
CREATE INDEX content_unsettled ON content (segment, id) WHERE digest IS NULL;
CREATE INDEX content_damaged ON content (id) WHERE damaged = 1;

CREATE TABLE stored (                           -- apart from `content`: a listing reads hundreds of those rows a page
    content INTEGER PRIMARY KEY,                -- place = catalog
    data    BLOB NOT NULL                       -- its stored bytes
) STRICT;

CREATE TABLE entry (
    ino      INTEGER PRIMARY KEY AUTOINCREMENT, -- the inode number: stable over restarts, never reused
    parent   INTEGER NOT NULL,                  -- the directory's ino; the root is its own parent
    name     BLOB NOT NULL CHECK (length(name) <= 255),
    kind     INTEGER NOT NULL CHECK (kind IN (1, 2, 3)),        -- file, directory, symlink
    mode     INTEGER NOT NULL CHECK (mode BETWEEN 0 AND 4095),  -- permission bits
    uid      INTEGER NOT NULL,
    gid      INTEGER NOT NULL,
    size     INTEGER NOT NULL CHECK (size >= 0),                -- plain size; a symlink's is its target's length
    atime_ns INTEGER NOT NULL,                  -- as set by utimens; reading does not move it
    mtime_ns INTEGER NOT NULL,
    ctime_ns INTEGER NOT NULL,
    birth_ns INTEGER NOT NULL,
    content  INTEGER,   -- NULL: directory, symlink, empty file
    target   BLOB,                              -- a symlink's target
    stamp    TEXT NOT NULL,                     -- stamp of the content register
    standing TEXT NOT NULL CHECK (standing IN ('closed', 'provisional', 'recovered')),
    mode_stamp  TEXT,                           -- stamps of the registers mode, owner, mtime; NULL: the same as `stamp`
    owner_stamp TEXT,
    mtime_stamp TEXT,
    UNIQUE (parent, name),
    CHECK ((kind = 3) = (target IS NOT NULL)),
    CHECK (kind = 1 OR content IS NULL),
    CHECK (kind <> 1 OR (content IS NULL) = (size = 0))
) STRICT;
CREATE INDEX entry_provisional ON entry (ino) WHERE standing = 'provisional';
CREATE INDEX entry_content ON entry (content) WHERE content IS NOT NULL;

CREATE TABLE draft (
    content INTEGER PRIMARY KEY,                -- its published state is told by the log beside the draft file
    base    INTEGER,                            -- content it was begun on; chunks never written are read from there
    closed  INTEGER NOT NULL CHECK (closed IN (0, 1))  -- 0: a new file that nobody closed yet: taken as found
) STRICT;

CREATE TABLE register (
    ino   INTEGER NOT NULL,
    name  TEXT NOT NULL,     -- tag:<key>, xattr:<name>, type, mime_type, expires_at, pinned, metadata, codec
    value BLOB NOT NULL,
    stamp TEXT NOT NULL,
    PRIMARY KEY (ino, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX register_codec ON register (ino) WHERE name = 'codec';

CREATE TABLE dead (content INTEGER PRIMARY KEY) STRICT;   -- contents without links: to be reclaimed
CREATE TABLE doomed (path TEXT PRIMARY KEY) STRICT, WITHOUT ROWID; -- files below the state directory that a crash may
                                                                   -- leave behind

CREATE TABLE usage (
    id     INTEGER PRIMARY KEY CHECK (id = 1),
    stored INTEGER NOT NULL          -- stored bytes of all settled contents that have links
) STRICT;
INSERT INTO usage VALUES (1, 0);

-- links of contents
CREATE TRIGGER entry_linked AFTER INSERT ON entry WHEN new.content IS NOT NULL BEGIN
    UPDATE content SET links = links + 1 WHERE id = new.content;
END;
CREATE TRIGGER entry_unlinked AFTER DELETE ON entry WHEN old.content IS NOT NULL BEGIN
    UPDATE content SET links = links - 1 WHERE id = old.content;
END;
CREATE TRIGGER entry_relinked AFTER UPDATE OF content ON entry
WHEN old.content IS NOT new.content BEGIN
    UPDATE content SET links = links + 1 WHERE id = new.content;
    UPDATE content SET links = links - 1 WHERE id = old.content;
END;
CREATE TRIGGER entry_gone AFTER DELETE ON entry BEGIN
    DELETE FROM register WHERE ino = old.ino;
END;
CREATE TRIGGER draft_linked AFTER INSERT ON draft WHEN new.base IS NOT NULL BEGIN
    UPDATE content SET links = links + 1 WHERE id = new.base;
END;
CREATE TRIGGER draft_unlinked AFTER DELETE ON draft WHEN old.base IS NOT NULL BEGIN
    UPDATE content SET links = links - 1 WHERE id = old.base;
END;
CREATE TRIGGER draft_relinked AFTER UPDATE OF base ON draft WHEN old.base IS NOT new.base BEGIN
    UPDATE content SET links = links + 1 WHERE id = new.base;
    UPDATE content SET links = links - 1 WHERE id = old.base;
END;
CREATE TRIGGER content_gone AFTER DELETE ON content WHEN old.place = 'catalog' BEGIN
    DELETE FROM stored WHERE content = old.id;
END;
CREATE TRIGGER content_dead AFTER UPDATE OF links ON content WHEN new.links = 0 AND old.links > 0 BEGIN
    INSERT OR IGNORE INTO dead VALUES (new.id);
    UPDATE usage SET stored = stored - new.stored WHERE new.digest IS NOT NULL;
END;
CREATE TRIGGER content_alive AFTER UPDATE OF links ON content
WHEN new.links > 0 AND old.links = 0 AND new.digest IS NOT NULL BEGIN
    DELETE FROM dead WHERE content = new.id;
    UPDATE usage SET stored = stored + new.stored;
END;
CREATE TRIGGER content_settled AFTER UPDATE OF digest ON content
WHEN old.digest IS NULL AND new.digest IS NOT NULL AND new.links > 0 BEGIN
    UPDATE usage SET stored = stored + new.stored;
END;

INSERT INTO entry (ino, parent, name, kind, mode, uid, gid, size, atime_ns, mtime_ns, ctime_ns, birth_ns,
                   stamp, standing)
VALUES (1, 1, x'', 2, 493, 0, 0, 0, 0, 0, 0, 0, '', 'closed');
"""

_BUCKET = """
-- a content may also lie in the bucket alone, and is evicted by when it was last read
PRAGMA legacy_alter_table = ON;
CREATE TABLE content_new (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    place   TEXT NOT NULL CHECK (place IN ('journal', 'draft', 'catalog', 'file', 'bucket')),
    digest  BLOB CHECK (length(digest) = 32),   -- SHA-256 of the plain bytes; NULL until settled
    size    INTEGER NOT NULL CHECK (size > 0),  -- plain bytes; an empty file has no content
    stored  INTEGER NOT NULL CHECK (stored >= 0), -- bytes it costs, here or in the bucket
    codec   TEXT NOT NULL DEFAULT 'none' CHECK (codec IN ('zstd', 'none')),
    sums    BLOB NOT NULL DEFAULT x'',          -- raw content: CRC-32 of each MiB, u32 little endian
    segment INTEGER NOT NULL DEFAULT 0,         -- journal segment that holds the plain bytes (place = journal)
    offset  INTEGER NOT NULL DEFAULT 0,         -- where in that segment its record begins
    links   INTEGER NOT NULL DEFAULT 0 CHECK (links >= 0),  -- entries and drafts that need it; kept by triggers:
                                                -- a foreign key would scan all entries when a content goes
    kept    INTEGER NOT NULL DEFAULT 0 CHECK (kept >= 0),   -- the same for trash and what was set aside
    damaged INTEGER NOT NULL DEFAULT 0 CHECK (damaged IN (0, 1)),  -- an integrity check failed here
    read_s  INTEGER NOT NULL DEFAULT 0,         -- seconds since the epoch: when it came or was last opened
    CHECK ((place IN ('catalog', 'file', 'bucket')) = (digest IS NOT NULL))
) STRICT;
INSERT INTO content_new (id, place, digest, size, stored, codec, sums, segment, offset, links, damaged)
    SELECT id, place, digest, size, stored, codec, sums, segment, offset, links, damaged FROM content;
DELETE FROM sqlite_sequence WHERE name = 'content_new';
INSERT INTO sqlite_sequence (name, seq) SELECT 'content_new', seq FROM sqlite_sequence WHERE name = 'content';
DROP TABLE content;
ALTER TABLE content_new RENAME TO content;
PRAGMA legacy_alter_table = OFF;
CREATE UNIQUE INDEX content_digest ON content (digest, codec) WHERE digest IS NOT NULL;
CREATE INDEX content_unsettled ON content (segment, id) WHERE digest IS NULL;
CREATE INDEX content_damaged ON content (id) WHERE damaged = 1;
CREATE INDEX content_read ON content (read_s, id) WHERE place IN ('catalog', 'file');

ALTER TABLE usage ADD COLUMN here INTEGER NOT NULL DEFAULT 0;  -- stored bytes of all settled contents on this machine
UPDATE usage SET here = (SELECT coalesce(sum(stored), 0) FROM content WHERE place IN ('catalog', 'file'));

CREATE TRIGGER content_gone AFTER DELETE ON content WHEN old.place IN ('catalog', 'file') BEGIN
    DELETE FROM stored WHERE content = old.id;
    UPDATE usage SET here = here - old.stored;
END;
CREATE TRIGGER content_came AFTER INSERT ON content WHEN new.place IN ('catalog', 'file') BEGIN
    UPDATE usage SET here = here + new.stored;
END;
CREATE TRIGGER content_moved AFTER UPDATE OF place, stored ON content
WHEN new.place IN ('catalog', 'file') OR old.place IN ('catalog', 'file') BEGIN
    UPDATE usage SET here = here + iif(new.place IN ('catalog', 'file'), new.stored, 0)
                                 - iif(old.place IN ('catalog', 'file'), old.stored, 0);
END;
CREATE TRIGGER content_evicted AFTER UPDATE OF place ON content
WHEN old.place = 'catalog' AND new.place = 'bucket' BEGIN
    DELETE FROM stored WHERE content = new.id;
END;
CREATE TRIGGER content_dead AFTER UPDATE OF links, kept ON content
WHEN new.links = 0 AND new.kept = 0 AND old.links + old.kept > 0 BEGIN
    INSERT OR IGNORE INTO dead VALUES (new.id);
END;
CREATE TRIGGER content_unused AFTER UPDATE OF links ON content
WHEN new.links = 0 AND old.links > 0 AND new.digest IS NOT NULL BEGIN
    UPDATE usage SET stored = stored - new.stored;
END;
CREATE TRIGGER content_alive AFTER UPDATE OF links ON content
WHEN new.links > 0 AND old.links = 0 AND new.digest IS NOT NULL BEGIN
    DELETE FROM dead WHERE content = new.id;
    UPDATE usage SET stored = stored + new.stored;
END;
CREATE TRIGGER content_settled AFTER UPDATE OF digest ON content
WHEN old.digest IS NULL AND new.digest IS NOT NULL AND new.links > 0 BEGIN
    UPDATE usage SET stored = stored + new.stored;
END;

-- what the bucket has not confirmed yet
DROP INDEX register_codec;
UPDATE register SET name = '@codec' WHERE name = 'codec';       -- @: this machine's alone
CREATE INDEX register_codec ON register (ino) WHERE name = '@codec';
ALTER TABLE entry ADD COLUMN owed INTEGER NOT NULL DEFAULT 0;   -- bits of model.Owed
CREATE INDEX entry_owed ON entry (ino) WHERE owed & 31;
ALTER TABLE register ADD COLUMN owed INTEGER NOT NULL DEFAULT 0 CHECK (owed IN (0, 1));
ALTER TABLE register ADD COLUMN gone INTEGER NOT NULL DEFAULT 0 CHECK (gone IN (0, 1)); -- only its stamp counts
CREATE INDEX register_owed ON register (ino) WHERE owed = 1;
CREATE INDEX register_pinned ON register (ino) WHERE name = 'pinned';

CREATE TABLE job (                              -- jobs that the bucket knows, or is to know
    id      INTEGER PRIMARY KEY,
    name    BLOB NOT NULL UNIQUE,
    read_ms INTEGER NOT NULL DEFAULT 0,         -- server's time at which the last reading began, if it was whole; or 0
    listed_ms INTEGER NOT NULL DEFAULT 0,       -- the same, although a bundle could not be understood; 0: never read
    maintained_ms INTEGER NOT NULL DEFAULT 0,   -- and of the last after which maintenance had nothing more to do
    adopted INTEGER NOT NULL DEFAULT 0 CHECK (adopted IN (0, 1)), -- what others wrote there may be removed here
    shared  INTEGER NOT NULL DEFAULT 0 CHECK (shared IN (0, 1)),  -- another machine has a bundle there
    refold  INTEGER NOT NULL DEFAULT 0 CHECK (refold IN (0, 1)),  -- something read was not shown yet: somebody wrote it
    heard   INTEGER NOT NULL DEFAULT 0          -- how often the feed told of something that is left to a reading
) STRICT;
CREATE INDEX job_heard ON job (id) WHERE heard > 0;

CREATE TABLE told (                             -- bundles known by the feed alone
    job  INTEGER NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (job, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE head (                             -- heads that were written here
    job   INTEGER NOT NULL,
    key   TEXT NOT NULL,
    value BLOB NOT NULL,
    said  TEXT NOT NULL,                        -- JSON: what the newest of them says, without its stamp
    PRIMARY KEY (job, key, value)
) STRICT, WITHOUT ROWID;

CREATE TABLE past (                             -- of paths: the clear that is known, and registers of what is no entry
    job      INTEGER NOT NULL,
    path     BLOB NOT NULL,
    register TEXT NOT NULL,                     -- '': the clear
    stamp    TEXT NOT NULL,
    value    TEXT,                              -- JSON
    owed     INTEGER NOT NULL DEFAULT 0 CHECK (owed IN (0, 1)), -- the bucket has not confirmed it yet
    pair     INTEGER,                           -- a rename's clear: the entry, which is published before it
    base     TEXT,                              -- what the bucket had of the path when it was cleared here
    PRIMARY KEY (job, path, register)
) STRICT, WITHOUT ROWID;
CREATE INDEX past_owed ON past (job) WHERE owed = 1;

CREATE TABLE alias (                            -- files that show under another name: a directory has theirs
    ino    INTEGER PRIMARY KEY,
    parent INTEGER NOT NULL,
    name   BLOB NOT NULL,                       -- the last part of the path in their records
    UNIQUE (parent, name)
) STRICT;

CREATE TABLE snapshot (                         -- open files of which a state is published while they grow
    ino     INTEGER PRIMARY KEY,
    content INTEGER NOT NULL,
    stamp   TEXT NOT NULL,                      -- of the entry, when it was taken
    extends TEXT NOT NULL                       -- JSON: digests of earlier states, each the beginning of this one
) STRICT;
CREATE TRIGGER snapshot_linked AFTER INSERT ON snapshot BEGIN
    UPDATE content SET kept = kept + 1 WHERE id = new.content;
END;
CREATE TRIGGER snapshot_unlinked AFTER DELETE ON snapshot BEGIN
    UPDATE content SET kept = kept - 1 WHERE id = old.content;
END;

CREATE TABLE moved (                            -- directories renamed here: where the bucket knows what lies below them
    ino   INTEGER PRIMARY KEY,
    job   INTEGER NOT NULL,
    path  BLOB NOT NULL,
    stamp TEXT NOT NULL                         -- of the rename: what is under that path now came later
) STRICT;

CREATE TABLE bundle (                           -- bundles under a job's prefix, as far as they are known
    id          INTEGER PRIMARY KEY,
    job         INTEGER NOT NULL,
    name        TEXT NOT NULL,
    bytes       INTEGER NOT NULL,               -- of the object
    modified_ms INTEGER NOT NULL,               -- server's time of its PUT
    standing    TEXT NOT NULL CHECK (standing IN ('whole', 'marking', 'applying')), -- ours, not all of it marked yet;
                                                -- or read, and not all of it brought into the rows
    told        INTEGER NOT NULL DEFAULT 1 CHECK (told IN (0, 1)), -- feed and heads have it
    UNIQUE (job, name)
) STRICT;
CREATE INDEX bundle_open ON bundle (id) WHERE standing <> 'whole' OR told = 0;
CREATE TABLE manifest (bundle INTEGER PRIMARY KEY, stored BLOB NOT NULL) STRICT;  -- as it lies in the bucket

CREATE TABLE placed (                           -- content lines of these bundles: where a job's contents lie
    job     INTEGER NOT NULL,
    digest  BLOB NOT NULL,
    bundle  INTEGER NOT NULL,
    object  TEXT NOT NULL,                      -- '': a member of the bundle; else the name of a large object
    codec   TEXT NOT NULL,
    size    INTEGER NOT NULL,
    stored  INTEGER NOT NULL,
    offset  INTEGER NOT NULL,
    sum     BLOB NOT NULL,                      -- SHA-256 of the stored bytes
    sums    BLOB NOT NULL,
    dead_ms INTEGER,                            -- server's time at which a merge found it dead
    PRIMARY KEY (job, digest, bundle, object)
) STRICT, WITHOUT ROWID;
CREATE INDEX placed_bundle ON placed (bundle);
CREATE INDEX placed_large ON placed (digest) WHERE object <> '';
CREATE TABLE listed (                           -- large objects in the last reading of a job
    job         INTEGER NOT NULL,
    object      TEXT NOT NULL,
    modified_ms INTEGER NOT NULL,
    PRIMARY KEY (job, object)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER bundle_came AFTER INSERT ON bundle
WHEN substr(new.name, 21, 8) NOT IN (SELECT writer FROM writer) BEGIN  -- <when>-<writer>-<n>.zip
    UPDATE job SET shared = 1 WHERE id = new.job;
END;
CREATE TRIGGER bundle_gone AFTER DELETE ON bundle BEGIN
    DELETE FROM manifest WHERE bundle = old.id;
    DELETE FROM placed WHERE bundle = old.id;
END;

CREATE TABLE upload (                           -- large contents sent for a job under a name of their own
    job        INTEGER NOT NULL,
    digest     BLOB NOT NULL,
    codec      TEXT NOT NULL,
    object     TEXT NOT NULL,
    began_ms   INTEGER NOT NULL,                -- server's time, from before it began
    sum        BLOB NOT NULL,                   -- SHA-256 of the stored bytes
    upload_id  TEXT NOT NULL DEFAULT '',        -- of a multipart upload, to be resumed
    part_bytes INTEGER NOT NULL DEFAULT 0,
    done       INTEGER NOT NULL DEFAULT 0 CHECK (done IN (0, 1)),
    PRIMARY KEY (job, digest, codec)
) STRICT, WITHOUT ROWID;
CREATE TABLE attempt (                          -- bundles whose PUT may have begun and was not answered
    job      INTEGER NOT NULL,
    name     TEXT NOT NULL,
    began_ms INTEGER NOT NULL,
    paths    BLOB NOT NULL,                     -- JSON: [path, stamp] of its records, compressed
    PRIMARY KEY (job, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE merging (                          -- a merge under way; it goes on after a restart
    job     INTEGER PRIMARY KEY,
    name    TEXT NOT NULL,
    sources TEXT NOT NULL,                      -- JSON
    phase   TEXT NOT NULL CHECK (phase IN ('noted', 'put', 'deleting'))
) STRICT;
CREATE TABLE found_dead (                       -- contents that a complete reading found dead
    job      INTEGER NOT NULL,
    digest   BLOB NOT NULL,
    since_ms INTEGER NOT NULL,                  -- when that reading had ended
    seen     TEXT NOT NULL,                     -- JSON: records that named it then
    PRIMARY KEY (job, digest)
) STRICT, WITHOUT ROWID;
CREATE TABLE aside (                            -- records that could not be published: kept until somebody decides
    id      INTEGER PRIMARY KEY,
    job     INTEGER NOT NULL,
    path    BLOB NOT NULL,
    set_ms  INTEGER NOT NULL,
    reason  TEXT NOT NULL,
    record  TEXT NOT NULL,                      -- JSON, as it would have been published
    content INTEGER                             -- what it names, where that is on this machine
) STRICT;
CREATE TABLE writer (writer TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;  -- every writer this state directory has been

CREATE TABLE trash (                            -- what was removed or overwritten, for the grace
    id       INTEGER PRIMARY KEY,
    job      BLOB NOT NULL,
    path     BLOB NOT NULL,
    kind     INTEGER NOT NULL,
    mode     INTEGER NOT NULL,
    uid      INTEGER NOT NULL,
    gid      INTEGER NOT NULL,
    size     INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    birth_ns INTEGER NOT NULL,
    content  INTEGER,
    target   BLOB,
    stamp    TEXT NOT NULL,
    registers TEXT NOT NULL,                    -- JSON: tags and the like
    gone_ms  INTEGER NOT NULL,
    reason   TEXT NOT NULL                      -- removed, overwritten, …
) STRICT;
CREATE INDEX trash_gone ON trash (gone_ms);
CREATE INDEX trash_path ON trash (job, path);
CREATE INDEX trash_content ON trash (content) WHERE content IS NOT NULL;
CREATE TRIGGER trash_linked AFTER INSERT ON trash WHEN new.content IS NOT NULL BEGIN
    UPDATE content SET kept = kept + 1 WHERE id = new.content;
END;
CREATE TRIGGER trash_unlinked AFTER DELETE ON trash WHEN old.content IS NOT NULL BEGIN
    UPDATE content SET kept = kept - 1 WHERE id = old.content;
END;
CREATE TRIGGER aside_linked AFTER INSERT ON aside WHEN new.content IS NOT NULL BEGIN
    UPDATE content SET kept = kept + 1 WHERE id = new.content;
END;
CREATE TRIGGER aside_unlinked AFTER DELETE ON aside WHEN old.content IS NOT NULL BEGIN
    UPDATE content SET kept = kept - 1 WHERE id = old.content;
END;
"""

MIGRATIONS: tuple[tuple[str, str], ...] = (("first", _FIRST), ("bucket", _BUCKET))
VERSION = len(MIGRATIONS)


def statements(script: str) -> list[str]:
    """Split a DDL script into statements, triggers whole; `executescript` would commit the migration's transaction."""
    done: list[str] = []
    current = ""
    for line in script.splitlines(keepends=True):
        current += line
        if sqlite3.complete_statement(current):
            done.append(current)
            current = ""
    return done


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the catalog to `VERSION`; each migration is one transaction, recorded with it."""
    import sqlite_utils  # 180 ms, and only a new or older catalog needs it
    from sqlite_utils import Migrations

    migrations = Migrations("mountfs")
    for number, (name, script) in enumerate(MIGRATIONS, 1):
        migrations(name=name)(_step(script, number))
    migrations.apply(sqlite_utils.Database(connection, execute_plugins=False))


def _step(script: str, number: int) -> "Callable[[sqlite_utils.Database], None]":
    def apply(db: "sqlite_utils.Database") -> None:
        for statement in statements(script):
            db.conn.execute(statement)
        db.conn.execute(f"PRAGMA user_version = {number}")
        db.conn.execute(f"PRAGMA application_id = {APPLICATION_ID}")

    return apply
