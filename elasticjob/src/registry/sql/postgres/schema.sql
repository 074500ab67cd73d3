-- The tables of the registry, and its functions. Everything is additive. A function carries the version that it came with, and stays as
-- it is: programs of that version use it. One that has to do something else is a new one, beside it.
CREATE TABLE IF NOT EXISTS elasticjob.schema_version (version integer NOT NULL, oldest_program integer NOT NULL);

-- A session ends when another member has seen the same beat for its whole timeout.
CREATE TABLE IF NOT EXISTS elasticjob.session (
    id bigint PRIMARY KEY,
    namespace text COLLATE "C" NOT NULL,
    connection bigint NOT NULL,
    beat bigint NOT NULL,
    dead boolean NOT NULL,
    timeout_millis bigint NOT NULL
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

-- The lock, the counter of changes and the last token of each first path segment; '' is the root. Rows stay for ever: a counter
-- that starts again would hide changes.
CREATE TABLE IF NOT EXISTS elasticjob.job (
    namespace text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    counter bigint NOT NULL,
    token bigint NOT NULL,
    PRIMARY KEY (namespace, name)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

CREATE TABLE IF NOT EXISTS elasticjob.node (
    namespace text COLLATE "C" NOT NULL,
    parent text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    data bytea NOT NULL,
    version integer NOT NULL,
    created bigint NOT NULL,
    modified bigint NOT NULL,
    modified_at bigint NOT NULL,
    owner bigint NOT NULL,
    next_number bigint NOT NULL,
    PRIMARY KEY (namespace, parent, name)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX IF NOT EXISTS node_owner ON elasticjob.node (owner) WHERE owner <> 0;

CREATE TABLE IF NOT EXISTS elasticjob.change (
    namespace text COLLATE "C" NOT NULL,
    job text COLLATE "C" NOT NULL,
    number bigint NOT NULL,
    token bigint NOT NULL,
    step integer NOT NULL,
    kind smallint NOT NULL,
    path text COLLATE "C" NOT NULL,
    PRIMARY KEY (namespace, job, number)
) WITH (autovacuum_vacuum_scale_factor = 0.05);

-- Which server answers, since when it runs, and on which of its timelines: after a failover or a restore, numbers may stand for
-- other changes than before.
CREATE OR REPLACE FUNCTION elasticjob.server_v2() RETURNS text
LANGUAGE sql VOLATILE AS $$
    SELECT left(pg_walfile_name(pg_current_wal_lsn()), 8) || ' ' || extract(epoch FROM pg_postmaster_start_time())::text
$$;

-- The jobs whose changes are followed, and the number that the caller knows.
CREATE OR REPLACE FUNCTION elasticjob.followed_v2(space text, cursors jsonb, of_all boolean)
RETURNS TABLE (name text, counter bigint, known bigint)
LANGUAGE sql STABLE AS $$
    SELECT j.name, j.counter, k.number::bigint
    FROM jsonb_each_text(cursors) AS k(name, number) JOIN elasticjob.job j ON j.namespace = space AND j.name = k.name
    UNION ALL
    SELECT j.name, j.counter, 0 FROM elasticjob.job j WHERE of_all AND j.namespace = space AND NOT cursors ? j.name
$$;

-- The changes of jobs since the cursors of the caller, [job, counter, changes] each: of the jobs that have a cursor, or of all.
-- Beyond 64 KiB there are none, which is a gap: a frozen reader must not hold up the locks of the transaction.
CREATE OR REPLACE FUNCTION elasticjob.changes_v2(space text, cursors jsonb, of_all boolean) RETURNS jsonb
LANGUAGE sql STABLE AS $$
    SELECT coalesce(jsonb_agg(jsonb_build_array(f.name, f.counter, CASE WHEN f.size <= 65536 THEN f.changes ELSE '[]' END)), '[]')
    FROM (
        SELECT j.name, j.counter,
            coalesce(jsonb_agg(jsonb_build_array(c.number, c.token, c.step, c.kind, c.path) ORDER BY c.number)
                FILTER (WHERE c.number IS NOT NULL), '[]') AS changes,
            sum(sum(coalesce(octet_length(c.path) + 32, 0))) OVER (ORDER BY j.name) AS size
        FROM elasticjob.followed_v2(space, cursors, of_all) j
        LEFT JOIN LATERAL (
            SELECT * FROM elasticjob.change c
            WHERE c.namespace = space AND c.job = j.name AND c.number > j.known
            ORDER BY c.number LIMIT 1025
        ) c ON true
        WHERE j.counter <> j.known
        GROUP BY j.name, j.counter
    ) f
$$;

-- One request, as JSON in UTF-8: {namespace, session, connection, timeout, renew, jobs, cursors, steps, reads}. Paths are pairs of
-- parent and name, data is hexadecimal.
CREATE OR REPLACE FUNCTION elasticjob.call_v2(message bytea) RETURNS text
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    request CONSTANT jsonb := convert_from(message, 'UTF8')::jsonb;
    space CONSTANT text := request ->> 'namespace';
    caller CONSTANT bigint := (request ->> 'session')::bigint;
    -- Locked in this order: the root first, since '' is the least name.
    jobs CONSTANT text[] := ARRAY(SELECT j.name FROM jsonb_array_elements_text(request -> 'jobs') AS j(name) ORDER BY j.name COLLATE "C");
    steps CONSTANT jsonb := request -> 'steps';
    now_millis CONSTANT bigint := floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint;
    new_token bigint;
    step jsonb;
    number integer := 0;
    node record;
    has_node boolean;
    parent_node record;
    step_parent text;
    step_name text;
    step_mode text;
    wanted integer;
    refusal text;
    answers jsonb[] := '{}';
    change_kinds smallint[] := '{}';
    change_steps integer[] := '{}';
    change_paths text[] := '{}';
    change_jobs text[] := '{}';
    path text;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'the registry needs the isolation level read committed' USING ERRCODE = '25001';
    END IF;
    IF current_setting('synchronous_commit') IN ('off', 'local') THEN
        PERFORM set_config('synchronous_commit', 'on', true);
    END IF;
    -- A limit of the server would cancel the wait of a commit for its standby, after which it counts as done.
    PERFORM set_config('statement_timeout', '0', true);
    PERFORM set_config('lock_timeout', ((request ->> 'timeout')::bigint / 6)::text, true);

    -- The jobs, in order. Rows that are not there yet are made first.
    IF cardinality(jobs) > 0 THEN
        IF (SELECT count(*) FROM elasticjob.job j WHERE j.namespace = space AND j.name = ANY (jobs)) < cardinality(jobs) THEN
            INSERT INTO elasticjob.job SELECT space, j.name, 0, 0 FROM unnest(jobs) AS j(name) ORDER BY j.name COLLATE "C"
            ON CONFLICT DO NOTHING;
        END IF;
        PERFORM 1 FROM elasticjob.job j WHERE j.namespace = space AND j.name = ANY (jobs) ORDER BY j.name COLLATE "C" FOR UPDATE;
    END IF;

    -- The session, on its newest connection. The dead cannot write.
    IF (request ->> 'renew')::boolean THEN
        UPDATE elasticjob.session s SET beat = beat + 1
        WHERE s.id = caller AND s.connection = (request ->> 'connection')::bigint AND NOT s.dead;
    ELSE
        PERFORM 1 FROM elasticjob.session s
        WHERE s.id = caller AND s.connection = (request ->> 'connection')::bigint AND NOT s.dead FOR SHARE;
    END IF;
    IF NOT FOUND THEN
        RETURN '{"over":true}';
    END IF;

    SELECT greatest(max(j.token) + 1, now_millis << 20) INTO new_token
    FROM elasticjob.job j WHERE j.namespace = space AND j.name = ANY (jobs);

    -- A refusal undoes what came before it, and is returned, so that it carries changes, too.
    BEGIN
        FOR step IN SELECT * FROM jsonb_array_elements(steps) LOOP
            step_parent := step ->> 1;
            step_name := step ->> 2;
            wanted := (step ->> 3)::integer;
            path := CASE step_parent WHEN '' THEN '/' WHEN '/' THEN '/' || step_name ELSE step_parent || '/' || step_name END;
            CASE step ->> 0
            WHEN 'create' THEN
                step_mode := step ->> 5;
                SELECT * INTO parent_node FROM elasticjob.node n
                WHERE n.namespace = space
                    AND n.parent = CASE step_parent WHEN '/' THEN '' ELSE coalesce(nullif(regexp_replace(step_parent, '/[^/]*$', ''), ''), '/') END
                    AND n.name = CASE step_parent WHEN '/' THEN '' ELSE regexp_replace(step_parent, '^.*/', '') END;
                IF NOT FOUND THEN
                    refusal := 'no node'; RAISE EXCEPTION USING ERRCODE = 'EJ001';
                END IF;
                IF parent_node.owner <> 0 THEN
                    refusal := 'ephemeral parent'; RAISE EXCEPTION USING ERRCODE = 'EJ001';
                END IF;
                IF step_mode = 'sequential' THEN
                    step_name := step_name || lpad(parent_node.next_number::text, 10, '0');
                    path := path || lpad(parent_node.next_number::text, 10, '0');
                    UPDATE elasticjob.node n SET next_number = next_number + 1
                    WHERE n.namespace = space AND n.parent = parent_node.parent AND n.name = parent_node.name;
                END IF;
                INSERT INTO elasticjob.node VALUES (
                    space, step_parent, step_name, decode(step ->> 4, 'hex'), 0, new_token, new_token, now_millis,
                    CASE WHEN step_mode IN ('ephemeral', 'sequential') THEN caller ELSE 0 END, 0)
                ON CONFLICT DO NOTHING;
                IF NOT FOUND THEN
                    refusal := 'node exists'; RAISE EXCEPTION USING ERRCODE = 'EJ001';
                END IF;
                answers := answers || to_jsonb(path);
            ELSE
                SELECT * INTO node FROM elasticjob.node n
                WHERE n.namespace = space AND n.parent = step_parent AND n.name = step_name;
                has_node := FOUND;
                IF NOT has_node THEN
                    refusal := 'no node'; RAISE EXCEPTION USING ERRCODE = 'EJ001';
                END IF;
                IF wanted <> node.version THEN
                    refusal := 'bad version'; RAISE EXCEPTION USING ERRCODE = 'EJ001';
                END IF;
                CASE step ->> 0
                WHEN 'set' THEN
                    UPDATE elasticjob.node n SET data = decode(step ->> 4, 'hex'),
                        version = CASE n.version WHEN 2147483647 THEN -2147483648 ELSE n.version + 1 END,
                        modified = new_token, modified_at = now_millis
                    WHERE n.namespace = space AND n.parent = step_parent AND n.name = step_name
                    RETURNING n.version, n.created, n.owner INTO node;
                    answers := answers || jsonb_build_array(node.version, node.created, new_token, now_millis, node.owner);
                WHEN 'delete' THEN
                    IF EXISTS (SELECT 1 FROM elasticjob.node n WHERE n.namespace = space AND n.parent = path) THEN
                        refusal := 'not empty'; RAISE EXCEPTION USING ERRCODE = 'EJ001';
                    END IF;
                    DELETE FROM elasticjob.node n
                    WHERE n.namespace = space AND n.parent = step_parent AND n.name = step_name;
                    answers := answers || 'null'::jsonb;
                ELSE
                    answers := answers || 'null'::jsonb;
                END CASE;
            END CASE;
            IF step ->> 0 <> 'check' THEN
                change_kinds := change_kinds || CASE step ->> 0 WHEN 'create' THEN 1 WHEN 'set' THEN 2 ELSE 3 END::smallint;
                change_steps := change_steps || number;
                change_paths := change_paths || path;
                change_jobs := change_jobs || split_part(path, '/', 2);
            END IF;
            number := number + 1;
        END LOOP;
        INSERT INTO elasticjob.change
        SELECT space, c.job, j.counter + row_number() OVER (PARTITION BY c.job ORDER BY c.step), new_token, c.step, c.kind, c.path
        FROM unnest(change_jobs, change_steps, change_kinds, change_paths) AS c(job, step, kind, path)
        JOIN elasticjob.job j ON j.namespace = space AND j.name = ANY (change_jobs) AND j.name = c.job;
        UPDATE elasticjob.job j SET counter = j.counter + c.count, token = new_token
        FROM (SELECT u.job, count(*) FROM unnest(change_jobs) AS u(job) GROUP BY u.job) AS c
        WHERE j.namespace = space AND j.name = ANY (change_jobs) AND j.name = c.job;
        -- A reader that is more than 1,024 changes behind would get none of them anyhow.
        DELETE FROM elasticjob.change c USING elasticjob.job j
        WHERE j.namespace = space AND j.name = ANY (change_jobs) AND j.counter % 256 < cardinality(change_jobs)
            AND c.namespace = space AND c.job = j.name AND c.number <= j.counter - 1280;
    EXCEPTION WHEN SQLSTATE 'EJ001' THEN
        answers := '{}';
    END;

    RETURN jsonb_strip_nulls(jsonb_build_object(
        'refused', CASE WHEN refusal IS NOT NULL THEN jsonb_build_array(number, refusal) END)) || jsonb_build_object(
        'server', elasticjob.server_v2(),
        'answers', to_jsonb(answers),
        'changes', elasticjob.changes_v2(space, request -> 'cursors', (request ->> 'follow_all')::boolean));
END $$;

-- Reads, which take no lock, in ONE statement: nodes and changes are of one moment. The request is in variables, since a query
-- would read it again for each row. Nodes are looked up one by one, by LATERAL and LIMIT: a join would hash all nodes of the namespace
-- for each read, since the server does not know how short the request is.
CREATE OR REPLACE FUNCTION elasticjob.read_v2(message bytea) RETURNS text
LANGUAGE plpgsql STABLE AS $$
DECLARE
    request CONSTANT jsonb := convert_from(message, 'UTF8')::jsonb;
    space CONSTANT text := request ->> 'namespace';
    caller CONSTANT bigint := (request ->> 'session')::bigint;
    caller_connection CONSTANT bigint := (request ->> 'connection')::bigint;
    nodes CONSTANT jsonb := request -> 'nodes';
    parents CONSTANT jsonb := request -> 'children';
    counted CONSTANT text[] := ARRAY(SELECT jsonb_array_elements_text(request -> 'count'));
    of_all CONSTANT boolean := (request ->> 'count_all')::boolean;
    cursors CONSTANT jsonb := request -> 'cursors';
    follow_all CONSTANT boolean := (request ->> 'follow_all')::boolean;
BEGIN
    RETURN (SELECT CASE WHEN NOT EXISTS (
            SELECT 1 FROM elasticjob.session s WHERE s.id = caller AND s.connection = caller_connection AND NOT s.dead)
        THEN '{"over":true}'
        ELSE jsonb_build_object(
            'server', elasticjob.server_v2(),
            'nodes', (SELECT coalesce(jsonb_agg(jsonb_build_array(n.parent, n.name, encode(n.data, 'hex'),
                    n.version, n.created, n.modified, n.modified_at, n.owner)), '[]')
                FROM jsonb_array_elements(nodes) AS k(path)
                CROSS JOIN LATERAL (SELECT * FROM elasticjob.node n
                    WHERE n.namespace = space AND n.parent = k.path ->> 0 AND n.name = k.path ->> 1 LIMIT 1) AS n),
            'children', (SELECT coalesce(jsonb_agg(jsonb_build_array(k.path ->> 0, (
                    SELECT coalesce(jsonb_agg(n.name ORDER BY n.name COLLATE "C"), '[]') FROM elasticjob.node n
                    WHERE n.namespace = space AND n.parent = k.path ->> 0))), '[]')
                FROM jsonb_array_elements(parents) AS k(path)
                CROSS JOIN LATERAL (SELECT 1 FROM elasticjob.node n WHERE n.namespace = space
                    AND n.parent = k.path ->> 1 AND n.name = k.path ->> 2 LIMIT 1) AS is_there),
            'counters', CASE
                WHEN of_all THEN (SELECT coalesce(jsonb_object_agg(j.name, j.counter), '{}')
                    FROM elasticjob.job j WHERE j.namespace = space)
                ELSE (SELECT coalesce(jsonb_object_agg(j.name, j.counter), '{}')
                    FROM elasticjob.job j WHERE j.namespace = space AND j.name = ANY (counted)) END,
            'changes', elasticjob.changes_v2(space, cursors, follow_all)
        )::text END);
END $$;

-- Deletes ephemeral nodes of a session that is dead, in some jobs that nobody holds, together with their events. Returns whether
-- there are more. Several members may do it at once.
CREATE OR REPLACE FUNCTION elasticjob.clean_v2(space text, gone bigint) RETURNS boolean
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    now_millis CONSTANT bigint := floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint;
    locked text[];
    new_token bigint;
BEGIN
    IF NOT EXISTS (SELECT 1 FROM elasticjob.session s WHERE s.id = gone AND s.dead) THEN
        RETURN false;
    END IF;
    locked := ARRAY(
        SELECT j.name FROM elasticjob.job j
        WHERE j.namespace = space AND j.name IN (
            SELECT DISTINCT CASE n.parent WHEN '/' THEN n.name ELSE split_part(n.parent, '/', 2) END
            FROM elasticjob.node n WHERE n.owner = gone AND n.namespace = space LIMIT 100)
        ORDER BY j.name COLLATE "C" FOR UPDATE SKIP LOCKED);
    SELECT greatest(max(j.token) + 1, now_millis << 20) INTO new_token
    FROM elasticjob.job j WHERE j.namespace = space AND j.name = ANY (locked);
    WITH deleted AS (
        DELETE FROM elasticjob.node n
        WHERE n.owner = gone AND n.namespace = space
            AND CASE n.parent WHEN '/' THEN n.name ELSE split_part(n.parent, '/', 2) END = ANY (locked)
        RETURNING CASE n.parent WHEN '/' THEN n.name ELSE split_part(n.parent, '/', 2) END AS job,
            CASE n.parent WHEN '/' THEN '/' || n.name ELSE n.parent || '/' || n.name END AS path
    ), numbered AS (
        SELECT d.job, d.path, row_number() OVER (PARTITION BY d.job ORDER BY d.path) AS place FROM deleted d
    ), counted AS (
        UPDATE elasticjob.job j SET counter = j.counter + c.count, token = new_token
        FROM (SELECT d.job, count(*) FROM deleted d GROUP BY d.job) c
        WHERE j.namespace = space AND j.name = c.job
        RETURNING j.name, j.counter - c.count AS before
    )
    INSERT INTO elasticjob.change
    SELECT space, n.job, c.before + n.place, new_token, n.place, 3, n.path FROM numbered n JOIN counted c ON c.name = n.job;
    RETURN EXISTS (SELECT 1 FROM elasticjob.node n WHERE n.owner = gone AND n.namespace = space);
END $$;

-- Deletes changes of some jobs that are older than this: of those behind a name, or of the first. Returns the last of their names, or
-- nothing if there is none, or if another member is at it.
CREATE OR REPLACE FUNCTION elasticjob.forget_v2(space text, behind text, age_millis bigint) RETURNS text
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    -- Tokens begin with the time.
    oldest CONSTANT bigint := (floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint - age_millis) << 20;
    names CONSTANT text[] := ARRAY(
        SELECT j.name FROM elasticjob.job j WHERE j.namespace = space AND (behind IS NULL OR j.name > behind)
        ORDER BY j.name LIMIT 100);
BEGIN
    IF NOT pg_try_advisory_xact_lock(7308895160834091570) THEN
        RETURN NULL;
    END IF;
    DELETE FROM elasticjob.change c WHERE c.namespace = space AND c.job = ANY (names) AND c.token < oldest;
    RETURN names[cardinality(names)];
END $$;

-- What applications have asked for by transactions of their own: of the job, that `element` is added to the array in the node below
-- `target` of each child of `audience`. A row is there once its transaction was committed, and until the nodes have it.
CREATE TABLE IF NOT EXISTS elasticjob.inbox (
    namespace text COLLATE "C" NOT NULL,
    job text COLLATE "C" NOT NULL,
    number bigint GENERATED ALWAYS AS IDENTITY,
    audience text COLLATE "C" NOT NULL,
    target text COLLATE "C" NOT NULL,
    element jsonb NOT NULL,
    put_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (namespace, job, number)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

-- The jobs that have rows in the inbox and somewhere to add them, as a JSON array, with whether the caller is one of their instances.
-- It costs a look at the index for each of them.
CREATE OR REPLACE FUNCTION elasticjob.waiting_v3(space text, caller bigint) RETURNS text
LANGUAGE sql STABLE AS $$
    WITH RECURSIVE first AS (
        (SELECT i.job, i.audience FROM elasticjob.inbox i WHERE i.namespace = space ORDER BY i.job, i.number LIMIT 1)
        UNION ALL
        SELECT next.job, next.audience FROM first CROSS JOIN LATERAL (
            SELECT i.job, i.audience FROM elasticjob.inbox i WHERE i.namespace = space AND i.job > first.job
            ORDER BY i.job, i.number LIMIT 1) AS next
    )
    SELECT coalesce(jsonb_agg(jsonb_build_array(served.job, served.has_caller)), '[]')::text FROM (
        SELECT first.job, instances.has_caller FROM first
        CROSS JOIN LATERAL (
            SELECT bool_or(n.owner = caller) AS has_caller FROM elasticjob.node n
            WHERE n.namespace = space AND n.parent = first.audience) AS instances
        WHERE instances.has_caller IS NOT NULL
        LIMIT 1000
    ) AS served
$$;

-- The array in a node, or NULL if the node has anything else, such as what another program wrote.
CREATE OR REPLACE FUNCTION elasticjob.array_v3(data bytea) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE STRICT AS $$
DECLARE
    found jsonb;
BEGIN
    found := convert_from(data, 'UTF8')::jsonb;
    IF jsonb_typeof(found) <> 'array' THEN
        RETURN NULL;
    END IF;
    IF EXISTS (SELECT 1 FROM jsonb_array_elements(found) AS e(element)
        WHERE jsonb_typeof(e.element) <> 'object' OR jsonb_typeof(e.element -> 'requests') IS DISTINCT FROM 'array') THEN
        RETURN NULL;
    END IF;
    RETURN found;
EXCEPTION WHEN data_exception OR untranslatable_character THEN
    RETURN NULL;
END $$;

-- Two arrays as one, in which elements that are equal but for their requests are one element with the requests of all.
CREATE OR REPLACE FUNCTION elasticjob.joined_v3(present jsonb, added jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT jsonb_agg(m.element || jsonb_build_object('requests', m.requests) ORDER BY m.place) FROM (
        SELECT e.element - 'requests' AS element, min(e.place) AS place,
            coalesce(jsonb_agg(r.request ORDER BY e.place, r.place) FILTER (WHERE r.request IS NOT NULL), '[]') AS requests
        FROM jsonb_array_elements(present || added) WITH ORDINALITY AS e(element, place)
        LEFT JOIN LATERAL jsonb_array_elements(e.element -> 'requests') WITH ORDINALITY AS r(request, place) ON true
        GROUP BY e.element - 'requests'
    ) AS m
$$;

-- Turns rows of the inbox into nodes of the job, under the lock of the job: the first of them, 128 KiB at most. Returns whether it did.
-- If a node cannot take them, because it is full or has no array, all rows wait until its instance has taken what is there.
CREATE OR REPLACE FUNCTION elasticjob.take_v3(space text, of_job text, patience_millis bigint) RETURNS boolean
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    now_millis CONSTANT bigint := floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint;
    job record;
    new_token bigint;
    first record;
    children text[];
    numbers bigint[];
    batch jsonb;
    contents bytea[];
    are_new boolean[];
    lacks_target boolean;
BEGIN
    -- One member is enough. Others would stand in the queue of the job's lock.
    IF NOT pg_try_advisory_xact_lock(hashtextextended(space || ' ' || of_job, 7308895160834091571)) THEN
        RETURN false;
    END IF;
    PERFORM set_config('lock_timeout', patience_millis::text, true);
    SELECT j.counter, j.token INTO job FROM elasticjob.job j WHERE j.namespace = space AND j.name = of_job FOR UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    SELECT i.audience, i.target INTO first FROM elasticjob.inbox i
    WHERE i.namespace = space AND i.job = of_job ORDER BY i.number LIMIT 1;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    children := ARRAY(SELECT n.name FROM elasticjob.node n WHERE n.namespace = space AND n.parent = first.audience ORDER BY n.name);
    IF cardinality(children) = 0 THEN
        RETURN false;
    END IF;

    SELECT array_agg(i.number), elasticjob.joined_v3('[]', jsonb_agg(i.element ORDER BY i.number)) INTO numbers, batch
    FROM (
        SELECT i.number, i.element, row_number() OVER by_number AS place,
            sum(octet_length(i.element::text)) OVER by_number AS size
        FROM elasticjob.inbox i
        WHERE i.namespace = space AND i.job = of_job AND i.audience = first.audience AND i.target = first.target
        WINDOW by_number AS (ORDER BY i.number)
        ORDER BY i.number LIMIT 1000
    ) AS i
    WHERE i.place = 1 OR i.size <= least(131072, 8388608 / cardinality(children));
    SELECT array_agg(c.content ORDER BY c.name), array_agg(c.is_new ORDER BY c.name) INTO contents, are_new
    FROM (
        SELECT u.name, n.name IS NULL AS is_new, convert_to((CASE WHEN n.name IS NULL THEN batch
            ELSE elasticjob.joined_v3(elasticjob.array_v3(n.data), batch) END)::text, 'UTF8') AS content
        FROM unnest(children) AS u(name)
        LEFT JOIN elasticjob.node n ON n.namespace = space AND n.parent = first.target AND n.name = u.name
    ) AS c;
    IF EXISTS (SELECT 1 FROM unnest(contents) AS c(content) WHERE c.content IS NULL OR octet_length(c.content) > 262144) THEN
        RETURN false;
    END IF;

    new_token := greatest(job.token + 1, now_millis << 20);
    INSERT INTO elasticjob.node VALUES (
        space, regexp_replace(first.target, '/[^/]*$', ''), regexp_replace(first.target, '^.*/', ''), '', 0, new_token, new_token,
        now_millis, 0, 0)
    ON CONFLICT DO NOTHING;
    lacks_target := FOUND;
    INSERT INTO elasticjob.node AS n
    SELECT space, first.target, c.name, c.content, 0, new_token, new_token, now_millis, 0, 0
    FROM unnest(children, contents) AS c(name, content)
    ON CONFLICT (namespace, parent, name) DO UPDATE SET data = excluded.data,
        version = CASE n.version WHEN 2147483647 THEN -2147483648 ELSE n.version + 1 END,
        modified = new_token, modified_at = now_millis;
    INSERT INTO elasticjob.change
    SELECT space, of_job, job.counter + row_number() OVER by_path, new_token, row_number() OVER by_path - 1, c.kind, c.path
    FROM (
        SELECT 1 AS kind, first.target AS path WHERE lacks_target
        UNION ALL
        SELECT CASE WHEN c.is_new THEN 1 ELSE 2 END, first.target || '/' || c.name
        FROM unnest(children, are_new) AS c(name, is_new)
    ) AS c
    WINDOW by_path AS (ORDER BY c.path COLLATE "C");
    UPDATE elasticjob.job j SET token = new_token, counter = j.counter + cardinality(children) + lacks_target::integer
    WHERE j.namespace = space AND j.name = of_job;
    DELETE FROM elasticjob.inbox i WHERE i.namespace = space AND i.job = of_job AND i.number = ANY (numbers);
    RETURN true;
END $$;
