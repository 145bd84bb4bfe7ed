from pydantic import BaseModel

from wire.types import ApplicationId, CheckId, ConfigurationId, ConfigurationName


class GetCheckResponse(BaseModel):
    """A JSON Schema, and the layers that it is for."""

    id: CheckId
    application_id: ApplicationId
    schema_id: ConfigurationId
    layers: list[ConfigurationName]
    optional: list[ConfigurationName]
