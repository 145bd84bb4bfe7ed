-- An application's configurations change as one. History says what was committed together, why, and
-- when, in the order of an application's changes.

-- Whoever is changing something finishes it first: it would go on in the functions of before, on
-- tables that are no longer theirs.
lock table configurations in share row exclusive mode;

-- What is older has neither a note nor a transaction: each change of it counts as one of its own.
alter table configuration_revisions add column note varchar(1024);
alter table configuration_revisions add column transaction_id bigint;

create function recorded_note() returns text language sql stable
return nullif(current_setting('config_service.note', true), '');

-- The same number for all changes of a transaction, and another for those of any other. Random,
-- because a database that was restored gives PostgreSQL's own numbers out again.
create function recorded_transaction() returns bigint language sql volatile
return coalesce(
    nullif(current_setting('config_service.transaction', true), ''),
    set_config('config_service.transaction', floor(random() * 2 ^ 53)::bigint::text, true)
)::bigint;

alter table configuration_revisions
    alter column actor set default recorded_actor(),
    alter column note set default recorded_note(),
    alter column transaction_id set default recorded_transaction(),
    -- A number that was given out stays used when its transaction is undone; none shall be.
    alter column sequence drop identity;

-- The sequence and the time of the last change of each application. The next one's place is behind
-- it: the lock is held until commit, so that the sequence is the order in which changes become
-- visible; the applications are locked in the order that they are given in. Not by their own rows:
-- the deletion of one holds that, and waits for the changes of its configurations.
create function take_places(applications text[])
returns table (application_id text, sequence bigint, moment timestamptz) language plpgsql as $$
begin
    perform pg_advisory_xact_lock(hashtextextended(given.id, 0))
    from unnest(applications) as given (id);
    -- A statement of its own, which sees what was committed before the lock was there.
    return query
        select
            given.id, coalesce(last.sequence, 0),
            -- A clock may be set back.
            greatest(clock_timestamp(), last.recorded_at)
        from unnest(applications) as given (id)
        left join lateral (
            select change.sequence, change.recorded_at from configuration_revisions as change
            where change.application_id = given.id order by change.sequence desc limit 1
        ) as last on true;
end
$$;

-- As before, with these places.

create or replace function record_insert() returns trigger language plpgsql as $$
declare
    touched text[] := array(select distinct application_id from created order by application_id);
begin
    update applications set revision = revision + 1 where id = any(touched);
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
        on place.application_id = created.application_id;
    return null;
end
$$;

create or replace function record_update() returns trigger language plpgsql
set enable_nestloop = off as $$
declare
    touched text[] := array(select distinct application_id from updated order by application_id);
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
    return null;
end
$$;

create or replace function record_delete() returns trigger language plpgsql as $$
declare
    touched text[] := array(select distinct application_id from deleted order by application_id);
begin
    update applications set revision = revision + 1 where id = any(touched);
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
        on place.application_id = deleted.application_id;
    return null;
end
$$;

-- The sequence of the last change of those that were committed together with the given one. They
-- follow each other without a gap, so that the first one of another transaction is behind them.
create function end_of_transaction(application text, given bigint) returns bigint
language sql stable as $$
    select max(change.sequence) from configuration_revisions as change
    where change.application_id = application and change.sequence < coalesce(
        (
            select other.sequence from configuration_revisions as other
            where other.application_id = application and other.sequence > given
            and (other.transaction_id = (
                select own.transaction_id from configuration_revisions as own
                where own.application_id = application and own.sequence = given
            )) is not true
            order by other.sequence limit 1
        ),
        9223372036854775807
    )
$$;

create type content_item as (revision bigint, comments text, config jsonb);

-- The content of an application as it is given out, or null where that has more bytes than `most`:
-- it then stops at the first configuration that is too many.
create function content_body(application text, sequence bigint, most bigint) returns text
language plpgsql stable as $$
declare
    head text := '{"sequence":' || sequence || ',"configurations":{';
    size bigint := octet_length(head) + 1;
    items text[] := '{}';
    item text;
begin
    for item in
        select to_json(content.name)::text || ':' || row_to_json(
            row(content.revision, content.comments, content.config)::content_item
        )::text
        from configurations as content where content.application_id = application
        order by content.name
    loop
        -- One more, for the comma before it or for the last brace.
        size := size + octet_length(item) + 1;
        if size > most then
            return null;
        end if;
        items := items || item;
    end loop;
    return head || array_to_string(items, ',') || '}}';
end
$$;

-- The sequence of the last change of an application that is not one of this transaction: the one
-- before all that are. It may be trimmed already, by what this transaction has changed.
create function sequence_of_others(application text) returns bigint language sql volatile as $$
    with others as (
        select coalesce(max(change.sequence), 0) as last from configuration_revisions as change
        where change.application_id = application
        and change.transaction_id is distinct from (select recorded_transaction())
    )
    select coalesce(max(own.sequence) - count(*), (select last from others))
    from configuration_revisions as own
    where own.application_id = application and own.sequence > (select last from others)
$$;

create type content_change as (name text, action text, revision bigint, patch jsonb);

-- What is wanted of the configuration of this name, which gets the `id` if it is created; or of the
-- one with this id, where the content is restored.
create type wanted_configuration as (
    id text,
    name text,
    is_deleted boolean,
    has_comments boolean,  -- otherwise they stay
    comments text,
    config jsonb,          -- a merge patch, where the content is patched
    revision bigint        -- that it must be at; 0: it must not be there; null: any
);

create function refuse_content(reason text, previous bigint, names text[] default '{}')
returns void language plpgsql as $$
begin
    raise exception 'the content of the application cannot change so' using
        errcode = 'check_violation', constraint = reason, detail = (
            select json_build_object(
                'previous', previous, 'number', count(*), 'names', to_json((array_agg(name))[:20])
            )
            from (select distinct given.name collate "C" from unnest(names) as given (name) order by 1)
                as sorted (name)
        );
end
$$;

-- Makes the configurations of an application what is wanted of them: `way` is to `patch` those that
-- are named, to `replace` all, or to `restore` all by their ids. Where it is not to patch, others are
-- deleted. `previous` is the sequence before; `body` says what was done.
--
-- All or nothing. A refusal has one of these constraints, and as its detail a JSON object with the
-- `previous` sequence, and with what is named here:
--   content_sequence            the last change is none of `sequences`, where these are given
--   content_revisions           `names` are not at the revisions that they must be at
--   configurations_config_fits  `names` would be too large as they are printed
--   content_fits                all that is wanted would be too large as it is printed
--   content_deletions           not `deletions` would be deleted but `number`, and `names` first
--
-- It locks as single changes do: rows in the order of their ids, new names in theirs, the row of the
-- application, the place in the order of changes. Only then is it certain what others have created
-- meanwhile. Whoever holds such a row may wait for this place: to wait for the row in turn would be a
-- deadlock. So all is undone, which lets go of the place, and done once more.
--
-- The settings: PostgreSQL would keep a plan that was made for few, and take hours for many.
create function change_content(
    application text,
    wanted wanted_configuration[],
    way text,
    sequences bigint[],
    deletions bigint,
    out previous bigint,
    out sequence bigint,
    out body text
)
language plpgsql set enable_nestloop = off set enable_seqscan = off as $$
declare
    names text[] := array(select item.name from unnest(wanted) as item);
    present configurations[];
    targets configuration_answer[];
    conflicting text[];
    large text[];
    created bigint;
    bytes bigint;
    most_bytes bigint := nullif(current_setting('config_service.max_document_bytes', true), '');
    most_bytes_of_all bigint :=
        nullif(current_setting('config_service.max_content_bytes', true), '');
    deleted text[];
begin
    loop
        begin
            present := array(
                select one from configurations as one
                where one.application_id = application
                and (way <> 'patch' or one.name = any(names))
                order by one.id for update
            );
            targets := array(
                select row(
                    coalesce(one.id, item.id), application, item.name,
                    case when item.has_comments then item.comments else one.comments end,
                    case
                        when way = 'patch'
                            then merge_patch(coalesce(one.config, '{}'), item.config)
                        else item.config
                    end
                )::configuration_answer
                from unnest(wanted) as item left join unnest(present) as one
                    on case when way = 'restore' then one.id else one.name end
                    = case when way = 'restore' then item.id else item.name end
                where not item.is_deleted
            );
            conflicting := array(
                select item.name
                from unnest(wanted) as item left join unnest(present) as one on one.name = item.name
                where item.revision <> coalesce(one.revision, 0)
            );
            select
                coalesce(array_agg(printed.name) filter (where printed.bytes > most_bytes), '{}'),
                -- Alone each has its ids too, and so at most 100 bytes more than in the content.
                sum(printed.bytes - 100)
            into large, bytes
            from (
                select target.name, octet_length(row_to_json(target)::text) as bytes
                from unnest(targets) as target
            ) as printed;
            if way = 'restore' then
                perform free_names(present, targets);
            end if;
            insert into configurations (id, application_id, name, comments, config)
                select target.* from unnest(targets) as target
                where target.name <> all(large)
                and not exists (select from unnest(present) as one where one.id = target.id)
                order by target.name
                -- Others may have created it meanwhile.
                on conflict on constraint configurations_application_id_name_key do nothing;
            get diagnostics created = row_count;
            delete from configurations where id = any(array(
                select one.id from unnest(present) as one
                where not exists (select from unnest(targets) as target where target.id = one.id)
            ));
            update configurations
                set name = target.name, comments = target.comments, config = target.config
                from unnest(targets) as target
                where configurations.id = target.id and target.name <> all(large)
                -- A trick of the planner: without it the configurations of all applications are
                -- read, to join them.
                and configurations.id = any(array(select one.id from unnest(targets) as one))
                and (
                    configurations.name <> target.name
                    or configurations.comments is distinct from target.comments
                    or configurations.config <> target.config
                    -- As JSONB 1 and 1.0 are equal; as documents they differ.
                    or configurations.config::text <> target.config::text
                );
            perform take_places(array[application]);
            previous := sequence_of_others(application);
            exit when created = (
                select count(*) from unnest(targets) as target
                where target.name <> all(large)
                and not exists (select from unnest(present) as one where one.id = target.id)
            ) and not exists (
                select from configurations as one
                where one.application_id = application
                and (way <> 'patch' or one.name = any(names))
                and not exists (select from unnest(targets) as target where target.id = one.id)
            );
            raise sqlstate 'CS001' using message = 'others have created configurations meanwhile';
        exception when sqlstate 'CS001' or unique_violation then
            null;
        end;
    end loop;
    deleted := array(
        select change.name from configuration_revisions as change
        where change.application_id = application and change.sequence > previous
        and change.action = 'delete' order by change.name
    );
    if previous <> all(sequences) then
        perform refuse_content('content_sequence', previous);
    elsif conflicting <> '{}' then
        perform refuse_content('content_revisions', previous, conflicting);
    elsif large <> '{}' then
        perform refuse_content('configurations_config_fits', previous, large);
    elsif bytes > most_bytes_of_all then
        perform refuse_content('content_fits', previous);
    elsif way <> 'patch' and cardinality(deleted) <> deletions then
        perform refuse_content('content_deletions', previous, deleted);
    end if;
    select
        coalesce(max(change.sequence), previous),
        coalesce(string_agg(row_to_json(row(
            change.name, change.action, change.revision,
            case
                when change.action = 'delete' then '[]'
                else (
                    select coalesce(jsonb_agg(operation), '[]')
                    from json_patch(coalesce(one.config, '{}'), change.config) as operation
                )
            end
        )::content_change)::text, ',' order by change.name, change.sequence), '')
    into sequence, body
    from configuration_revisions as change
    left join unnest(present) as one on one.id = change.configuration_id
    where change.application_id = application and change.sequence > previous;
    body := '{"sequence":' || sequence || ',"changes":[' || body || ']}';
end
$$;
