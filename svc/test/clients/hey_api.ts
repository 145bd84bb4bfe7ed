// The story that every generated client has to get through, with @hey-api/openapi-ts'.
import { strict as assert } from "node:assert";
import { client } from "./client/client.gen.js";
import {
  createApplication,
  createConfiguration,
  getConfig,
  getConfiguration,
  getContent,
  listConfigurations,
  patchConfiguration,
  patchContent,
  replaceConfiguration,
  type ExplainedConfigResponse,
} from "./client/index.js";

client.setConfig({ baseUrl: process.argv[2] });

const billing = await createApplication({ body: { name: "billing" }, throwOnError: true });
const application_id = billing.data.id;
const created = await createConfiguration({
  body: { application_id, name: "production", config: { currency: "EUR" } },
  throwOnError: true,
});
assert.equal(created.response.headers.get("ETag"), '"1"');
const path = { id: created.data.id };

const change = {
  path,
  headers: { "if-match": '"1"' },
  body: { name: "production", config: { currency: "CHF" } },
};
const replaced = await replaceConfiguration(change);
assert.equal(replaced.response?.headers.get("ETag"), '"2"');
const late = await replaceConfiguration(change);
assert.equal(late.response?.status, 412);
assert.equal(late.error?.title, "Precondition Failed");

const same = await getConfiguration({ path, headers: { "if-none-match": '"2"' } });
assert.equal(same.response?.status, 304);

const patched = await patchConfiguration({
  path,
  headers: { "if-match": '"2"' },
  body: { config: { currency: null, new: true } },
});
assert.deepEqual(patched.data?.config, { new: true });

const invalid = await createConfiguration({ body: { application_id, name: " no name" } });
assert.equal(invalid.error?.errors?.[0]?.pointer, "/name");

await createConfiguration({ body: { application_id, name: "defaults" } });
const page = await listConfigurations({ query: { application_id, limit: 1 } });
const after = page.response?.headers.get("Link")?.match(/after=(\w+)>; rel="next"/)?.[1];
assert(after);
const rest = await listConfigurations({ query: { application_id, limit: 1, after } });
assert.deepEqual([page.data?.[0]?.name, rest.data?.[0]?.name], ["production", "defaults"]);
assert.equal(rest.response?.headers.get("Link"), null);

const query = { application: "billing", name: ["defaults", "production"] };
const merged = await getConfig({ query });
assert.deepEqual(merged.data, { new: true });
const answer = await getConfig({ query: { ...query, explain: true } });
const explained = answer.data as ExplainedConfigResponse;
assert.equal(explained.origin["new"]?.[0]?.name, "production");

const both = {
  path: { id: application_id },
  body: {
    configurations: {
      defaults: { config: { retries: 3 } },
      production: { config: { retries: 5 } },
    },
  },
};
const plan = await patchContent({ ...both, query: { dry_run: true } });
assert.deepEqual(plan.data?.changes.map((change) => change.name), ["defaults", "production"]);
const tag = plan.response?.headers.get("ETag") ?? "";
const done = await patchContent({
  ...both,
  query: { note: "Both" },
  headers: { "if-match": tag },
});
assert.deepEqual(done.data, plan.data);
const present = await getContent({ path: both.path });
assert.equal(present.data?.configurations["production"]?.config["retries"], 5);
