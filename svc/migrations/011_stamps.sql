-- A stamp for each revision, to tell apart two that have the same number: after a restore to an
-- earlier time, or a failover that lost commits, a number is given out again for other content.
-- What has the id and the stamp of something that was read before is the same to the last digit.

-- Until its next change a configuration has the stamp of this migration, which is random too.
do $$
begin
    execute format(
        'alter table configurations add column stamp bigint not null default %s',
        floor(random() * 2 ^ 53)::bigint
    );
end
$$;
alter table configurations alter column stamp set default floor(random() * 2 ^ 53);

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
    elsif (new.name, new.comments) is not distinct from (old.name, old.comments)
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
