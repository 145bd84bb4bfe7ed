-- What GET returns has to fit a PUT: 100,000 times `1e308` are short to send and long to print. The
-- limit is a setting of the service's connections; without it, in psql for instance, there is none.

create function refuse_large_document() returns trigger language plpgsql as $$
begin
    if octet_length(new.config::text)
        > nullif(current_setting('config_service.max_document_bytes', true), '')::bigint
    then
        raise exception 'the document is too large as it is printed' using
            errcode = 'check_violation', constraint = 'configurations_config_fits';
    end if;
    return new;
end
$$;

create trigger configurations_config_fits before insert or update of config on configurations
    for each row execute function refuse_large_document();
