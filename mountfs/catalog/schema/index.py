"""The search index: derived from entries and registers, filled behind the writes, and never needed to read an artifact.

What changed is noted by triggers, and little of it: entries that are newer than all that was read so far are found by
their numbers. The note of a directory stands for all below it.
"""

INDEX = """
CREATE TABLE indexing (                         -- how far the index has come
    id       INTEGER PRIMARY KEY CHECK (id = 1),
    read_to  INTEGER NOT NULL,                  -- entries up to this number were read; 0: all are to be read (again)
    noted_to INTEGER NOT NULL,                  -- the highest it ever was: what changes up to there is noted
    rules    TEXT NOT NULL                      -- by which types were told; with other rules all is read again
) STRICT;
INSERT INTO indexing VALUES (1, 0, 0, '');

CREATE TABLE changed (
    ino   INTEGER PRIMARY KEY,                  -- of an entry, or of one that went
    deep  INTEGER NOT NULL CHECK (deep IN (0, 1)), -- of a job: also what lies below it; of other directories always
    after BLOB NOT NULL                         -- of a directory: up to this name what lies in it was looked at
) STRICT;

CREATE TABLE word (                             -- types, MIME types, formats
    id   INTEGER PRIMARY KEY,
    text BLOB NOT NULL UNIQUE
) STRICT;

CREATE TABLE found (                            -- every file and symlink that has a name
    ino          INTEGER PRIMARY KEY,
    job          INTEGER NOT NULL,              -- ino of the job's entry
    path         BLOB NOT NULL,                 -- below the job
    name         BLOB NOT NULL,                 -- its last part
    link         INTEGER NOT NULL CHECK (link IN (0, 1)),   -- a symlink
    type         INTEGER NOT NULL,              -- a word: said, by name, by format, or custom
    mime         INTEGER NOT NULL,              -- a word
    format       INTEGER,                       -- a word
    size         INTEGER NOT NULL,
    stored       INTEGER NOT NULL,
    created_ns   INTEGER NOT NULL,
    modified_ns  INTEGER NOT NULL,
    published_ms INTEGER NOT NULL,              -- what the stamp of its content tells
    expires_s    INTEGER,
    pinned       INTEGER NOT NULL CHECK (pinned IN (0, 1)),
    recovered    INTEGER NOT NULL CHECK (recovered IN (0, 1)),
    digest       BLOB                           -- of a symlink; of files the contents know it
) STRICT;
CREATE UNIQUE INDEX found_path ON found (job, path);
CREATE INDEX found_published ON found (published_ms);
CREATE INDEX found_type ON found (type, published_ms);
CREATE INDEX found_job ON found (job, published_ms);
CREATE INDEX found_created ON found (created_ns);
CREATE INDEX found_size ON found (size);
CREATE INDEX found_name ON found (name);
CREATE INDEX found_format ON found (format, published_ms) WHERE format IS NOT NULL;
CREATE INDEX found_expires ON found (expires_s) WHERE expires_s IS NOT NULL;
CREATE INDEX found_pinned ON found (ino) WHERE pinned = 1;
CREATE INDEX found_recovered ON found (ino) WHERE recovered = 1;
CREATE INDEX found_link ON found (digest) WHERE link = 1;

CREATE TABLE job_tag (                          -- tags of jobs: an artifact has one unless own_tag says otherwise
    job   INTEGER NOT NULL,
    key   TEXT NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (job, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX job_tag_value ON job_tag (key, value, job);
CREATE TABLE own_tag (                          -- what an artifact itself, or a directory between it and its job, says
    ino   INTEGER NOT NULL,
    key   TEXT NOT NULL,
    value BLOB NOT NULL,
    job   INTEGER NOT NULL,
    PRIMARY KEY (ino, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX own_tag_value ON own_tag (key, value, job);
CREATE INDEX own_tag_job ON own_tag (job, key);

CREATE TABLE holding (                          -- sums of each job
    job       INTEGER PRIMARY KEY,
    artifacts INTEGER NOT NULL CHECK (artifacts >= 0),
    size      INTEGER NOT NULL,
    stored    INTEGER NOT NULL,
    newest_ms INTEGER NOT NULL,                 -- the latest and the earliest publication in it
    oldest_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX holding_newest ON holding (newest_ms);
CREATE TABLE tally (                            -- sums of each type in each job
    type      INTEGER NOT NULL,
    job       INTEGER NOT NULL,
    artifacts INTEGER NOT NULL CHECK (artifacts >= 0),
    size      INTEGER NOT NULL,
    stored    INTEGER NOT NULL,
    newest_ms INTEGER NOT NULL,
    PRIMARY KEY (type, job)
) STRICT, WITHOUT ROWID;
CREATE INDEX tally_job ON tally (job);
CREATE TABLE daily (                            -- how many of a job's artifacts were created on each day, in UTC
    day       INTEGER NOT NULL,                 -- since the epoch
    job       INTEGER NOT NULL,
    artifacts INTEGER NOT NULL CHECK (artifacts >= 0),
    PRIMARY KEY (day, job)
) STRICT, WITHOUT ROWID;
CREATE INDEX daily_job ON daily (job, day);

-- What changed. ON CONFLICT is said in each: a statement's own OR REPLACE would count in its triggers otherwise.
CREATE TRIGGER found_new AFTER INSERT ON entry
WHEN new.ino <= (SELECT noted_to FROM indexing) BEGIN
    INSERT INTO changed VALUES (new.ino, 1, x'') ON CONFLICT (ino) DO UPDATE SET deep = 1, after = x'';
END;
CREATE TRIGGER found_other AFTER UPDATE OF size, content, stamp, mtime_ns, standing ON entry
WHEN new.kind <> 2
    AND (new.size <> old.size OR new.content IS NOT old.content OR new.mtime_ns <> old.mtime_ns
         OR new.standing <> old.standing OR substr(new.stamp, 1, 12) <> substr(old.stamp, 1, 12))
    AND new.ino <= (SELECT noted_to FROM indexing) BEGIN
    INSERT INTO changed VALUES (new.ino, 0, x'') ON CONFLICT (ino) DO NOTHING;
END;
CREATE TRIGGER found_moved AFTER UPDATE OF parent, name ON entry
WHEN (new.parent <> old.parent OR new.name <> old.name)
    AND (new.kind = 2 OR new.ino <= (SELECT noted_to FROM indexing))
    AND (new.parent <> 1 OR old.parent <> 1) BEGIN      -- below a job that only has another name nothing changes
    INSERT INTO changed VALUES (new.ino, 1, x'') ON CONFLICT (ino) DO UPDATE SET deep = 1, after = x'';
END;
CREATE TRIGGER found_gone AFTER DELETE ON entry
WHEN old.kind = 2 OR old.ino <= (SELECT noted_to FROM indexing) BEGIN
    INSERT INTO changed VALUES (old.ino, 0, x'') ON CONFLICT (ino) DO NOTHING;
END;
CREATE TRIGGER found_stored AFTER UPDATE OF stored ON content WHEN new.stored <> old.stored BEGIN
    INSERT INTO changed SELECT ino, 0, x'' FROM entry
        WHERE content = new.id AND ino <= (SELECT noted_to FROM indexing) ON CONFLICT (ino) DO NOTHING;
END;
CREATE TRIGGER found_said AFTER INSERT ON register
WHEN (substr(new.name, 1, 4) = 'tag:' OR new.name IN ('type', 'mime_type', 'expires_at', 'pinned'))
    AND (new.ino <= (SELECT noted_to FROM indexing) OR (SELECT kind FROM entry WHERE ino = new.ino) = 2) BEGIN
    INSERT INTO changed VALUES (new.ino, 0, x'') ON CONFLICT (ino) DO UPDATE SET after = x'';
END;
CREATE TRIGGER found_resaid AFTER UPDATE OF value, gone ON register
WHEN (new.value <> old.value OR new.gone <> old.gone)
    AND (new.ino <= (SELECT noted_to FROM indexing) OR (SELECT kind FROM entry WHERE ino = new.ino) = 2) BEGIN
    INSERT INTO changed VALUES (new.ino, 0, x'') ON CONFLICT (ino) DO UPDATE SET after = x'';
END;
CREATE TRIGGER found_unsaid AFTER DELETE ON register
WHEN old.ino <= (SELECT noted_to FROM indexing) OR (SELECT kind FROM entry WHERE ino = old.ino) = 2 BEGIN
    INSERT INTO changed VALUES (old.ino, 0, x'') ON CONFLICT (ino) DO UPDATE SET after = x'';
END;
"""
