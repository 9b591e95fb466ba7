-- The database and its roles, each with the password of its secret. Safe to run again: a changed secret takes
-- effect, nothing else changes. The value of a secret is the first line of its file.
\set role flowship_owner
\set login `sed -n 1p "$POSTGRES_OWNER_PASSWORD_FILE"`
\ir login-role.sql
\set role flowship_app
\set login `sed -n 1p "$POSTGRES_APP_PASSWORD_FILE"`
\ir login-role.sql
\set role flowship_exporter
\set login `sed -n 1p "$POSTGRES_EXPORTER_PASSWORD_FILE"`
\ir login-role.sql
\set role flowship_barman
\set login `sed -n 1p "$POSTGRES_BARMAN_PASSWORD_FILE"`
\ir login-role.sql

ALTER ROLE flowship_barman REPLICATION;
GRANT pg_monitor TO flowship_exporter;
GRANT pg_checkpoint TO flowship_barman;

SELECT format('CREATE DATABASE %I OWNER flowship_owner', :'database')
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'database')
\gexec

REVOKE ALL ON DATABASE :"database" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"database" TO flowship_app, flowship_exporter, flowship_barman;
