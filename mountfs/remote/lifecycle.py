"""The lifecycle of a bucket, asked for and set: it belongs to all of the bucket, and not to a prefix."""

from collections.abc import Sequence

from mountfs.config.schema import S3
from mountfs.remote.policy import Rule
from mountfs.remote.s3 import Connection


class Lifecycle:
    """Imports boto3. Raises RemoteUnavailable, RemoteDenied."""

    def __init__(self, settings: S3) -> None:
        self._about = f"the lifecycle of s3://{settings.bucket}"
        self._connection = Connection(settings)

    def rules(self) -> list[Rule]:
        answer = self._connection.ask(
            "get_bucket_lifecycle_configuration", self._about, {}, accepts=("NoSuchLifecycleConfiguration",)
        )
        return [row.values for row in answer.rows("Rules")]

    def set(self, rules: Sequence[Rule]) -> None:
        """These are all the rules from now on."""
        said = {"LifecycleConfiguration": {"Rules": [dict(rule) for rule in rules]}}
        self._connection.ask("put_bucket_lifecycle_configuration", self._about, dict(said))

    def close(self) -> None:
        self._connection.close()
