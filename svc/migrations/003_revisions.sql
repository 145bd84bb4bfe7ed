-- Revisions and history. Triggers write both, so that no change escapes them: not a cascade, and
-- not a statement typed into psql.

alter table applications add revision bigint not null default 1;
alter table configurations add revision bigint not null default 1;

create table configuration_revisions (
    configuration_id text collate "C" not null,
    revision bigint not null,
    sequence bigint generated always as identity,
    application_id text collate "C" not null,
    name varchar(256) collate "C" not null,
    comments varchar(1024),
    config jsonb not null,
    action text not null constraint configuration_revisions_action
        check (action in ('create', 'update', 'delete', 'rollback')),
    actor text not null,
    recorded_at timestamptz not null default now(),
    constraint configuration_revisions_pkey primary key (configuration_id, revision),
    constraint configuration_revisions_application_id_sequence_key
        unique (application_id, sequence)
);

-- What is older than history enters it now, as it is.
insert into configuration_revisions
    (configuration_id, revision, application_id, name, comments, config, action, actor)
select id, 1, application_id, name, comments, config, 'create', 'anonymous'
from configurations order by id;

create function number_revision() returns trigger language plpgsql as $$
begin
    if tg_op = 'INSERT' then
        -- A configuration that comes back after it was deleted goes on counting.
        new.revision := 1 + coalesce(
            (select max(revision) from configuration_revisions where configuration_id = new.id), 0
        );
    elsif (new.id, new.application_id) <> (old.id, old.application_id) then
        raise exception 'a configuration keeps its id and its application' using
            errcode = 'check_violation', constraint = 'configurations_identity';
    else
        -- As JSONB 1 and 1.0 are equal; as documents they differ.
        new.revision := old.revision + (
            (new.name, new.comments) is distinct from (old.name, old.comments)
            or new.config <> old.config
            or new.config::text <> old.config::text
        )::int;
    end if;
    return new;
end
$$;

create trigger configurations_number_revision before insert or update on configurations
    for each row execute function number_revision();

create function record_revision() returns trigger language plpgsql as $$
declare
    changed configurations := case when tg_op = 'DELETE' then old else new end;
    keep bigint := nullif(current_setting('config_service.history_keep_revisions', true), '');
begin
    if tg_op = 'UPDATE' and new.revision = old.revision then
        return null;
    end if;
    if tg_op <> 'UPDATE' then
        -- An application lists its configurations, and so it has changed too.
        update applications set revision = revision + 1 where id = changed.application_id;
    end if;
    if tg_op = 'DELETE' then
        changed.revision := old.revision + 1;
    end if;
    -- Held until commit, so that the sequence of an application's changes is the order in which
    -- they become visible. Not the application's row: its deletion holds that and waits for this.
    perform pg_advisory_xact_lock(hashtextextended(changed.application_id, 0));
    insert into configuration_revisions
        (configuration_id, revision, application_id, name, comments, config, action, actor)
    values (
        changed.id, changed.revision, changed.application_id,
        changed.name, changed.comments, changed.config,
        coalesce(
            nullif(current_setting('config_service.action', true), ''),
            case tg_op when 'INSERT' then 'create' when 'UPDATE' then 'update' else 'delete' end
        ),
        coalesce(nullif(current_setting('config_service.actor', true), ''), 'anonymous')
    );
    if keep > 0 then
        delete from configuration_revisions
        where configuration_id = changed.id and revision <= changed.revision - keep;
    end if;
    return null;
end
$$;

create trigger configurations_record_revision after insert or update or delete on configurations
    for each row execute function record_revision();

create function number_application_revision() returns trigger language plpgsql as $$
begin
    new.revision := old.revision + (
        (new.name, new.comments, new.revision)
        is distinct from (old.name, old.comments, old.revision)
    )::int;
    return new;
end
$$;

create trigger applications_number_revision before update on applications
    for each row execute function number_application_revision();

create function refuse_to_forget() returns trigger language plpgsql as $$
begin
    -- Trimming is done inside record_revision, one trigger deep.
    if tg_op = 'DELETE' and pg_trigger_depth() > 1 then
        return old;
    end if;
    raise exception '% of % is refused: history forgets nothing', tg_op, tg_table_name using
        errcode = 'restrict_violation';
end
$$;

create trigger applications_keep before truncate on applications
    for each statement execute function refuse_to_forget();
create trigger configurations_keep before truncate on configurations
    for each statement execute function refuse_to_forget();
create trigger configuration_revisions_keep before truncate on configuration_revisions
    for each statement execute function refuse_to_forget();
create trigger configuration_revisions_keep_rows before update or delete on configuration_revisions
    for each row execute function refuse_to_forget();

-- RFC 7396, section 2.
create function merge_patch(target jsonb, patch jsonb) returns jsonb language plpgsql immutable
as $$
begin
    if jsonb_typeof(patch) <> 'object' then
        return patch;
    end if;
    if target is null or jsonb_typeof(target) <> 'object' then
        target := '{}';
    end if;
    return coalesce((
        select jsonb_object_agg(key, value) from (
            select key, value from jsonb_each(target) where not patch ? key
            union all
            select key, merge_patch(target -> key, value) from jsonb_each(patch)
            where jsonb_typeof(value) <> 'null'
        ) as merged
    ), '{}');
end
$$;

-- The operations (RFC 6902) that turn source into target, each at a path below `path` (RFC 6901).
create function json_patch(source jsonb, target jsonb, path text default '')
returns setof jsonb language plpgsql immutable as $$
declare
    shared int;
begin
    if source::text = target::text then
        return;
    elsif jsonb_typeof(source) = 'object' and jsonb_typeof(target) = 'object' then
        return query
            select operation from jsonb_object_keys(source || target) as key,
            lateral (
                select path || '/' || replace(replace(key, '~', '~0'), '/', '~1') as place
            ) as member,
            lateral (
                select jsonb_build_object('op', 'remove', 'path', place) where not target ? key
                union all
                select jsonb_build_object('op', 'add', 'path', place, 'value', target -> key)
                where not source ? key
                union all
                select json_patch(source -> key, target -> key, place)
                where source ? key and target ? key
            ) as operations (operation);
    elsif jsonb_typeof(source) = 'array' and jsonb_typeof(target) = 'array' then
        shared := least(jsonb_array_length(source), jsonb_array_length(target));
        return query
            select json_patch(source -> i, target -> i, path || '/' || i)
            from generate_series(0, shared - 1) as i;
        -- From the end, so that the places before stay what they are.
        return query
            select jsonb_build_object('op', 'remove', 'path', path || '/' || i)
            from generate_series(jsonb_array_length(source) - 1, shared, -1) as i;
        return query
            select jsonb_build_object('op', 'add', 'path', path || '/' || i, 'value', target -> i)
            from generate_series(shared, jsonb_array_length(target) - 1) as i;
    else
        return next jsonb_build_object('op', 'replace', 'path', path, 'value', target);
    end if;
end
$$;
