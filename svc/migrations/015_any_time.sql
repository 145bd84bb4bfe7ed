-- The state of an application at any time, and the way back to it.

-- Which configuration had which name: with the change `since`, and until the change `until`.
create table configuration_names (
    configuration_id text collate "C" not null,
    application_id text collate "C" not null,
    name varchar(256) collate "C" not null,
    since bigint not null,
    until bigint not null default 9223372036854775807,  -- for ever
    constraint configuration_names_pkey primary key (configuration_id, since)
);

-- Who had a name, and what there was.
create index configuration_names_application_id_name_since_idx
    on configuration_names (application_id, name, since);
create index configuration_names_application_id_until_idx
    on configuration_names (application_id, until);
create trigger configuration_names_keep before truncate on configuration_names
    for each statement execute function refuse_to_forget();

-- What a configuration was with a change, and which change of an application was the last at a time.
create index configuration_revisions_configuration_id_sequence_idx
    on configuration_revisions (configuration_id, sequence);
create index configuration_revisions_application_id_recorded_at_idx
    on configuration_revisions (application_id, recorded_at, sequence);

-- Of what history has trimmed, the order stays: a time and a sequence go on to mean the same state,
-- though some of it is gone.
create table trimmed_changes (
    application_id text collate "C" not null,
    sequence bigint not null,
    recorded_at timestamptz not null,
    transaction_id bigint,
    constraint trimmed_changes_pkey primary key (application_id, sequence)
);

create index trimmed_changes_application_id_recorded_at_idx
    on trimmed_changes (application_id, recorded_at, sequence);
create trigger trimmed_changes_keep before truncate on trimmed_changes
    for each statement execute function refuse_to_forget();

create view known_changes as
select application_id, sequence, recorded_at, transaction_id from configuration_revisions
union all
select application_id, sequence, recorded_at, transaction_id from trimmed_changes;

create or replace function trim_history() returns trigger language plpgsql
set enable_nestloop = on set enable_hashjoin = off set enable_mergejoin = off
set enable_seqscan = off as $$
begin
    with trimmed as (
        delete from configuration_revisions as outdated using recorded
        where outdated.configuration_id = recorded.configuration_id
        and outdated.revision <= recorded.revision
            - current_setting('config_service.history_keep_revisions')::bigint
        returning outdated.*
    )
    insert into trimmed_changes (application_id, sequence, recorded_at, transaction_id)
    select application_id, sequence, recorded_at, transaction_id from trimmed;
    return null;
end
$$;

-- A name ends with another one, and with a deletion. One configuration after the other: PostgreSQL
-- keeps the plan of a join that it made while there were few names, and that compares each change
-- with each name. Most updates rename nothing: `config_service.renames` spares them to look.
create function record_names() returns trigger language plpgsql set enable_seqscan = off as $$
declare
    change record;
begin
    if current_setting('config_service.renames', true) is distinct from 'on'
        and not exists (select from recorded where recorded.action <> 'update')
    then
        return null;
    end if;
    for change in
        select configuration_id, application_id, name, sequence, action from recorded
    loop
        if change.action <> 'create' then
            update configuration_names as named set until = change.sequence
            where named.configuration_id = change.configuration_id
            and named.until = 9223372036854775807
            and (change.action = 'delete' or change.name <> named.name);
        end if;
        if change.action <> 'delete' and not exists (
            select from configuration_names as named
            where named.configuration_id = change.configuration_id
            and named.until = 9223372036854775807
        ) then
            insert into configuration_names (configuration_id, application_id, name, since)
            values (change.configuration_id, change.application_id, change.name, change.sequence);
        end if;
    end loop;
    return null;
end
$$;

create trigger configuration_revisions_name after insert on configuration_revisions
    referencing new table as recorded for each statement execute function record_names();

create function announce_rename() returns trigger language plpgsql as $$
begin
    perform set_config('config_service.renames', 'on', true);
    return null;
end
$$;

-- Row by row, and so before the statement is recorded.
create trigger configurations_announce_rename after update of name on configurations
    for each row when (new.name <> old.name) execute function announce_rename();

-- The names until now; changes wait since the trigger was made, so that none escapes both. What was
-- trimmed counts as of the same name as the first revision that is left, so that it is missed where
-- it is asked for.
insert into configuration_names (configuration_id, application_id, name, since, until)
select turn.configuration_id, turn.application_id, turn.name, turn.since, turn.until
from (
    select
        given.configuration_id, given.application_id, given.name,
        case when given.is_trimmed then 0 else given.sequence end as since,
        case
            when given.is_deleted then given.sequence
            else coalesce(
                lead(given.sequence) over (
                    partition by given.configuration_id order by given.revision
                ),
                9223372036854775807
            )
        end as until
    from (
        select
            configuration_id, application_id, name, sequence, revision,
            action = 'delete' as is_deleted,
            revision > 1 and lag(revision) over own is null as is_trimmed,
            name is distinct from lag(name) over own
                or (action = 'delete') is distinct from (lag(action) over own = 'delete') as is_turn
        from configuration_revisions
        window own as (partition by configuration_id order by revision)
    ) as given
    where given.is_turn
) as turn
where turn.since < turn.until;

-- As before; while `config_service.frees_names` is on, an update is a step of a larger change.
create or replace function number_revision() returns trigger language plpgsql as $$
begin
    if tg_op = 'INSERT' then
        -- A configuration that comes back after it was deleted goes on counting.
        new.revision := 1 + coalesce(
            (select max(revision) from configuration_revisions where configuration_id = new.id), 0
        );
    elsif (new.id, new.application_id) <> (old.id, old.application_id) then
        raise exception 'a configuration keeps its id and its application' using
            errcode = 'check_violation', constraint = 'configurations_identity';
    -- As JSONB 1 and 1.0 are equal; as documents they differ.
    elsif current_setting('config_service.frees_names', true) = 'on'
        or (new.name, new.comments) is not distinct from (old.name, old.comments)
        and new.config = old.config
        and new.config::text = old.config::text
    then
        new.revision := old.revision;
        new.stamp := old.stamp;
        return new;
    else
        new.revision := old.revision + 1;
    end if;
    new.stamp := floor(random() * 2 ^ 53);
    return new;
end
$$;

-- A step of `change_content` where it restores: names may be exchanged, and one that comes back may be
-- another's now. What is to go is deleted, and what gets another name gives up the one that it has; a
-- unique constraint looks at each row by itself. Returns how many it has then created.
create function exchange_names(
    present configurations[], targets configuration_answer[], large text[]
) returns bigint
language plpgsql as $$
declare
    created bigint;
begin
    delete from configurations where id = any(array(
        select one.id from unnest(present) as one
        where not exists (select from unnest(targets) as target where target.id = one.id)
    ));
    perform set_config('config_service.frees_names', 'on', true);
    -- Without its document, because together with the longer name that might be too large.
    update configurations set name = gen_random_uuid(), config = '{}'
        from unnest(targets) as target
        where configurations.id = target.id and configurations.name <> target.name
        -- A trick of the planner: without it the configurations of all applications are read.
        and configurations.id = any(array(select one.id from unnest(targets) as one));
    perform set_config('config_service.frees_names', '', true);
    insert into configurations (id, application_id, name, comments, config)
        select target.* from unnest(targets) as target
        where target.name <> all(large)
        and not exists (select from unnest(present) as one where one.id = target.id)
        and exists (select from unnest(present) as one where one.name = target.name)
        order by target.name;
    get diagnostics created = row_count;
    return created;
end
$$;

-- The last change of an application that counts at a sequence, or at a time where that is given: the
-- last one of the last transaction up to it. 0 before the first; null where it is in the future.
create function point_in_time(application text, given bigint, moment timestamptz) returns bigint
language plpgsql stable as $$
declare
    own known_changes;
    next known_changes;  -- the first that does not count
begin
    if moment > clock_timestamp() or given > (
        select coalesce(max(change.sequence), 0) from configuration_revisions as change
        where change.application_id = application
    ) then
        return null;
    elsif moment is not null then
        select * into next from known_changes as change
        where change.application_id = application and change.recorded_at > moment
        order by change.recorded_at, change.sequence limit 1;
        -- In a history from before times were in order, it may not be the first that was later.
        loop
            select * into own from known_changes as change
            where change.application_id = application
            and change.sequence < coalesce(next.sequence, 9223372036854775807)
            order by change.sequence desc limit 1;
            exit when own.sequence is null or own.recorded_at <= moment;
            next := own;
        end loop;
    else
        select * into own from known_changes as change
        where change.application_id = application and change.sequence <= given
        order by change.sequence desc limit 1;
        -- The changes of a transaction follow each other.
        select * into next from known_changes as change
        where change.application_id = application and change.sequence > given
        and (change.transaction_id = own.transaction_id) is not true
        order by change.sequence limit 1;
    end if;
    return coalesce((
        select change.sequence from known_changes as change
        where change.application_id = application
        and change.sequence < coalesce(next.sequence, 9223372036854775807)
        -- Nor does what its transaction did before.
        and (change.transaction_id = next.transaction_id) is not true
        order by change.sequence desc limit 1
    ), 0);
end
$$;

-- A configuration as it was with a change of its application; all null where that is gone from
-- history. Whether it was there at all, only `configuration_names` says.
create function configuration_at(configuration text, given bigint) returns configurations
language plpgsql stable as $$
declare
    was configurations;
begin
    select
        change.configuration_id, change.application_id, change.name, change.comments,
        change.config, change.revision
    into was.id, was.application_id, was.name, was.comments, was.config, was.revision
    from configuration_revisions as change
    where change.configuration_id = configuration and change.sequence <= given
    order by change.sequence desc limit 1;
    return was;
end
$$;

-- All that an application had with one of its changes, as the other function says it.
create function configurations_at(application text, given bigint) returns setof configurations
language sql stable as $$
    select was.* from configuration_names as named
    cross join lateral configuration_at(named.configuration_id, given) as was
    where named.application_id = application and named.since <= given and named.until > given
$$;

-- The content that an application had with one of its changes, as `content_body` gives the present.
create function content_body_at(application text, given bigint, most bigint) returns text
language plpgsql stable as $$
declare
    head text := '{"sequence":' || given || ',"configurations":{';
    size bigint := octet_length(head) + 1;
    items text[] := '{}';
    item text;
begin
    for item in
        select to_json(was.name)::text || ':' || row_to_json(
            row(was.revision, was.comments, was.config)::content_item
        )::text
        from configurations_at(application, given) as was
        order by was.name
    loop
        size := size + octet_length(item) + 1;
        if size > most then
            return null;
        end if;
        items := items || item;
    end loop;
    return head || array_to_string(items, ',') || '}}';
end
$$;

-- Makes the configurations of an application what they were with its change `given`, by
-- `change_content`. Where that cannot be, `obstacle` says why, and nothing has changed: `future`, or
-- `trimmed`, where history has lost something of it.
create function rollback_content(
    application text,
    given bigint,
    sequences bigint[],
    deletions bigint,
    out obstacle text,
    out previous bigint,
    out sequence bigint,
    out body text
)
language plpgsql as $$
declare
    point bigint := point_in_time(application, given, null);
    wanted wanted_configuration[] := array(
        select row(was.id, was.name, false, true, was.comments, was.config, null)
            ::wanted_configuration
        from configurations_at(application, point) as was
    );
begin
    if point is null then
        obstacle := 'future';
    elsif exists (select from unnest(wanted) as item where item.id is null) then
        obstacle := 'trimmed';
    else
        perform set_config('config_service.action', 'rollback', true);
        select changed.previous, changed.sequence, changed.body
        into previous, sequence, body
        from change_content(application, wanted, 'restore', sequences, deletions) as changed;
    end if;
end
$$;

-- The value in a document at a JSON Pointer (RFC 6901), as its reference tokens; null where there is
-- none, which is not the value null.
create function value_at(document jsonb, tokens text[]) returns jsonb
language plpgsql immutable as $$
declare
    token text;
begin
    foreach token in array tokens loop
        document := case jsonb_typeof(document)
            when 'object' then document -> token
            -- A place in an array is a number without leading zeros.
            when 'array' then case when token ~ '^(0|[1-9][0-9]{0,8})$' then document -> token::int end
        end;
        exit when document is null;
    end loop;
    return document;
end
$$;

-- The document of a configuration at a revision, or at present where that is null; null where there
-- is none. Where an application is given, only of one that belongs to it.
create function document_of(configuration text, given bigint, application text) returns jsonb
language plpgsql stable as $$
begin
    if given is null then
        return (
            select configurations.config from configurations
            where configurations.id = configuration
            and configurations.application_id = coalesce(application, configurations.application_id)
        );
    end if;
    return (
        select change.config from configuration_revisions as change
        where change.configuration_id = configuration and change.revision = given
        and change.application_id = coalesce(application, change.application_id)
    );
end
$$;
