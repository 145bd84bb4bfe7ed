-- The state of an application at any time, and the way back to it.

-- Which configuration had which name: with the change `since`, and until the change `until`. What
-- history has trimmed is not known to have had another name before its first revision that is left.
create table configuration_names (
    configuration_id text collate "C" not null,
    application_id text collate "C" not null,
    name varchar(256) collate "C" not null,
    since bigint not null,
    until bigint not null default 9223372036854775807,  -- for ever
    constraint configuration_names_pkey primary key (configuration_id, since)
);

insert into configuration_names (configuration_id, application_id, name, since, until)
select known.configuration_id, known.application_id, known.name, known.since, known.until
from (
    select turn.*, coalesce(
        lead(turn.since) over (partition by turn.configuration_id order by turn.revision),
        9223372036854775807
    ) as until
    from (
        select
            configuration_id, application_id, name, action, revision,
            case
                when revision > 1 and lag(revision) over own is null then 0 else sequence
            end as since,
            name is distinct from lag(name) over own
                or (action = 'delete') is distinct from (lag(action) over own = 'delete') as is_turn
        from configuration_revisions
        window own as (partition by configuration_id order by revision)
    ) as turn
    where turn.is_turn
) as known
where known.action <> 'delete';

-- Who had a name, and what there was.
create index configuration_names_application_id_name_since_idx
    on configuration_names (application_id, name, since);
create index configuration_names_application_id_until_idx
    on configuration_names (application_id, until);
create trigger configuration_names_keep before truncate on configuration_names
    for each statement execute function refuse_to_forget();

-- What a configuration was, and what the last change of an application was at a time.
create index configuration_revisions_configuration_id_sequence_idx
    on configuration_revisions (configuration_id, sequence);
create index configuration_revisions_application_id_recorded_at_idx
    on configuration_revisions (application_id, recorded_at, sequence);

-- As before, with the names.

create or replace function record_insert() returns trigger language plpgsql as $$
declare
    touched text[] := array(select distinct application_id from created order by application_id);
begin
    update applications set revision = revision + 1 where id = any(touched);
    with recorded as (
        insert into configuration_revisions (
            configuration_id, revision, sequence, application_id, name, comments, config, action,
            recorded_at
        )
        select
            created.id, created.revision,
            place.sequence
                + row_number() over (partition by created.application_id order by created.name),
            created.application_id, created.name, created.comments, created.config,
            recorded_action('create'), place.moment
        from created join take_places(touched) as place
            on place.application_id = created.application_id
        returning configuration_id, application_id, name, sequence
    )
    insert into configuration_names (configuration_id, application_id, name, since)
    select recorded.configuration_id, recorded.application_id, recorded.name, recorded.sequence
    from recorded;
    return null;
end
$$;

create or replace function record_update() returns trigger language plpgsql
set enable_nestloop = off as $$
declare
    touched text[] := array(select distinct application_id from updated order by application_id);
    change record;
begin
    insert into configuration_revisions (
        configuration_id, revision, sequence, application_id, name, comments, config, action,
        recorded_at
    )
    select
        updated.id, updated.revision,
        place.sequence
            + row_number() over (partition by updated.application_id order by updated.name),
        updated.application_id, updated.name, updated.comments, updated.config,
        recorded_action('update'), place.moment
    from updated
    join replaced on replaced.id = updated.id and replaced.revision < updated.revision
    join take_places(touched) as place on place.application_id = updated.application_id;
    for change in
        select updated.id, updated.revision from updated
        join replaced on replaced.id = updated.id and replaced.revision < updated.revision
        where replaced.name <> updated.name
    loop
        perform record_name(change.id, change.revision);
    end loop;
    return null;
end
$$;

-- The name that a configuration has with this revision ends the one before it; one that is deleted
-- has none.
create function record_name(configuration text, given bigint) returns void language plpgsql as $$
declare
    change configuration_revisions;
begin
    select * into change from configuration_revisions as recorded
    where recorded.configuration_id = configuration and recorded.revision = given;
    update configuration_names set until = change.sequence
    where configuration_id = configuration and until = 9223372036854775807;
    insert into configuration_names (configuration_id, application_id, name, since)
    values (configuration, change.application_id, change.name, change.sequence);
end
$$;

create or replace function record_delete() returns trigger language plpgsql as $$
declare
    touched text[] := array(select distinct application_id from deleted order by application_id);
begin
    update applications set revision = revision + 1 where id = any(touched);
    with recorded as (
        insert into configuration_revisions (
            configuration_id, revision, sequence, application_id, name, comments, config, action,
            recorded_at
        )
        select
            deleted.id, deleted.revision + 1,
            place.sequence
                + row_number() over (partition by deleted.application_id order by deleted.name),
            deleted.application_id, deleted.name, deleted.comments, deleted.config,
            'delete', place.moment
        from deleted join take_places(touched) as place
            on place.application_id = deleted.application_id
        returning configuration_id, sequence
    )
    update configuration_names set until = recorded.sequence from recorded
    where configuration_names.configuration_id = recorded.configuration_id
    and configuration_names.until = 9223372036854775807;
    return null;
end
$$;

-- As before; while `config_service.frees_names` is on, a name is only given up for another one.
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

-- The first step of `change_content` where it restores: names may be exchanged, and a name that
-- comes back may be another's now. What is to go is deleted, and what gets another name gives up
-- the one that it has; a unique constraint looks at each row by itself.
create function free_names(present configurations[], targets configuration_answer[]) returns void
language plpgsql as $$
begin
    delete from configurations where id = any(array(
        select one.id from unnest(present) as one
        where not exists (select from unnest(targets) as target where target.id = one.id)
    ));
    perform set_config('config_service.frees_names', 'on', true);
    update configurations set name = gen_random_uuid()
        from unnest(targets) as target
        where configurations.id = target.id and configurations.name <> target.name
        -- A trick of the planner: without it the configurations of all applications are read.
        and configurations.id = any(array(select one.id from unnest(targets) as one));
    perform set_config('config_service.frees_names', '', true);
end
$$;

-- The last change of an application that counts at a sequence, or at a time where that is given: the
-- last one of the last transaction up to it. 0 before the first; null where it is in the future.
create function point_in_time(application text, given bigint, moment timestamptz) returns bigint
language plpgsql stable as $$
declare
    last configuration_revisions;
begin
    if moment > clock_timestamp() then
        return null;
    elsif moment is not null then
        select * into last from configuration_revisions as change
        where change.application_id = application and change.recorded_at <= moment
        order by change.recorded_at desc, change.sequence desc limit 1;
        if end_of_transaction(application, last.sequence) > last.sequence then
            -- The rest of its transaction came later: it is the one before.
            select * into last from configuration_revisions as change
            where change.application_id = application and change.sequence < last.sequence
            and (change.transaction_id = last.transaction_id) is not true
            order by change.sequence desc limit 1;
        end if;
        return coalesce(last.sequence, 0);
    elsif given > (
        select coalesce(max(change.sequence), 0) from configuration_revisions as change
        where change.application_id = application
    ) then
        return null;
    end if;
    select * into last from configuration_revisions as change
    where change.application_id = application and change.sequence <= given
    order by change.sequence desc limit 1;
    return case
        when last.sequence is null then 0
        else end_of_transaction(application, last.sequence)
    end;
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
begin
    if point is null then
        obstacle := 'future';
    elsif exists (select from configurations_at(application, point) as was where was.id is null) then
        obstacle := 'trimmed';
    else
        perform set_config('config_service.action', 'rollback', true);
        select changed.previous, changed.sequence, changed.body
        into previous, sequence, body
        from change_content(
            application,
            array(
                select row(was.id, was.name, false, true, was.comments, was.config, null)
                    ::wanted_configuration
                from configurations_at(application, point) as was
            ),
            'restore', sequences, deletions
        ) as changed;
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
