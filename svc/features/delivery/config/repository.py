import database


class NoSuchApplication(Exception):
    """No application has this name."""


class NoSuchLayer(Exception):
    """The application has no configuration of this name, the exception's argument."""


async def merge(
    application: str, names: list[str], optional: list[str], *, explain: bool
) -> database.Row:
    """The layers `names` of the application, merged from left to right (RFC 7396): the `body` as
    JSON text, its entity tag's `opaque` part, and the `application_id`.

    Raises NoSuchApplication, or NoSuchLayer for one that is missing and not `optional`.
    """
    rows = await database.read(
        """
        with layers as (
            select position, wanted.name, configurations.id, configurations.revision, config
            from applications
            cross join unnest(%(names)s::text[]) with ordinality as wanted (name, position)
            left join configurations
                on application_id = applications.id and configurations.name = wanted.name
            where applications.name = %(application)s
        ), merged as (
            select
                coalesce(merge_layers(config order by position), '{}') as config,
                md5(concat(%(explain)s, string_agg(id || ' ' || revision, ' ' order by position)))
                    as opaque
            from layers
        ), members as (
            -- An object is merged into the objects before it; anything else replaces them.
            select *, max(position) filter (where not is_object) over keys as replaced_at
            from (
                select key, position, name, revision, jsonb_typeof(value) = 'object' as is_object
                from layers, jsonb_each(config) where %(explain)s
            ) as member
            window keys as (partition by key)
        ), origins as (
            select key, jsonb_agg(
                jsonb_build_object('name', name, 'revision', revision) order by position
            ) as layers
            from (select *, max(position) over (partition by key) as last from members) as member
            where (position > replaced_at) is not false
            or position = replaced_at and position = last
            group by key
        )
        select
            applications.id as application_id, opaque,
            (select name from layers where id is null and name <> all(%(optional)s::text[])
                order by position limit 1) as missing,
            case when %(explain)s then jsonb_build_object(
                'config', config,
                'origin', (select coalesce(jsonb_object_agg(key, layers order by key), '{}')
                    from origins where config ? key)
            )::text else config::text end as body
        from applications, merged where applications.name = %(application)s
        and (%(confined_to)s::text is null or applications.id = confinement(%(confined_to)s))
        """,
        {"application": application, "names": names, "optional": optional, "explain": explain},
    )
    if not rows:
        raise NoSuchApplication
    if rows[0]["missing"] is not None:
        raise NoSuchLayer(rows[0]["missing"])
    return rows[0]
