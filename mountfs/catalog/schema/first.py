"""A store on one machine: entries, registers, contents, drafts."""

FIRST = """
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
