"""Settings as text: the commented example, and the effective ones."""

from pathlib import Path
from typing import Final

import yaml
from pydantic import BaseModel, SecretStr

from mountfs.config.schema import SIZE_ALLOWED, Settings
from mountfs.namespace.units import exact_size

SECRET: Final = "***"


def example() -> str:
    """Every key with its default and what it does: a valid settings file, as it is and with all uncommented.

    A comment is `# ` and a sentence; a key that may be uncommented is `#` and the key.
    """
    return _EXAMPLE


def show(settings: Settings) -> str:
    """The effective settings as YAML that loads to the same settings, but for secrets: those are stars."""
    return yaml.safe_dump(_shown_section(settings), sort_keys=False, allow_unicode=True)


def _shown_section(section: BaseModel) -> dict[str, object]:
    shown: dict[str, object] = {}
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        is_size = SIZE_ALLOWED in field.metadata and isinstance(value, int)
        shown[name] = exact_size(value) if is_size and value else _shown_value(value)
    return shown


def _shown_value(value: object) -> object:
    match value:
        case BaseModel():
            return _shown_section(value)
        case SecretStr():
            return SECRET
        case Path():
            return str(value)
        case float():
            return int(value) if value.is_integer() else value
        case tuple():
            return [_shown_value(item) for item in value]
        case dict():
            return {key: _shown_value(item) for key, item in value.items()}
        case _:
            return value


_EXAMPLE = """\
# Settings of mountfs. Found as --config FILE, $MOUNTFS_CONFIG, mountfs.yml in the working directory or
# above, then mountfs/mountfs.yml in the XDG config directory. Each key is also an environment variable:
# cache.max_size is MOUNTFS_CACHE__MAX_SIZE. Text may use ${VARIABLE}; $$ is a dollar sign.
#
# A file found in the working directory may set mountpoint, types, tags, layouts and compression only,
# and none of the tags branch, status, pr and commit, until you say: mountfs config trust FILE
#
# Sizes: 100 MiB, 20 GiB, 1 TB. Durations: 30d, 12h, 2s, 500ms. A line "#key: …" can be uncommented.

# Numbers for what is not said below: qe-summary, qe-fleet, agent, signed, documents.
#preset: qe-fleet

# Where the artifacts appear.
mountpoint: .artifacts

# Where contents and catalog are kept: a local disk, not below the mountpoint. Left out: a directory of its
# own for each mountpoint, under the XDG state directory.
#state: /var/lib/mountfs/ci

# Missing directories are made on the way; always so, the key is accepted for older files.
create_dirs: true

storage:
  # local: nothing leaves this machine. directory: a shared directory. s3: a bucket.
  backend: local

  # For backend: s3. Credentials come from where the AWS tools look: environment, files, instance role.
  #s3:
    #bucket: my-artifacts
    #prefix: qe/
    #region: us-east-1
    # Another server than AWS; for MinIO and others also path_style: true.
    #endpoint_url: https://s3.example.org
    # false lets plain http leave this machine.
    #use_ssl: true
    #path_style: false
    # AES256, aws:kms or aws:kms:dsse.
    #sse: null
    #storage_class: null
    # What confirms an upload. when_supported: SHA-256. when_required: MD5, for servers that know nothing else.
    # auto: both are sent, and one of them must come back.
    #checksum: auto
    # Connections kept open, and how long a server may take to accept one, or to say the next word.
    #connections: 16
    #connect_timeout_seconds: 5
    #read_timeout_seconds: 20

  # For backend: directory.
  #directory:
    #path: /mnt/share/artifacts

# With a remote: how much of the contents stays here too. Cleaning starts at the high mark, ends at the low.
cache:
  max_size: 20 GiB
  high_watermark: 0.9
  low_watermark: 0.8

compression:
  enabled: true
  # zstd or none.
  algorithm: zstd
  # 1 (fast) to 19 (small).
  level: 3
  # By type: none, zstd, or a level.
  #types: {videos: none, build-logs: 9}

limits:
  # 0 is no limit.
  max_artifact_size: 0
  quota: 0
  # The part of the quota at which a warning is given.
  warn_threshold: 0.8
  # Tags of one artifact, at most 64.
  max_tags: 64
  # An artifact is told to have jumped in size (event size_jump) when it has so many times the median of the last ones
  # at the same path of other jobs of its branch, and so much more.
  size_jump:
    factor: 1.5
    least: 1 MiB
    last: 5

sync:
  # full: know the whole index. lazy: only the jobs looked at; the default where CI is set.
  #mode: full
  # How long a first look at an unknown job may take during an outage.
  look_seconds: 3
  # How old the answer about a job may be, and that of the views.
  refresh_seconds: 2
  sync_seconds: 10
  # A job is uploaded once it is quiet for so long, or its oldest change is so old.
  settle_seconds: 2
  settle_max_seconds: 60
  # How long a read of content that is not here may take.
  patience_seconds: 30

# Tags by which jobs are found without the whole index.
heads: [branch, commit, pr]

# Files of these names are published while they are still open.
live:
  #patterns: ["*.log"]
  seconds: 30

# What expires. All artifacts of one type in one job go together, counted from the last one published; what is pinned,
# and the newest successful job of a branch, never goes.
retention:
  # false: nothing expires, not even what has a date of its own (user.mountfs.expires_at).
  enabled: true
  # 0: nothing expires by age.
  default_ttl_days: 0
  # So many newest jobs of each group stay, whatever their age; groups by type and by tags, as [type, branch].
  keep_latest_n: 0
  group_by: [type]
  # By type, days; 0 is never.
  #types: {test-results: 30, coverage-report: 90, security-findings: 365}
  # Minute, hour, day, month, weekday, in UTC.
  schedule: "0 2 * * *"

# How long what was deleted can be restored.
trash_days: 7

# others: what another machine wrote is not removed by rm. none: it is.
protect: others

# mounter: what comes from elsewhere belongs to who mounts. recorded: to the recorded numbers.
owner: mounter

# unlisted: views answer when asked for. listed: they show in ls. off: there are none.
views: unlisted

# true: an artifact that is overwritten stays below .versions/JOB/PATH/ with its number.
versions:
  enabled: false

# Who is told of what: quota_warning, size_jump, upload_failed, job_expired, conflict_lost. A command, without a shell,
# gets JSON on its standard input and MOUNTFS_EVENT_KIND, _TEXT, _JOB… in its environment; a URL gets that JSON by POST.
# Nothing waits for them; beyond 1000 that wait the oldest is dropped and counted. A secret belongs into a ${VARIABLE}.
#events:
  #- on: [quota_warning, upload_failed]
    #command: [logger, -t, mountfs, quota or upload]
    #timeout_seconds: 10
  #- on: [job_expired]
    #url: https://hooks.example.org/mountfs

signing:
  # The key is better in a file, or in MOUNTFS_SIGNING__KEY, than here.
  #key_file: /etc/mountfs/signing.key
  #key: ${ARTIFACT_SIGNING_KEY}
  # true: content without a good signature is not served.
  require: false

# disk: fsync is for this machine's disk. bucket: it waits until the bucket has confirmed.
fsync: disk

# Every request is answered within this time.
handler_seconds: 10

# Types of your own, and more names for the known ones: stems, directories, globs.
#types: {load-tests: [k6, "*.jtl"], coverage-report: [cov-html]}

# Tags put on every job created here.
#tags: {team: payments}

# Parts of the path below a job that become tags.
#layouts: ["{spec}/{task}/{type}"]

# Let other users of this machine into the mount.
allow_other: false
"""
