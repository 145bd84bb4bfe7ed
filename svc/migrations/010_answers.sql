-- What several answers have in common, and what is hard to follow in the middle of a query.

-- A configuration as it is given out: the text of a JSON object, with every digit of its numbers.
create function configuration_body(given configurations) returns text language sql stable
return row_to_json(
    row(given.id, given.application_id, given.name, given.comments, given.config)
    ::configuration_answer
)::text;

-- RFC 3339 in UTC, always with six digits of the fraction, whatever time zone the session has:
-- 2026-01-02T03:04:05.000600Z.
create function rfc3339(moment timestamptz) returns text language sql stable
return to_char(moment at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"');

-- The layers merged from left to right as `config`; and as `origin`, for each of its top-level
-- keys, the layers that made the value, in their order.
create function explain_layers(given configurations[]) returns jsonb language sql stable as $$
    with layers as (
        select layer.name, layer.revision, layer.config, layer.ordinality as position
        from unnest(given) with ordinality as layer
    ), merged as (
        select coalesce(merge_layers(layers.config order by layers.position), '{}') as config
        from layers
    ), members as (
        select
            layers.name, layers.revision, layers.position, member.key,
            max(layers.position) over of_key as last,
            max(layers.position) filter (where jsonb_typeof(member.value) <> 'object') over of_key
                as replaced
        from layers, jsonb_each(layers.config) as member
        window of_key as (partition by member.key)
    ), origins as (
        -- An object is merged with the objects before it; any other value replaces what it finds.
        -- So the last layer that has a key made its value, and of those before it the ones behind
        -- the last replacement.
        select
            members.key,
            jsonb_agg(
                jsonb_build_object('name', members.name, 'revision', members.revision)
                order by members.position
            ) as layers
        from members
        where members.position = members.last
        or members.position > coalesce(members.replaced, 0)
        group by members.key
    )
    select jsonb_build_object(
        'config', merged.config,
        'origin', (
            select coalesce(jsonb_object_agg(origins.key, origins.layers), '{}') from origins
            where merged.config ? origins.key
        )
    )
    from merged
$$;
