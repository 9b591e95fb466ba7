-- The database and its roles, each with the password of its secret. Safe to run again: a changed secret takes
-- effect, nothing else changes.
\set owner_password `cat "$POSTGRES_OWNER_PASSWORD_FILE"`
\set app_password `cat "$POSTGRES_APP_PASSWORD_FILE"`
\set exporter_password `cat "$POSTGRES_EXPORTER_PASSWORD_FILE"`
\set barman_password `cat "$POSTGRES_BARMAN_PASSWORD_FILE"`

-- Passwords must not reach the server's log, whatever its settings.
SET log_statement = 'none';
SET log_min_duration_statement = -1;
SET client_min_messages = warning;

SELECT format('CREATE ROLE %I LOGIN', wanted.name)
FROM (VALUES ('flowship_owner'), ('flowship_app'), ('flowship_exporter'), ('flowship_barman')) AS wanted (name)
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted.name)
\gexec

ALTER ROLE flowship_owner LOGIN PASSWORD :'owner_password';
ALTER ROLE flowship_app LOGIN PASSWORD :'app_password';
ALTER ROLE flowship_exporter LOGIN PASSWORD :'exporter_password';
ALTER ROLE flowship_barman LOGIN REPLICATION PASSWORD :'barman_password';
GRANT pg_monitor TO flowship_exporter;
GRANT pg_checkpoint TO flowship_barman;

SELECT format('CREATE DATABASE %I OWNER flowship_owner', :'database')
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'database')
\gexec

REVOKE ALL ON DATABASE :"database" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"database" TO flowship_app, flowship_exporter, flowship_barman;
