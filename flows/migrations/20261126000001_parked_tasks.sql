-- A provider that asks for patience (Retry-After) gets it: the task waits in the queue and uses up no attempt. And
-- a result says which of its places could not be stored as they were. Adds only, so that the replicas of the last
-- release go on while this one rolls out.

-- migrate:up
ALTER TABLE flowship.tasks ADD COLUMN not_before timestamptz, ADD COLUMN parks integer NOT NULL DEFAULT 0;
ALTER TABLE flowship.task_results ADD COLUMN cleaned jsonb;
GRANT UPDATE (not_before, parks) ON flowship.tasks TO flowship_app;

-- Puts an attempt's job back until the_seconds from now. No row: the job is not this attempt's any more.
-- pg-boss's own restore() would do, but for one thing it says itself: it does not tell the attempt that gives the
-- job back from the next one, so that a late word of the first could settle the second. Here retry_count, which
-- names the attempt, goes up, and the limit with it.
CREATE FUNCTION flowship.park_attempt(
    the_task uuid, the_queue text, the_job uuid, the_retry_count integer, the_seconds double precision, the_reason text
) RETURNS timestamptz
LANGUAGE sql AS $$
    WITH parked AS (
        UPDATE pgboss.job j
        SET state = 'retry', start_after = pgboss.job_now() + make_interval(secs => the_seconds),
            started_on = NULL, heartbeat_on = NULL,
            retry_count = j.retry_count + 1, retry_limit = j.retry_limit + 1
        WHERE j.name = the_queue AND j.id = the_job AND j.state = 'active' AND j.retry_count = the_retry_count
        RETURNING j.start_after
    )
    UPDATE flowship.tasks t
    SET status = 'queued', attempts = t.attempts - 1, parks = t.parks + 1, not_before = p.start_after,
        last_error = the_reason, updated_at = now()
    FROM parked p WHERE t.task_id = the_task AND t.status = 'running'
    RETURNING t.not_before
$$;

-- Stores the one result of a task. False: another attempt has stored it before.
CREATE FUNCTION flowship.finish_task(
    the_task uuid, the_status text, the_result jsonb, the_error jsonb, the_cleaned jsonb
) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO flowship.task_results (task_id, status, result, error, cleaned)
    VALUES (the_task, the_status, the_result, the_error, the_cleaned) ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO flowship.task_transitions (task_id, status) VALUES (the_task, the_status);
    UPDATE flowship.tasks SET status = the_status, last_error = the_error ->> 'message', updated_at = now()
    WHERE task_id = the_task;
    RETURN true;
END
$$;

CREATE OR REPLACE FUNCTION flowship.finish_task(the_task uuid, the_status text, the_result jsonb, the_error jsonb)
RETURNS boolean LANGUAGE sql AS $$
    SELECT flowship.finish_task(the_task, the_status, the_result, the_error, NULL)
$$;

-- What GET /api/v1/tasks/{task_id} answers.
CREATE OR REPLACE VIEW flowship.task_documents AS
SELECT t.task_id,
    jsonb_build_object(
        'task_id', t.task_id,
        'workflow_id', t.workflow_id,
        'status', t.status,
        'not_before', CASE WHEN t.status = 'queued' THEN t.not_before END,
        'attempts', t.attempts,
        'last_error', t.last_error,
        'created_at', t.created_at,
        'updated_at', t.updated_at,
        'retry_of', t.retry_of,
        'retried_by', (SELECT n.task_id FROM flowship.tasks n WHERE n.retry_of = t.task_id),
        'result', r.result,
        'cleaned', r.cleaned,
        'error', r.error,
        'transitions', (SELECT jsonb_agg(jsonb_build_object('status', h.status, 'at', h.at) ORDER BY h.position)
            FROM flowship.task_transitions h WHERE h.task_id = t.task_id)
    ) AS document
FROM flowship.tasks t LEFT JOIN flowship.task_results r USING (task_id);

-- migrate:down
CREATE OR REPLACE VIEW flowship.task_documents AS
SELECT t.task_id,
    jsonb_build_object(
        'task_id', t.task_id,
        'workflow_id', t.workflow_id,
        'status', t.status,
        'attempts', t.attempts,
        'last_error', t.last_error,
        'created_at', t.created_at,
        'updated_at', t.updated_at,
        'retry_of', t.retry_of,
        'retried_by', (SELECT n.task_id FROM flowship.tasks n WHERE n.retry_of = t.task_id),
        'result', r.result,
        'error', r.error,
        'transitions', (SELECT jsonb_agg(jsonb_build_object('status', h.status, 'at', h.at) ORDER BY h.position)
            FROM flowship.task_transitions h WHERE h.task_id = t.task_id)
    ) AS document
FROM flowship.tasks t LEFT JOIN flowship.task_results r USING (task_id);

CREATE OR REPLACE FUNCTION flowship.finish_task(the_task uuid, the_status text, the_result jsonb, the_error jsonb)
RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO flowship.task_results (task_id, status, result, error)
    VALUES (the_task, the_status, the_result, the_error) ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO flowship.task_transitions (task_id, status) VALUES (the_task, the_status);
    UPDATE flowship.tasks SET status = the_status, last_error = the_error ->> 'message', updated_at = now()
    WHERE task_id = the_task;
    RETURN true;
END
$$;
DROP FUNCTION flowship.finish_task(uuid, text, jsonb, jsonb, jsonb);
DROP FUNCTION flowship.park_attempt(uuid, text, uuid, integer, double precision, text);
ALTER TABLE flowship.task_results DROP COLUMN cleaned;
ALTER TABLE flowship.tasks DROP COLUMN not_before, DROP COLUMN parks;
