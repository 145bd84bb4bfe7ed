from pydantic import BaseModel

from wire.types import ApplicationId, Comments, ConfigObject, ConfigurationId, ConfigurationName


class GetConfigurationResponse(BaseModel):
    """A configuration with its document."""

    id: ConfigurationId
    application_id: ApplicationId
    name: ConfigurationName
    comments: Comments | None
    config: ConfigObject
