from pydantic import BaseModel

from wire.types import ApplicationId, Comments, ConfigurationId, ConfigurationName


class ListConfigurationsResponse(BaseModel):
    """One configuration of a page; without `config`, so that a page stays small."""

    id: ConfigurationId
    application_id: ApplicationId
    name: ConfigurationName
    comments: Comments | None
