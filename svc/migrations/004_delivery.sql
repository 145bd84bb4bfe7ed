-- Delivery by name, in layers, and the hint that wakes whoever watches.

-- Strict, and without an initial value: the first layer that exists is taken as it is.
create function merge_layer(target jsonb, patch jsonb) returns jsonb language sql immutable strict
return merge_patch(target, patch);

create aggregate merge_layers(jsonb) (sfunc = merge_layer, stype = jsonb);

-- The payload names what changed: an application, and the configuration in it if it is one.
create function notify_of_revision() returns trigger language plpgsql as $$
begin
    perform pg_notify('changes', new.application_id || ' ' || new.configuration_id);
    return null;
end
$$;

create trigger configuration_revisions_notify after insert on configuration_revisions
    for each row execute function notify_of_revision();

create function notify_of_application() returns trigger language plpgsql as $$
begin
    perform pg_notify('changes', old.id);
    return null;
end
$$;

create trigger applications_notify_of_name after update of name on applications
    for each row when (new.name <> old.name) execute function notify_of_application();
create trigger applications_notify_of_deletion after delete on applications
    for each row execute function notify_of_application();
