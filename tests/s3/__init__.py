"""Real daemons on a real S3 server, each with a proxy of its own in between that misbehaves on request."""
