"""What the first bytes of contents tell, by the digest of their plain bytes."""

MIMES = """
CREATE TABLE mime (                             -- of contents that are, or were, here; plain text has no row
    digest BLOB PRIMARY KEY CHECK (length(digest) = 32),
    text   TEXT NOT NULL CHECK (text <> 'text/plain')
) STRICT, WITHOUT ROWID;

CREATE TRIGGER mime_gone AFTER DELETE ON content BEGIN
    DELETE FROM mime WHERE digest = old.digest AND NOT EXISTS (SELECT 1 FROM content WHERE digest = old.digest);
END;
-- The index looks again at entries that it has seen before this was known.
CREATE TRIGGER mime_told AFTER INSERT ON mime BEGIN
    INSERT INTO changed SELECT e.ino, 0, x'' FROM content c CROSS JOIN entry e ON e.content = c.id
        WHERE c.digest = new.digest AND e.ino <= (SELECT noted_to FROM indexing) ON CONFLICT (ino) DO NOTHING;
END;
CREATE TRIGGER mime_settled AFTER UPDATE OF digest ON content
WHEN old.digest IS NULL AND EXISTS (SELECT 1 FROM mime WHERE digest = new.digest) BEGIN
    INSERT INTO changed SELECT ino, 0, x'' FROM entry
        WHERE content = new.id AND ino <= (SELECT noted_to FROM indexing) ON CONFLICT (ino) DO NOTHING;
END;
"""
