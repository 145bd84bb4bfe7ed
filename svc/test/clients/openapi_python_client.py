"""The story that every generated client has to get through, with openapi-python-client's."""

import re
import sys

from client import Client  # type: ignore[import-not-found]
from client.api.applications import create_application  # type: ignore[import-not-found]
from client.api.configurations import (  # type: ignore[import-not-found]
    create_configuration,
    get_configuration,
    list_configurations,
    patch_configuration,
    replace_configuration,
)
from client.api.content import get_content, patch_content  # type: ignore[import-not-found]
from client.api.delivery import get_config  # type: ignore[import-not-found]
from client.models import (  # type: ignore[import-not-found]
    ConfigObject,
    CreateApplicationRequest,
    CreateConfigurationRequest,
    ExplainedConfigResponse,
    PatchConfigurationRequest,
    PatchContentRequest,
    Problem,
    ReplaceConfigurationRequest,
)

TWENTY_DIGITS = 12345678901234567890

api = Client(base_url=sys.argv[1], raise_on_unexpected_status=True)

billing = create_application.sync(client=api, body=CreateApplicationRequest(name="billing"))
document = ConfigObject.from_dict({"currency": "EUR", "large": TWENTY_DIGITS})
wanted = CreateConfigurationRequest(billing.id, "production", config=document)
created = create_configuration.sync_detailed(client=api, body=wanted)
assert created.headers["etag"] == '"1"'
assert created.headers["location"].endswith(created.parsed.id)
assert created.parsed.config["large"] == TWENTY_DIGITS

document["currency"] = "CHF"
change = ReplaceConfigurationRequest("production", document)
replaced = replace_configuration.sync_detailed(
    created.parsed.id, client=api, body=change, if_match='"1"'
)
assert replaced.headers["etag"] == '"2"'
late = replace_configuration.sync_detailed(
    created.parsed.id, client=api, body=change, if_match='"1"'
)
assert (late.status_code, late.headers["etag"]) == (412, '"2"')
assert isinstance(late.parsed, Problem)
assert late.parsed.title == "Precondition Failed"

same = get_configuration.sync_detailed(created.parsed.id, client=api, if_none_match='"2"')
assert same.status_code == 304

patch = PatchConfigurationRequest(config=ConfigObject.from_dict({"currency": None, "new": True}))
patched = patch_configuration.sync(created.parsed.id, client=api, body=patch, if_match='"2"')
assert patched.config.to_dict() == {"large": TWENTY_DIGITS, "new": True}

invalid = create_configuration.sync(
    client=api, body=CreateConfigurationRequest(billing.id, " no name")
)
assert invalid.errors[0].pointer == "/name"

create_configuration.sync(client=api, body=CreateConfigurationRequest(billing.id, "defaults"))
page = list_configurations.sync_detailed(client=api, application_id=billing.id, limit=1)
after = re.search(r"after=(\w+)>; rel=\"next\"", page.headers["link"])
rest = list_configurations.sync_detailed(
    client=api, application_id=billing.id, limit=1, after=after and after[1]
)
assert {page.parsed[0].name, rest.parsed[0].name} == {"production", "defaults"}
assert "link" not in rest.headers

layers = ["defaults", "production"]
merged = get_config.sync(client=api, application="billing", name=layers)
assert merged.to_dict() == {"large": TWENTY_DIGITS, "new": True}
answer = get_config.sync(client=api, application="billing", name=layers, explain=True)
explained = ExplainedConfigResponse.from_dict(answer.to_dict())
assert explained.origin["large"][0].name == "production"

wanted = {"defaults": {"config": {"retries": 3}}, "production": {"config": {"retries": 5}}}
both = PatchContentRequest.from_dict({"configurations": wanted})
plan = patch_content.sync_detailed(billing.id, client=api, body=both, dry_run=True)
assert [change.name for change in plan.parsed.changes] == ["defaults", "production"]
done = patch_content.sync(
    billing.id, client=api, body=both, note="Both", if_match=plan.headers["etag"]
)
assert done == plan.parsed
present = get_content.sync(billing.id, client=api).configurations.additional_properties
assert {name: one.config["retries"] for name, one in present.items()} == {
    "defaults": 3,
    "production": 5,
}
