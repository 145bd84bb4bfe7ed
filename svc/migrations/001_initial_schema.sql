-- Names and ids compare code point by code point, whatever the locale of the database.

-- A name has no control character (Cc), and no white space at its ends.
create function is_name(name text) returns boolean language sql immutable
return name ~ '^[^\u0001-\u001f\u007f-\u009f]+$'
    and name !~ '^[ \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]'
    and name !~ '[ \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]$';

create table applications (
    id text collate "C"
        constraint applications_pkey primary key
        constraint applications_id_ulid check (id ~ '^[0-7][0-9A-HJKMNP-TV-Z]{25}$'),
    name varchar(256) collate "C" not null
        constraint applications_name_key unique
        constraint applications_name_form check (is_name(name)),
    comments varchar(1024)
);

create table configurations (
    id text collate "C"
        constraint configurations_pkey primary key
        constraint configurations_id_ulid check (id ~ '^[0-7][0-9A-HJKMNP-TV-Z]{25}$'),
    application_id text collate "C" not null
        constraint configurations_application_id_fkey references applications on delete cascade,
    name varchar(256) collate "C" not null
        constraint configurations_name_form check (is_name(name)),
    comments varchar(1024),
    config jsonb not null
        constraint configurations_config_object check (jsonb_typeof(config) = 'object'),
    constraint configurations_application_id_name_key unique (application_id, name)
);

-- The ids of an application's configurations, and the pages of its list, in order.
create index configurations_application_id_id_idx on configurations (application_id, id);
