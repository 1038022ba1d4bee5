"""Users, their roles, clients, and families of refresh tokens."""

from alembic import op

revision = "0001"
down_revision = None

TABLES = (
    """
    create table users (
        id uuid primary key,
        username text not null unique check (username = lower(username)),
        name text not null default '',
        email text,
        password_hash text not null,
        active boolean not null default true,
        seed text,
        created_at timestamptz not null default now(),
        updated_at timestamptz not null default now()
    )
    """,
    """
    create table user_roles (
        user_id uuid not null references users on delete cascade,
        role text not null,
        primary key (user_id, role)
    )
    """,
    """
    create table clients (
        id text primary key,
        name text not null,
        redirect_uris text[] not null,
        post_logout_redirect_uris text[] not null,
        grants text[] not null,
        scopes text[] not null,
        roles text[] not null,
        secret_digest text,
        created_at timestamptz not null default now()
    )
    """,
    """
    create table refresh_families (
        id uuid primary key,
        client_id text not null references clients on delete cascade,
        user_id uuid not null references users on delete cascade,
        session text not null,
        scope text not null,
        auth_time bigint not null,
        created_at timestamptz not null default now(),
        expires_at timestamptz not null,
        ended_at timestamptz,
        reason text
    )
    """,
    "create index refresh_families_user on refresh_families (user_id) where ended_at is null",
    "create index refresh_families_session on refresh_families (session) where ended_at is null",
    "create index refresh_families_expiry on refresh_families (expires_at)",
    """
    create table refresh_tokens (
        digest text primary key,
        family uuid not null references refresh_families on delete cascade,
        replaced_by text,
        created_at timestamptz not null default now()
    )
    """,
    "create index refresh_tokens_family on refresh_tokens (family)",
)


def upgrade() -> None:
    """Make the tables."""
    for statement in TABLES:
        op.execute(statement)
