-- What GET returns has to fit a PUT, to the byte: the limit holds for the whole answer, and so
-- for new names and comments too. Without the setting, in psql for instance, there is no limit.

drop trigger configurations_config_fits on configurations;
drop function refuse_large_document;

create type configuration_answer as
    (id text, application_id text, name text, comments text, config jsonb);

create function refuse_large_answer() returns trigger language plpgsql as $$
begin
    if octet_length(
        row_to_json(
            row(new.id, new.application_id, new.name, new.comments, new.config)::configuration_answer
        )::text
    ) > nullif(current_setting('config_service.max_document_bytes', true), '')::bigint
    then
        raise exception 'the configuration is too large as it is printed' using
            errcode = 'check_violation', constraint = 'configurations_config_fits';
    end if;
    return new;
end
$$;

create trigger configurations_config_fits before insert or update on configurations
    for each row execute function refuse_large_answer();
