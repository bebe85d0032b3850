"""What reports say: formats told by their content, brought to one model, and kept as a few numbers.

    model                  what a report says, whatever tool wrote it
    reading                bytes in, an answer out: read, unreadable with the reason, or unknown
    detecting, formats/    which format it is, and one reader a family
    content, xml, shape    text, XML and JSON from strangers
    limits                 what one report may hold
    summaries              kind, type and flat numbers by dotted name
    wire, coded            what parent and child say to each other
    child, process         the process in which reports are read, and its parent for commands

Nothing here knows the rest of mountfs, and nothing here opens a file: who reads brings bytes. Reports come from
strangers (pull requests), so they are read in a child: `process.Reader` for commands, the daemon by `wire`.
"""
