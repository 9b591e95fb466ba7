-- Lets `login` in: USER:PASSWORD, where the user becomes a member of `role` and acts as it, or a password alone, which is
-- that of `role`. Safe to run again. Passwords must not reach the server's log, whatever its settings.
SET log_statement = 'none';
SET log_min_duration_statement = -1;
SET log_min_error_statement = 'panic';
SET client_min_messages = warning;

SELECT CASE WHEN strpos(:'login', ':') > 0 THEN split_part(:'login', ':', 1) ELSE :'role' END AS login_user,
       substr(:'login', strpos(:'login', ':') + 1) AS login_password
\gset

SELECT format('CREATE ROLE %I', wanted.name)
FROM (SELECT :'role' AS name UNION SELECT :'login_user') AS wanted
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted.name)
\gexec

ALTER ROLE :"login_user" LOGIN PASSWORD :'login_password';

SELECT format('GRANT %I TO %I', :'role', :'login_user') WHERE :'role' <> :'login_user'
\gexec
SELECT format('ALTER ROLE %I SET role = %L', :'login_user', :'role') WHERE :'role' <> :'login_user'
\gexec
