"""The SQL that provisions PostgreSQL: who there is, and who may do what. Every statement may be repeated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import BaseModel, ConfigDict, Field

MAINTENANCE = "postgres"
#: Where the pooler's look-up is kept in each database.
LOOKUP_SCHEMA = "pooler"

#: A failing or slow statement is not logged with its text: it may hold a password.
PREAMBLE = """\
\\set ON_ERROR_STOP on
SET log_min_error_statement = panic;
SET log_min_duration_statement = -1;
SET client_min_messages = warning;
REVOKE ALL ON DATABASE postgres, template1 FROM PUBLIC;
"""
ROLE = """\
SELECT 'CREATE ROLE "{name}"' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{name}') \\gexec
"""
#: The password is set every time, so that a changed one takes effect instead of locking its user out.
LOGIN = ROLE + """ALTER ROLE "{name}" LOGIN {attributes} PASSWORD '{password}';\n"""
OWNER = ROLE + """ALTER ROLE "{name}" NOLOGIN PASSWORD NULL;\n"""
#: What Vault and its services' roles say in SQL has passwords in it. It makes roles without having their rights itself.
VAULT = """\
ALTER ROLE "{name}" SET log_min_error_statement = panic;
ALTER ROLE "{name}" SET log_min_duration_statement = -1;
GRANT CONNECT ON DATABASE postgres TO "{name}";
"""
DATABASE = """\
SELECT 'CREATE DATABASE "{name}" OWNER "{owner}"'
 WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = '{name}') \\gexec
ALTER DATABASE "{name}" OWNER TO "{owner}";
REVOKE ALL ON DATABASE "{name}" FROM PUBLIC;
GRANT CONNECT ON DATABASE "{name}" TO "{pooler}";
GRANT "{owner}" TO "{migrator}";
GRANT "{owner}" TO "{vault}" WITH ADMIN OPTION;
"""
#: The verifier of a password, for who may log in here and is no superuser. It is asked by the pooler alone; of the
#: platform's own logins it says nothing, as none of them is a service.
LOOKUP = """\
\\connect "{name}"
SET client_min_messages = warning;
CREATE SCHEMA IF NOT EXISTS {schema};
CREATE OR REPLACE FUNCTION {schema}.lookup(wanted text, OUT login text, OUT verifier text) RETURNS SETOF record
 LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT rolname, rolpassword FROM pg_authid
   WHERE rolname = wanted AND rolcanlogin AND NOT rolsuper AND NOT rolcreaterole
     AND rolname NOT IN ('{vault}', '{migrator}', '{pooler}')
     AND (rolvaliduntil IS NULL OR rolvaliduntil > now())
     AND has_database_privilege(oid, current_database(), 'CONNECT')
$$;
REVOKE ALL ON FUNCTION {schema}.lookup(text) FROM PUBLIC;
GRANT USAGE ON SCHEMA {schema} TO "{pooler}";
GRANT EXECUTE ON FUNCTION {schema}.lookup(text) TO "{pooler}";
"""


class Database(BaseModel):
    """A database and the role that owns it. ``login``: the owner itself logs in, with a password that stays."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")
    owner: str = Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")
    login: bool = False


def script(
    databases: Sequence[Database], passwords: Mapping[str, str], *, vault: str, migrator: str, pooler: str
) -> str:
    """What psql is given: roles first, then databases, then what is inside each."""
    attributes = {vault: "CREATEROLE NOINHERIT", migrator: "INHERIT", pooler: "NOINHERIT"}
    parts = [PREAMBLE]
    parts += [
        LOGIN.format(name=login, attributes=attributes.get(login, ""), password=password)
        for login, password in passwords.items()
    ]
    parts += [OWNER.format(name=d.owner) for d in databases if not d.login]
    parts.append(VAULT.format(name=vault))
    names = {"vault": vault, "migrator": migrator, "pooler": pooler}
    parts += [DATABASE.format(name=d.name, owner=d.owner, **names) for d in databases]
    parts += [LOOKUP.format(name=d.name, schema=LOOKUP_SCHEMA, **names) for d in databases]
    return "".join(parts)
