from psycopg2 import IntegrityError

import database
from wire.types import new_ulid


class NoSuchApplication(Exception):
    """`application_id` names no application that the caller may see."""


class TooLarge(Exception):
    """The answer would be larger than a body may be."""


class NameTaken(Exception):
    """Another configuration of the application has this name."""


async def create(application_id: str, name: str, comments: str | None, config: str) -> database.Row:
    """The new configuration: its `id`, and its `body` as JSON text.

    `config` is JSON text. Raises NoSuchApplication, TooLarge or NameTaken.
    """
    try:
        created = await database.write_batched(
            """
            with wanted as (
                select * from unnest(
                    %(id)s::text[], %(application_id)s::text[], %(name)s::text[],
                    %(comments)s::text[], %(config)s::text[]
                ) as wanted (id, application_id, name, comments, config)
                where %(confined_to)s::text is null
                or wanted.application_id = (select confinement(%(confined_to)s))
            ), created as (
                insert into configurations (id, application_id, name, comments, config)
                select
                    wanted.id, wanted.application_id, wanted.name, wanted.comments,
                    wanted.config::jsonb
                from wanted
                -- In this order, so that two such statements cannot wait for each other.
                order by wanted.application_id, wanted.name
                -- Or one name that is taken would undo what all others of the batch create.
                on conflict on constraint configurations_application_id_name_key do nothing
                returning configurations.id, configuration_body(configurations) as body
            )
            select wanted.id, created.body from wanted left join created on created.id = wanted.id
            """,
            {
                "id": new_ulid(),
                "application_id": application_id,
                "name": name,
                "comments": comments,
                "config": config,
            },
        )
    except IntegrityError as error:
        match error.diag.constraint_name:
            case "configurations_application_id_fkey":
                raise NoSuchApplication from None
            case "configurations_config_fits":
                raise TooLarge from None
        raise
    if created is None:  # the caller is confined to another application
        raise NoSuchApplication
    if created["body"] is None:
        raise NameTaken
    return created
