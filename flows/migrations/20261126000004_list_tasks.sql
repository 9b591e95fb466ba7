-- GET /api/v1/tasks, newest first: no filter's page needs all tasks to be read or sorted. Only failed tasks pay for
-- the indexes of failed tasks. tasks_unfinished served no query.

-- migrate:up
CREATE INDEX tasks_newest ON flowship.tasks (created_at, task_id);
CREATE INDEX tasks_of_workflow ON flowship.tasks (workflow_id, created_at, task_id);
CREATE INDEX tasks_failed ON flowship.tasks (created_at, task_id) WHERE status = 'failed';
CREATE INDEX tasks_failed_of_workflow ON flowship.tasks (workflow_id, created_at, task_id) WHERE status = 'failed';
DROP INDEX flowship.tasks_unfinished;
CREATE INDEX tasks_unfinished ON flowship.tasks (created_at, task_id) WHERE status IN ('queued', 'running');

-- migrate:down
DROP INDEX flowship.tasks_unfinished;
CREATE INDEX tasks_unfinished ON flowship.tasks (queue, created_at) WHERE status IN ('queued', 'running');
DROP INDEX flowship.tasks_failed_of_workflow, flowship.tasks_failed, flowship.tasks_of_workflow, flowship.tasks_newest;
