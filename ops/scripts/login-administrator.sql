-- The login roles of `role` that take turns, and `role`_admin, who gives them passwords. It can act as neither. Safe to run again.
SET client_min_messages = warning;

SELECT format('CREATE ROLE %I', name)
FROM unnest(ARRAY[:'role' || '_a', :'role' || '_b', :'role' || '_admin']) AS name
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name)
\gexec
SELECT format('GRANT %I TO %I', :'role', name), format('ALTER ROLE %I SET role = %L', name, :'role')
FROM unnest(ARRAY[:'role' || '_a', :'role' || '_b']) AS name
\gexec
SELECT format('ALTER ROLE %I LOGIN CREATEROLE', :'role' || '_admin'),
       format('GRANT CONNECT ON DATABASE %I TO %I', :'database', :'role' || '_admin'),
       format('GRANT %I, %I TO %I WITH ADMIN OPTION, INHERIT FALSE, SET FALSE', :'role' || '_a', :'role' || '_b', :'role' || '_admin')
\gexec
