"""The story that every generated client has to get through, with openapi-generator's for Python."""

import re
import sys

from openapi_client import (  # type: ignore[import-not-found]
    ApiClient,
    ApiException,
    ApplicationsApi,
    Configuration,
    ConfigurationsApi,
    ContentApi,
    CreateApplicationRequest,
    CreateConfigurationRequest,
    DeliveryApi,
    ExplainedConfigResponse,
    PatchConfigurationRequest,
    PatchContentItem,
    PatchContentRequest,
    Problem,
    ReplaceConfigurationRequest,
)

TWENTY_DIGITS = 12345678901234567890

api = ApiClient(Configuration(host=sys.argv[1]))
configurations, delivery = ConfigurationsApi(api), DeliveryApi(api)

billing = ApplicationsApi(api).create_application(CreateApplicationRequest(name="billing"))
document = {"currency": "EUR", "large": TWENTY_DIGITS}
wanted = CreateConfigurationRequest(application_id=billing.id, name="production", config=document)
created = configurations.create_configuration_with_http_info(wanted)
assert created.headers["etag"] == '"1"'
assert created.headers["location"].endswith(created.data.id)
assert created.data.config["large"] == TWENTY_DIGITS

change = ReplaceConfigurationRequest(name="production", config=document | {"currency": "CHF"})
replaced = configurations.replace_configuration_with_http_info(
    created.data.id, change, if_match='"1"'
)
assert replaced.headers["etag"] == '"2"'
try:
    configurations.replace_configuration(created.data.id, change, if_match='"1"')
    raise AssertionError
except ApiException as late:
    assert (late.status, late.headers["etag"]) == (412, '"2"')
    assert isinstance(late.data, Problem)
    assert late.data.title == "Precondition Failed"

try:
    configurations.get_configuration(created.data.id, if_none_match='"2"')
    raise AssertionError
except ApiException as same:
    assert same.status == 304

patch = PatchConfigurationRequest(config={"currency": None, "new": True})
patched = configurations.patch_configuration(created.data.id, patch, if_match='"2"')
assert patched.config == {"large": TWENTY_DIGITS, "new": True}

try:
    configurations.create_configuration(wanted)
    raise AssertionError
except ApiException as taken:
    assert taken.data.status == 409

configurations.create_configuration(
    CreateConfigurationRequest(application_id=billing.id, name="defaults")
)
page = configurations.list_configurations_with_http_info(application_id=billing.id, limit=1)
after = re.search(r"after=(\w+)>; rel=\"next\"", page.headers["link"])
rest = configurations.list_configurations_with_http_info(
    application_id=billing.id, limit=1, after=after and after[1]
)
assert {page.data[0].name, rest.data[0].name} == {"production", "defaults"}
assert "link" not in rest.headers

layers = ["defaults", "production"]
merged = delivery.get_config("billing", layers)
assert merged == {"large": TWENTY_DIGITS, "new": True}
explained = ExplainedConfigResponse.from_dict(delivery.get_config("billing", layers, explain=True))
assert explained.origin["large"][0].name == "production"

content = ContentApi(api)
three, five = (PatchContentItem(config={"retries": retries}) for retries in (3, 5))
both = PatchContentRequest(configurations={"defaults": three, "production": five})
plan = content.patch_content_with_http_info(billing.id, both, dry_run=True)
assert [change.name for change in plan.data.changes] == ["defaults", "production"]
done = content.patch_content(billing.id, both, note="Both", if_match=plan.headers["etag"])
assert done == plan.data
present = content.get_content(billing.id).configurations
assert {name: one.config["retries"] for name, one in present.items()} == {
    "defaults": 3,
    "production": 5,
}
