-- What the platform itself stores. What must hold for every client is a constraint here, not a habit
-- of the nodes: one result for a task, one transition for a task and a status, one end.

-- migrate:up
CREATE SCHEMA flowship;

CREATE TABLE flowship.api_keys (
    name text PRIMARY KEY,
    key_sha256 text NOT NULL UNIQUE CHECK (key_sha256 ~ '^[0-9a-f]{64}$'),
    created_at timestamptz NOT NULL DEFAULT now(),
    revoked_at timestamptz
);

CREATE TABLE flowship.tasks (
    task_id uuid PRIMARY KEY,
    workflow_id text NOT NULL,
    queue text NOT NULL,
    input jsonb NOT NULL,
    status text NOT NULL DEFAULT 'queued' CHECK (status IN ('queued', 'running', 'completed', 'failed')),
    attempts integer NOT NULL DEFAULT 0,
    last_error text,
    api_key text NOT NULL,
    idempotency_key text,
    retry_of uuid UNIQUE REFERENCES flowship.tasks ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (api_key, idempotency_key)
);
CREATE INDEX tasks_unfinished ON flowship.tasks (queue, created_at) WHERE status IN ('queued', 'running');

CREATE TABLE flowship.task_results (
    task_id uuid PRIMARY KEY REFERENCES flowship.tasks ON DELETE CASCADE,
    status text NOT NULL CHECK (status IN ('completed', 'failed')),
    result jsonb,
    error jsonb,
    stored_at timestamptz NOT NULL DEFAULT now(),
    CHECK ((status = 'completed') = (result IS NOT NULL) AND (status = 'failed') = (error IS NOT NULL))
);

CREATE TABLE flowship.task_transitions (
    position bigint GENERATED ALWAYS AS IDENTITY,
    task_id uuid NOT NULL REFERENCES flowship.tasks ON DELETE CASCADE,
    status text NOT NULL CHECK (status IN ('queued', 'running', 'completed', 'failed')),
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (task_id, status)
);
CREATE UNIQUE INDEX task_transitions_one_end ON flowship.task_transitions (task_id)
    WHERE status IN ('completed', 'failed');

CREATE TABLE flowship.queue_controls (
    queue text PRIMARY KEY,
    draining boolean NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE flowship.smoke_marks (
    run_id text PRIMARY KEY,
    written_at timestamptz NOT NULL DEFAULT now()
);

-- A worker begins an attempt. No row: the task has ended already, the attempt has nothing to do.
CREATE FUNCTION flowship.begin_attempt(the_task uuid) RETURNS TABLE (workflow_id text, input jsonb, created_at timestamptz)
LANGUAGE sql AS $$
    WITH begun AS (
        UPDATE flowship.tasks t SET status = 'running', attempts = t.attempts + 1, updated_at = now()
        WHERE t.task_id = the_task AND t.status IN ('queued', 'running')
        RETURNING t.task_id, t.workflow_id, t.input, t.created_at
    ), noted AS (
        INSERT INTO flowship.task_transitions (task_id, status) SELECT b.task_id, 'running' FROM begun b
        ON CONFLICT DO NOTHING
    )
    SELECT b.workflow_id, b.input, b.created_at FROM begun b
$$;

-- Stores the one result of a task. False: another attempt has stored it before.
CREATE FUNCTION flowship.finish_task(the_task uuid, the_status text, the_result jsonb, the_error jsonb) RETURNS boolean
LANGUAGE plpgsql AS $$
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

-- What is not a task's id is no task, not an error. A CASE would not do: the planner folds the cast first.
CREATE FUNCTION flowship.task_id_of(the_text text) RETURNS uuid
LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF pg_input_is_valid(the_text, 'uuid') THEN
        RETURN the_text::uuid;
    END IF;
    RETURN NULL;
END
$$;

-- What GET /api/v1/tasks/{task_id} answers.
CREATE VIEW flowship.task_documents AS
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

-- The application may not delete tasks; what a smoke run submitted is the exception, and only that.
CREATE FUNCTION flowship.forget_smoke_tasks(the_queue text) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH gone AS (DELETE FROM flowship.tasks WHERE queue = the_queue AND queue LIKE 'smoke-%' RETURNING 1)
    SELECT count(*) FROM gone
$$;

-- migrate:down
DROP SCHEMA flowship CASCADE;
