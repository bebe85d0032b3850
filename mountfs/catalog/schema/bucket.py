"""What a bucket adds: what is owed, what is known of it, what is under way there, and the trash."""

BUCKET = """
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
