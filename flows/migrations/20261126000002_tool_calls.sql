-- Calls of tools that must not run twice for one task: a later attempt takes the answer of the earlier one, or hears
-- that nobody knows whether the tool ran. Only tools that declare neither idempotentHint nor readOnlyHint get a row.

-- migrate:up
CREATE TABLE flowship.tool_calls (
    task_id uuid NOT NULL REFERENCES flowship.tasks ON DELETE CASCADE,
    call text NOT NULL,
    answer jsonb,
    begun_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (task_id, call)
);
GRANT SELECT, INSERT, DELETE, UPDATE (answer) ON flowship.tool_calls TO flowship_app;

-- migrate:down
DROP TABLE flowship.tool_calls;
