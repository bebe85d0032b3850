"""What reports say, by the digest of their plain bytes: the same content says the same, wherever it is."""

REPORTS = """
CREATE TABLE report (
    digest  BLOB PRIMARY KEY CHECK (length(digest) = 32),
    answer  TEXT NOT NULL CHECK (answer IN ('parsed', 'unreadable', 'unknown')),
    format  TEXT NOT NULL CHECK ((format = '') = (answer = 'unknown')),  -- junit, cobertura, …
    schema  TEXT NOT NULL,                      -- the format's version, as the report says it
    kind    TEXT NOT NULL,                      -- tests, coverage, findings, …: what the numbers are about
    type    TEXT NOT NULL,                      -- the type that such a report is, where no name says another
    reason  TEXT NOT NULL,                      -- why it is unreadable
    summary TEXT NOT NULL,                      -- numbers by dotted name, a JSON object
    reader  INTEGER NOT NULL                    -- by which readers; with other ones it is read again
) STRICT, WITHOUT ROWID;

CREATE TABLE unread (content INTEGER PRIMARY KEY) STRICT;  -- may be a report, and nobody has looked yet

CREATE TRIGGER report_gone AFTER DELETE ON content BEGIN
    DELETE FROM unread WHERE content = old.id;
    DELETE FROM report WHERE digest = old.digest AND NOT EXISTS (SELECT 1 FROM content WHERE digest = old.digest);
END;
-- What was in the bucket alone is here: it can be read. The index looks at its entries again, and notes it.
CREATE TRIGGER report_here AFTER UPDATE OF place ON content WHEN old.place = 'bucket' AND new.place <> 'bucket' BEGIN
    INSERT INTO changed SELECT ino, 0, x'' FROM entry
        WHERE content = new.id AND ino <= (SELECT noted_to FROM indexing) ON CONFLICT (ino) DO NOTHING;
END;
"""
