-- The nodes connect as flowship_app, never as the owner: results and transitions can be added and read,
-- not changed or removed. Whoever provisions the database gives the role its password and LOGIN; here it
-- is only made to exist, so that the migrations also work alone.

-- migrate:up
DO $$
BEGIN
    -- Asked first: an owner who may not make roles would be refused even where the role is there.
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'flowship_app') THEN
        CREATE ROLE flowship_app NOLOGIN;
    END IF;
END
$$;

GRANT USAGE ON SCHEMA flowship TO flowship_app;
GRANT SELECT, INSERT ON flowship.tasks, flowship.task_results, flowship.task_transitions TO flowship_app;
GRANT UPDATE (status, attempts, last_error, updated_at) ON flowship.tasks TO flowship_app;
GRANT SELECT, INSERT, UPDATE ON flowship.api_keys, flowship.queue_controls TO flowship_app;
GRANT SELECT, INSERT, DELETE ON flowship.smoke_marks TO flowship_app;
GRANT SELECT ON flowship.task_documents TO flowship_app;
REVOKE EXECUTE ON FUNCTION flowship.forget_smoke_tasks(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION flowship.forget_smoke_tasks(text) TO flowship_app;

GRANT USAGE ON SCHEMA pgboss TO flowship_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA pgboss TO flowship_app;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA pgboss TO flowship_app;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA pgboss TO flowship_app;

-- migrate:down
-- The role stays: other databases of the same server may use it.
DROP OWNED BY flowship_app;
