-- What a token may be confined to: an application by its id or its name. Null where there is none.

create function confinement(application text) returns text language sql stable
return coalesce(
    (select id from applications where id = upper(application)),
    (select id from applications where name = application)
);
