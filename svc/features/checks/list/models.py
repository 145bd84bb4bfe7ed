from pydantic import BaseModel

from wire.types import ApplicationId, CheckId, ConfigurationId, ConfigurationName


class ListChecksResponse(BaseModel):
    """One check of a page."""

    id: CheckId
    application_id: ApplicationId
    schema_id: ConfigurationId
    layers: list[ConfigurationName]
    optional: list[ConfigurationName]
