"""What `scripts/bench` is made of.

`samples` (what is written), `worker` and `watchdog` (programs of their own), `systems` (ext4, the passthrough
example, mountfs), `bench` (how work is timed on them), `rows` (what is measured), `table` (how it is told).
"""
