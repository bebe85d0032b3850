"""What `scripts/bench` is made of.

`samples` (what is written), `worker` and `watchdog` (programs of their own), `systems` (ext4, the passthrough
example, mountfs), `buckets` (an S3 server, and mountfs and its peers on it), `bench` (how work is timed on them),
`rows`, `index_rows` and `bucket_rows` (what is measured), `catalog` and `queries` (a large index, and what is asked of
it), `table` (how it is told).
"""
