"""The table of events, found by type and by correlation, the newest first."""

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the table."""
    op.execute(
        """
        CREATE TABLE events (
            id uuid PRIMARY KEY,
            type text NOT NULL,
            source text NOT NULL,
            occurred_at timestamptz NOT NULL,
            received_at timestamptz NOT NULL DEFAULT now(),
            correlation_id text,
            payload jsonb NOT NULL
        )
        """
    )
    op.execute("CREATE INDEX events_type_received_at ON events (type, received_at DESC)")
    op.execute("CREATE INDEX events_correlation_id ON events (correlation_id)")
