"""What a report needs to go whole: a note of what is on its way out, and of whom nobody was told yet."""

GOING = """
CREATE TABLE going (                            -- reports, and artifacts with a date of their own, that retention takes
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    job       INTEGER NOT NULL,                 -- ino of the job's entry
    name      BLOB NOT NULL,                    -- and its name when that was decided
    type      BLOB NOT NULL,
    path      BLOB NOT NULL,                    -- of an artifact that goes alone; empty: the whole report
    newest_ms INTEGER NOT NULL,                 -- what was published later was not judged, and stays
    reason    BLOB NOT NULL,
    artifacts INTEGER NOT NULL,                 -- how many went so far, and their bytes
    size      INTEGER NOT NULL,
    stored    INTEGER NOT NULL,
    directory INTEGER NOT NULL,                 -- in which the last of them lay: it goes too if nothing is left in it
    tells     INTEGER NOT NULL CHECK (tells IN (0, 1)),     -- somebody is to be told, and the note stays until he is
    is_over   INTEGER NOT NULL CHECK (is_over IN (0, 1))    -- all of it went; 0: the next start goes on
) STRICT;
"""
