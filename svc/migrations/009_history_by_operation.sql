-- History as before, a function for each operation, so that each can be read alone and none does
-- more than it needs. A statement that changes very many configurations costs less.

drop trigger configurations_record_insert on configurations;
drop trigger configurations_record_update on configurations;
drop trigger configurations_record_delete on configurations;
drop function record_revisions;
drop trigger configuration_revisions_notify on configuration_revisions;
drop function notify_of_revisions;

-- What history says about a change: the action that the request gave it (a rollback is an insert or
-- an update as well), or else the operation; and who made the request.
create function recorded_action(operation text) returns text language sql stable
return coalesce(nullif(current_setting('config_service.action', true), ''), operation);

create function recorded_actor() returns text language sql stable
return coalesce(nullif(current_setting('config_service.actor', true), ''), 'anonymous');

-- Each function locks the applications that it touches until commit, so that the sequence of an
-- application's changes is the order in which they become visible; in the order of their ids, so
-- that no two statements wait for each other. The application's own row will not do as the lock: its
-- deletion holds that, and waits for the changes of its configurations.

-- An application lists its configurations: creating or deleting one changes the application too.
create function record_insert() returns trigger language plpgsql as $$
declare
    touched text[] := array(select distinct application_id from created order by application_id);
begin
    update applications set revision = revision + 1 where id = any(touched);
    perform pg_advisory_xact_lock(hashtextextended(id, 0)) from unnest(touched) as id;
    insert into configuration_revisions
        (configuration_id, revision, application_id, name, comments, config, action, actor)
    select
        id, revision, application_id, name, comments, config,
        recorded_action('create'), recorded_actor()
    from created;
    return null;
end
$$;

-- An update that changed nothing has left the revision as it was, and is not recorded. PostgreSQL
-- keeps the plan of the join that it made for the first update: a nested loop is quick for one row
-- and would take hours for all the rows of a large application.
create function record_update() returns trigger language plpgsql set enable_nestloop = off as $$
declare
    touched text[] := array(select distinct application_id from updated order by application_id);
begin
    perform pg_advisory_xact_lock(hashtextextended(id, 0)) from unnest(touched) as id;
    insert into configuration_revisions
        (configuration_id, revision, application_id, name, comments, config, action, actor)
    select
        updated.id, updated.revision, updated.application_id,
        updated.name, updated.comments, updated.config,
        recorded_action('update'), recorded_actor()
    from updated
    join replaced on replaced.id = updated.id and replaced.revision < updated.revision;
    return null;
end
$$;

-- A deletion takes a revision of its own, which holds the last content.
create function record_delete() returns trigger language plpgsql as $$
declare
    touched text[] := array(select distinct application_id from deleted order by application_id);
begin
    update applications set revision = revision + 1 where id = any(touched);
    perform pg_advisory_xact_lock(hashtextextended(id, 0)) from unnest(touched) as id;
    insert into configuration_revisions
        (configuration_id, revision, application_id, name, comments, config, action, actor)
    select
        id, revision + 1, application_id, name, comments, config,
        recorded_action('delete'), recorded_actor()
    from deleted;
    return null;
end
$$;

create trigger configurations_record_insert after insert on configurations
    referencing new table as created for each statement execute function record_insert();
create trigger configurations_record_update after update on configurations
    referencing old table as replaced new table as updated
    for each statement execute function record_update();
create trigger configurations_record_delete after delete on configurations
    referencing old table as deleted for each statement execute function record_delete();

-- The payload names an application and those of its configurations that changed. A payload has at
-- most 7,999 bytes, and an id with the space before it has 27.
create function notify_of_revisions() returns trigger language plpgsql as $$
begin
    perform pg_notify('changes', application_id || ' ' || string_agg(configuration_id, ' '))
    from (
        select application_id, configuration_id, row_number() over () / 250 as part from recorded
    ) as numbered
    group by application_id, part;
    return null;
end
$$;

create trigger configuration_revisions_notify after insert on configuration_revisions
    referencing new table as recorded for each statement execute function notify_of_revisions();

-- The settings make PostgreSQL look for the old revisions of each configuration by the primary key.
-- It would otherwise keep a plan that it made for many, and read the whole table for one.
create function trim_history() returns trigger language plpgsql
set enable_nestloop = on set enable_hashjoin = off set enable_mergejoin = off
set enable_seqscan = off as $$
begin
    delete from configuration_revisions as outdated using recorded
    where outdated.configuration_id = recorded.configuration_id
    and outdated.revision <= recorded.revision
        - current_setting('config_service.history_keep_revisions')::bigint;
    return null;
end
$$;

create trigger configuration_revisions_trim after insert on configuration_revisions
    referencing new table as recorded for each statement
    when (nullif(current_setting('config_service.history_keep_revisions', true), '')::bigint > 0)
    execute function trim_history();
