"""What versions add: the contents that files had before."""

VERSIONS = """
CREATE TABLE version (                          -- settled contents of a file that others took the place of
    ino      INTEGER NOT NULL,
    stamp    TEXT NOT NULL,                     -- under which this content came
    content  INTEGER NOT NULL,
    size     INTEGER NOT NULL,                  -- plain bytes
    mtime_ns INTEGER NOT NULL,
    birth_ns INTEGER NOT NULL,
    PRIMARY KEY (ino, stamp)
) STRICT, WITHOUT ROWID;
CREATE INDEX version_content ON version (content);
CREATE TRIGGER version_linked AFTER INSERT ON version BEGIN
    UPDATE content SET kept = kept + 1 WHERE id = new.content;
END;
CREATE TRIGGER version_unlinked AFTER DELETE ON version BEGIN
    UPDATE content SET kept = kept - 1 WHERE id = old.content;
END;
CREATE TRIGGER version_of_nothing AFTER DELETE ON entry BEGIN
    DELETE FROM version WHERE ino = old.ino;
END;
"""
