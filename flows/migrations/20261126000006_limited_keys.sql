-- What a caller's key may do: which workflows, how many requests a minute, until when. Adds only, so that the replicas
-- of the last release go on while this one rolls out.

-- migrate:up
ALTER TABLE flowship.api_keys
    ADD COLUMN workflows text[] CHECK (cardinality(workflows) > 0),
    ADD COLUMN requests_per_minute integer CHECK (requests_per_minute > 0),
    ADD COLUMN expires_at timestamptz;

-- Not logged: after a crash of the database every caller begins a new minute, and no request waits for the disk.
CREATE UNLOGGED TABLE flowship.api_key_minutes (
    name text PRIMARY KEY,
    began_at timestamptz NOT NULL,
    requests integer NOT NULL
);

-- Counts a request of a key. No row: it is not known, or was revoked. A minute begins with the first request after the last
-- one ended; one that began in the future, because the clock was set back, has ended too. The time is read once the row is
-- locked: now() is that of the transaction's start, which is in the past of a minute that another request just began.
CREATE FUNCTION flowship.use_key(the_sha256 text) RETURNS TABLE (
    holder text, workflows text[], expired boolean, request_limit integer, requests integer, resets_seconds integer
)
LANGUAGE plpgsql AS $$
DECLARE
    known flowship.api_keys;
BEGIN
    SELECT k.* INTO known FROM flowship.api_keys k WHERE k.key_sha256 = the_sha256 AND k.revoked_at IS NULL;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    holder := known.name;
    workflows := known.workflows;
    expired := coalesce(known.expires_at <= now(), false);
    request_limit := known.requests_per_minute;
    IF request_limit IS NOT NULL AND NOT expired THEN
        INSERT INTO flowship.api_key_minutes AS m (name, began_at, requests) VALUES (holder, clock_timestamp(), 1)
        ON CONFLICT (name) DO UPDATE SET (began_at, requests) = (
            SELECT CASE WHEN goes_on THEN m.began_at ELSE clock_timestamp() END,
                CASE WHEN goes_on THEN least(m.requests, request_limit) + 1 ELSE 1 END
            FROM (SELECT m.began_at > clock_timestamp() - interval '1 minute' AND m.began_at <= clock_timestamp() AS goes_on) minute
        )
        RETURNING m.requests, greatest(1, ceil(extract(epoch FROM m.began_at + interval '1 minute' - clock_timestamp())))::integer
        INTO requests, resets_seconds;
    END IF;
    RETURN NEXT;
END
$$;

GRANT SELECT, INSERT, UPDATE ON flowship.api_key_minutes TO flowship_app;

-- migrate:down
DROP FUNCTION flowship.use_key(text);
DROP TABLE flowship.api_key_minutes;
ALTER TABLE flowship.api_keys DROP COLUMN workflows, DROP COLUMN requests_per_minute, DROP COLUMN expires_at;
