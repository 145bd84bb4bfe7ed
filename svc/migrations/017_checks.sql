-- Checks: what programs read, layers as they are merged, is held against a JSON Schema before it
-- counts.

create table checks (
    id text collate "C"
        constraint checks_pkey primary key
        constraint checks_id_ulid check (id ~ '^[0-7][0-9A-HJKMNP-TV-Z]{25}$'),
    application_id text collate "C" not null
        constraint checks_application_id_fkey references applications on delete cascade,
    schema_id text collate "C" not null
        constraint checks_schema_id_fkey references configurations on delete cascade,
    layers text[] collate "C" not null
        constraint checks_layers_number check (cardinality(layers) between 1 and 16),
    optional text[] collate "C" not null default '{}'
        constraint checks_optional_layers check (optional <@ layers),
    revision bigint not null default 1
);

create index checks_application_id_id_idx on checks (application_id, id);
create index checks_schema_id_idx on checks (schema_id);

create trigger checks_keep before truncate on checks
    for each statement execute function refuse_to_forget();

-- The schemas of checks, prepared once, when they are stored.
create table schemas (
    configuration_id text collate "C"
        constraint schemas_pkey primary key
        constraint schemas_configuration_id_fkey references configurations on delete cascade,
    prepared jsonb not null
);

-- Raises what a check has against a change: its detail is JSON.
create function refuse_change(reason text, told json) returns void language plpgsql as $$
begin
    raise exception 'a check is against this' using
        errcode = 'check_violation', constraint = reason, detail = told;
end
$$;

-- Stores what a schema is prepared to, or refuses it: where it is too large, and where something of
-- it is not supported.
create function prepare_schema(configuration text, schema jsonb) returns void language plpgsql as $$
declare
    faults json := (
        select json_agg(fault) from (select * from schema_faults(schema) limit 20) as fault
    );
begin
    if octet_length(schema::text) > 64 * 1024 then
        perform refuse_change('checks_schema_size', 'null');
    elsif faults is not null then
        perform refuse_change('checks_schema_supported', faults);
    end if;
    insert into schemas (configuration_id, prepared)
    values (configuration, prepared_schema(schema))
    on conflict on constraint schemas_pkey do update set prepared = excluded.prepared;
end
$$;

create function number_check() returns trigger language plpgsql as $$
declare
    schema jsonb;
begin
    if tg_op = 'UPDATE' then
        if (new.id, new.application_id) <> (old.id, old.application_id) then
            perform refuse_change('checks_identity', 'null');
        end if;
        new.revision := old.revision + (
            (new.schema_id, new.layers, new.optional)
            is distinct from (old.schema_id, old.layers, old.optional)
        )::int;
    end if;
    -- Rows first and then the place, as everywhere: the keys to them would be locked only behind it.
    perform from applications where applications.id = new.application_id for key share;
    perform from configurations where configurations.id = new.schema_id for key share;
    -- As all changes of an application: so nobody changes a layer or a schema meanwhile.
    perform take_places(array[new.application_id]);
    if tg_op = 'INSERT' and 16 <= (
        select count(*) from checks where checks.application_id = new.application_id
    ) then
        perform refuse_change('checks_number', 'null');
    end if;
    select configurations.config into schema from configurations
    where configurations.id = new.schema_id and configurations.application_id = new.application_id;
    if schema is null then
        perform refuse_change('checks_schema_of_application', 'null');
    end if;
    perform prepare_schema(new.schema_id, schema);
    return new;
end
$$;

create trigger checks_number before insert or update on checks
    for each row execute function number_check();

-- Volatile, as the one further down: it has to see checks that were made while the statement waited
-- for its place or its row.
create function is_schema(configuration text) returns boolean language plpgsql volatile as $$
begin
    return exists (select from checks where checks.schema_id = configuration);
end
$$;

-- Unless its application goes, which takes the checks along, a schema stays.
create function keep_schema() returns trigger language plpgsql as $$
begin
    perform refuse_change('checks_in_use', json_build_object('check', min(checks.id)))
    from checks join applications on applications.id = checks.application_id
    where checks.schema_id = old.id
    having count(*) > 0;
    return old;
end
$$;

create trigger configurations_keep_schemas before delete on configurations
    for each row when (is_schema(old.id)) execute function keep_schema();

-- What the checks have against the documents as they are: for each fault the check, the place in the
-- merged document, and what the schema wants there; at most 20, and at least one of each check that
-- fails. Where a layer is missing that must not be, there is nothing to check yet. The setting: while
-- PostgreSQL takes a table for small it would read it whole, for each layer.
-- Each `offset 0` here and below is a trick of the planner: without it PostgreSQL may look for the
-- configurations of a name in all applications.
create function check_faults(ids text[]) returns json language plpgsql stable
set enable_seqscan = off as $$
begin
    return (
        select json_agg(json_build_object(
            'check', told.id, 'pointer', told.pointer, 'detail', told.detail
        ) order by told.id, told.place)
        from (
            select checks.id, fault.*
            from checks
            join schemas on schemas.configuration_id = checks.schema_id
            cross join lateral (
                select
                    coalesce(merge_layers(layer.config order by named.position), '{}') as document,
                    bool_or(layer.config is null and named.name <> all(checks.optional)) as is_missing
                from unnest(checks.layers) with ordinality as named (name, position)
                left join lateral (
                    select configurations.config from configurations
                    where configurations.application_id = checks.application_id
                    and configurations.name = named.name
                    offset 0
                ) as layer on true
            ) as merged
            cross join lateral document_faults(schemas.prepared, merged.document)
                with ordinality as fault (pointer, detail, place)
            where checks.id = any(ids) and not merged.is_missing
            order by fault.place, checks.id
            limit 20
        ) as told
    );
end
$$;

create function hold_checks(ids text[]) returns void language plpgsql as $$
declare
    faults json := check_faults(ids);
begin
    if faults is not null then
        perform refuse_change('checks_hold', faults);
    end if;
end
$$;

-- At the end of each transaction, when all of its changes are made and nobody else can make any in
-- their application: the checks whose layers or schemas it changed.

create function has_checks(application text) returns boolean language plpgsql volatile as $$
begin
    return exists (select from checks where checks.application_id = application);
end
$$;

-- The names that were concerned by the changes behind `previous`: those that the configurations got,
-- and those that they had. Where a constraint is immediate, the last name may be from before.
create function changed_names(application text, previous bigint) returns setof text
language sql stable as $$
    select change.name from configuration_revisions as change
    where change.application_id = application and change.sequence > previous
    union
    select last.name from configuration_revisions as change
    cross join lateral (
        select named.name from configuration_names as named
        where named.configuration_id = change.configuration_id
        order by named.since desc limit 1
    ) as last
    where change.application_id = application and change.sequence > previous
    union
    select named.name from configuration_names as named
    where named.application_id = application
    and named.until > previous and named.until < 9223372036854775807
$$;

create function hold_checks_of_changes() returns trigger language plpgsql
set enable_seqscan = off as $$
declare
    held jsonb := coalesce(nullif(current_setting('config_service.held', true), ''), '{}');
    last bigint := (
        select max(change.sequence) from configuration_revisions as change
        where change.application_id = new.application_id
    );
    previous bigint;
    names text[];
begin
    -- Once for all changes of the transaction, at the first of them.
    if (held -> new.application_id)::bigint = last then
        return null;
    end if;
    held := held || jsonb_build_object(new.application_id, last);
    perform set_config('config_service.held', held::text, true);
    previous := (
        select coalesce(max(change.sequence), 0) from configuration_revisions as change
        where change.application_id = new.application_id
        and change.transaction_id is distinct from (select recorded_transaction())
    );
    names := array(select changed_names(new.application_id, previous));
    -- A schema that is edited is prepared anew.
    perform prepare_schema(schema.id, schema.config)
    from (
        select configurations.* from configurations
        where configurations.id = any(array(
            select checks.schema_id from checks where checks.application_id = new.application_id
        ))
        offset 0
    ) as schema
    where schema.name = any(names);
    perform hold_checks(array(
        select checks.id from checks
        cross join lateral (
            select configurations.name from configurations
            where configurations.id = checks.schema_id
            offset 0
        ) as schema
        where checks.application_id = new.application_id
        and (schema.name = any(names) or checks.layers && names)
    ));
    return null;
end
$$;

create constraint trigger configuration_revisions_hold_checks
    after insert on configuration_revisions deferrable initially deferred
    for each row when (has_checks(new.application_id))
    execute function hold_checks_of_changes();

create function hold_check() returns trigger language plpgsql as $$
begin
    perform hold_checks(array[new.id]);
    return null;
end
$$;

create constraint trigger checks_hold after insert or update on checks
    deferrable initially deferred for each row execute function hold_check();
