"""When jobs began: by that they are newer and older, whatever is published in them later (`namespace/ages.py`)."""

BEGUN = """
UPDATE holding SET began_ns = min(
    (SELECT min(created_ns) FROM found INDEXED BY found_began WHERE job = holding.job),
    coalesce((SELECT birth_ns FROM entry WHERE ino = holding.job AND stamp <> ''), 9223372036854775807)
)"""
"""A directory without a stamp was made by nobody: it exists because something lies in it."""

BEGINNINGS = f"""
ALTER TABLE holding ADD COLUMN began_ns INTEGER NOT NULL DEFAULT 0;  -- the earliest time at which anything in it was
                                                                    -- made
CREATE INDEX found_began ON found (job, created_ns);
CREATE INDEX holding_began ON holding (began_ns);
{BEGUN};
CREATE TRIGGER found_begun AFTER UPDATE OF birth_ns, stamp ON entry
WHEN new.kind = 2 AND new.parent = 1
    AND (new.birth_ns <> old.birth_ns OR (new.stamp = '') <> (old.stamp = '')) BEGIN
    INSERT INTO changed VALUES (new.ino, 0, x'') ON CONFLICT (ino) DO NOTHING;
END;
"""
