-- A statement that changes many configurations records them together: a lock for each application,
-- an insert and a notification for all, whose cost they share.

drop trigger configurations_record_revision on configurations;
drop function record_revision;
drop trigger configuration_revisions_notify on configuration_revisions;
drop function notify_of_revision;

-- `changed` has the rows as they are now, or as they were when they were deleted. A plan that was
-- made for many of them is kept for the next: it must not read a table whole for one.
create function record_revisions() returns trigger language plpgsql set enable_seqscan = off as $$
declare
    deleted int := (tg_op = 'DELETE')::int;
    keep bigint := nullif(current_setting('config_service.history_keep_revisions', true), '');
begin
    if tg_op <> 'UPDATE' then
        -- An application lists its configurations, and so it has changed too.
        update applications set revision = revision + 1
        where id in (select application_id from changed);
    end if;
    -- Held until commit, so that the sequence of an application's changes is the order in which
    -- they become visible. Not the application's row: its deletion holds that and waits for this.
    perform pg_advisory_xact_lock(hashtextextended(application_id, 0))
    from (select distinct application_id from changed order by application_id) as touched;
    insert into configuration_revisions
        (configuration_id, revision, application_id, name, comments, config, action, actor)
    select
        id, revision + deleted, application_id, name, comments, config,
        coalesce(
            nullif(current_setting('config_service.action', true), ''),
            case tg_op when 'INSERT' then 'create' when 'UPDATE' then 'update' else 'delete' end
        ),
        coalesce(nullif(current_setting('config_service.actor', true), ''), 'anonymous')
    from changed
    -- An update that changed nothing is still at a revision that is recorded.
    where tg_op <> 'UPDATE' or not exists (
        select from configuration_revisions as recorded
        where recorded.configuration_id = changed.id and recorded.revision = changed.revision
    );
    if keep > 0 then
        delete from configuration_revisions as kept using changed
        where kept.configuration_id = changed.id
        and kept.revision <= changed.revision + deleted - keep;
    end if;
    return null;
end
$$;

create trigger configurations_record_insert after insert on configurations
    referencing new table as changed for each statement execute function record_revisions();
create trigger configurations_record_update after update on configurations
    referencing new table as changed for each statement execute function record_revisions();
create trigger configurations_record_delete after delete on configurations
    referencing old table as changed for each statement execute function record_revisions();

create function notify_of_revisions() returns trigger language plpgsql as $$
begin
    perform pg_notify('changes', application_id || ' ' || configuration_id) from recorded;
    return null;
end
$$;

create trigger configuration_revisions_notify after insert on configuration_revisions
    referencing new table as recorded for each statement execute function notify_of_revisions();
