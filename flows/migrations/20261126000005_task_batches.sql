-- Tasks are submitted, taken and finished with one statement each, taken and finished many at once. Adds only, so that
-- the replicas of the last release go on while this one rolls out.

-- migrate:up
-- What waits, by workflow: a workflow with ten thousand tasks must not be in the way of another's one. Its name says
-- whose it is: pg-boss knows nothing of it.
CREATE INDEX flowship_waiting ON pgboss.job_common (name, (data ->> 'workflow_id'), priority DESC, created_on, start_after)
    WHERE state < 'active' AND NOT blocked;

-- Tasks, their first transitions and their jobs. the_send is pg-boss's own statement, which takes the_jobs. Returned are
-- those that are new; of the others the idempotency key was used before.
CREATE FUNCTION flowship.submit_tasks(the_tasks json, the_send text, the_jobs json) RETURNS SETOF uuid
LANGUAGE plpgsql AS $$
DECLARE
    created uuid[];
    sent integer;
BEGIN
    WITH added AS (
        INSERT INTO flowship.tasks (task_id, workflow_id, queue, input, api_key, idempotency_key)
        SELECT t.task_id, t.workflow_id, t.queue, t.input, t.api_key, t.idempotency_key
        FROM json_to_recordset(the_tasks)
            AS t (task_id uuid, workflow_id text, queue text, input jsonb, api_key text, idempotency_key text)
        ORDER BY t.api_key, t.idempotency_key
        ON CONFLICT (api_key, idempotency_key) DO NOTHING RETURNING task_id
    ), noted AS (
        INSERT INTO flowship.task_transitions (task_id, status) SELECT a.task_id, 'queued' FROM added a
    )
    SELECT coalesce(array_agg(a.task_id), '{}') INTO created FROM added a;
    IF cardinality(created) < json_array_length(the_jobs) THEN
        the_jobs := (SELECT coalesce(json_agg(j), '[]') FROM json_array_elements(the_jobs) j WHERE (j ->> 'id')::uuid = ANY (created));
    END IF;
    EXECUTE the_send USING the_jobs::text;
    GET DIAGNOSTICS sent = ROW_COUNT;
    IF sent <> cardinality(created) THEN
        RAISE EXCEPTION '% of % jobs were sent', sent, cardinality(created);
    END IF;
    RETURN QUERY SELECT unnest(created);
END
$$;

-- Takes up to the_count jobs and begins their attempts. What pg-boss's own fetch does to a job is done here too, but it
-- cannot ask for one workflow's jobs: it would read ten thousand to find another's. Higher priorities go first; among
-- equals the workflow with the fewest running, then the one whose turn is longest ago. By workflow, the_running: tasks
-- that the caller works on; the_turns: a number that grows with each turn; the_limits: how many it may, where that is not
-- the_limit. No created_at: the task has ended already, the attempt has nothing to do.
CREATE FUNCTION flowship.take_tasks(
    the_queue text, the_count integer, the_running jsonb, the_turns jsonb, the_limits jsonb, the_limit integer
) RETURNS TABLE (
    job uuid, task_id uuid, workflow_id text, retry_count integer, retry_limit integer, expire_seconds integer,
    input text, created_at timestamptz, parks integer
)
-- Few rows of large tables, whatever their statistics say: a plan that is kept from when they were empty reads all of them.
LANGUAGE sql SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
    WITH RECURSIVE waiting (workflow) AS (
        (SELECT j.data ->> 'workflow_id' FROM pgboss.job_common j
         WHERE j.name = the_queue AND j.state < 'active' AND NOT j.blocked AND j.data ->> 'workflow_id' IS NOT NULL
         ORDER BY j.data ->> 'workflow_id' LIMIT 1)
        UNION ALL
        SELECT (SELECT j.data ->> 'workflow_id' FROM pgboss.job_common j
                WHERE j.name = the_queue AND j.state < 'active' AND NOT j.blocked AND j.data ->> 'workflow_id' > w.workflow
                ORDER BY j.data ->> 'workflow_id' LIMIT 1)
        FROM waiting w WHERE w.workflow IS NOT NULL
    ), shares AS (
        SELECT w.workflow, coalesce((the_running ->> w.workflow)::integer, 0) AS running,
               coalesce((the_turns ->> w.workflow)::integer, 0) AS turn,
               coalesce((the_limits ->> w.workflow)::integer, the_limit) AS most
        FROM waiting w WHERE w.workflow IS NOT NULL
    ), candidates AS MATERIALIZED (
        SELECT c.ctid, c.priority, c.created_on, s.turn,
               s.running + row_number() OVER (PARTITION BY s.workflow ORDER BY c.priority DESC, c.created_on) AS place
        FROM shares s CROSS JOIN LATERAL (
            SELECT j.ctid, j.priority, j.created_on FROM pgboss.job_common j
            WHERE j.name = the_queue AND j.data ->> 'workflow_id' = s.workflow
              AND j.state < 'active' AND NOT j.blocked AND j.start_after <= pgboss.job_now()
            ORDER BY j.priority DESC, j.created_on
            LIMIT greatest(0, least(the_count, s.most - s.running))
            FOR UPDATE SKIP LOCKED
        ) c
    ), taken AS (
        UPDATE pgboss.job_common j
        SET state = 'active', started_on = pgboss.job_now(), heartbeat_on = pgboss.job_now(),
            retry_count = CASE WHEN j.started_on IS NOT NULL THEN j.retry_count + 1 ELSE j.retry_count END
        WHERE j.ctid = ANY (ARRAY(SELECT c.ctid FROM candidates c
                                  ORDER BY c.priority DESC, c.place, c.turn, c.created_on LIMIT the_count))
        RETURNING j.id, (j.data ->> 'task_id')::uuid AS task, j.data ->> 'workflow_id' AS workflow,
                  j.retry_count, j.retry_limit, j.expire_seconds
    ), begun AS (
        UPDATE flowship.tasks t SET status = 'running', attempts = t.attempts + 1, updated_at = now()
        FROM taken k WHERE t.task_id = k.task AND t.status NOT IN ('completed', 'failed')
        RETURNING t.task_id, t.input, t.created_at, t.parks
    ), noted AS (
        INSERT INTO flowship.task_transitions (task_id, status) SELECT b.task_id, 'running' FROM begun b
        ON CONFLICT DO NOTHING
    )
    SELECT k.id, k.task, k.workflow, k.retry_count, k.retry_limit, k.expire_seconds, b.input::text, b.created_at, b.parks
    FROM taken k LEFT JOIN begun b ON b.task_id = k.task
$$;

-- Stores the one result of each task: [{"task_id", "status", "result" or "error", "cleaned"}]. Returned are those that
-- had none; of the others another attempt has stored it before.
CREATE FUNCTION flowship.finish_tasks(the_outcomes json) RETURNS SETOF uuid
LANGUAGE sql SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
    WITH outcome AS (
        SELECT o.task_id, o.status, o.error, o.cleaned,
               CASE WHEN o.status = 'completed' THEN coalesce(o.result, 'null') END AS result
        FROM json_to_recordset(the_outcomes) AS o (task_id uuid, status text, result jsonb, error jsonb, cleaned jsonb)
        ORDER BY o.task_id
    ), stored AS (
        INSERT INTO flowship.task_results (task_id, status, result, error, cleaned)
        SELECT o.task_id, o.status, o.result, o.error, o.cleaned FROM outcome o ON CONFLICT DO NOTHING
        RETURNING task_id, status, error
    ), noted AS (
        INSERT INTO flowship.task_transitions (task_id, status) SELECT s.task_id, s.status FROM stored s
    )
    UPDATE flowship.tasks t SET status = s.status, last_error = s.error ->> 'message', updated_at = now()
    FROM stored s WHERE t.task_id = s.task_id RETURNING t.task_id
$$;

-- The same, and ends the jobs of those that are completed, so that no crash comes between the two. the_complete is
-- pg-boss's own statement, which takes the rest.
CREATE FUNCTION flowship.finish_tasks(
    the_outcomes json, the_complete text, the_queue text, the_jobs uuid[], the_output jsonb, the_claims text[]
) RETURNS SETOF uuid
LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY SELECT flowship.finish_tasks(the_outcomes);
    EXECUTE the_complete USING the_queue, the_jobs, the_output, the_claims;
END
$$;

-- migrate:down
DROP FUNCTION flowship.finish_tasks(json, text, text, uuid[], jsonb, text[]);
DROP FUNCTION flowship.finish_tasks(json);
DROP FUNCTION flowship.take_tasks(text, integer, jsonb, jsonb, jsonb, integer);
DROP FUNCTION flowship.submit_tasks(json, text, json);
DROP INDEX pgboss.flowship_waiting;
